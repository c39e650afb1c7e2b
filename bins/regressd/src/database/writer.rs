//! All writes go through here: operations that arrive together are committed together.
//!
//! A commit with full durability costs a flush of the disk, whether it holds one upload or a hundred. So a lane takes
//! what has gathered while the last commit was flushed, runs it in one transaction, and answers everybody when that is
//! durable. SQLite has one lane, for it has one writer; PostgreSQL has several.
//!
//! When an operation fails, its batch is rolled back and every operation of it runs again alone, so that one cannot
//! fail another: operations are functions that can be called twice.
//!
//! After a failure that concerns all writes, the writer counts as failing until a write of its own, larger than most
//! uploads, has gone through: an operation that changes nothing commits on a full disk as well. It is tried once a second,
//! since nobody sends uploads to a service that says it is not ready.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::future::BoxFuture;
use sqlx::error::ErrorKind;
use sqlx::{AnyConnection, AnyPool, Connection as _};
use tokio::sync::{Mutex, mpsc, oneshot};

use super::{DatabaseError, Dialect};

/// Operations that wait at most; callers of more wait in turn.
const QUEUE: usize = 1024;
/// Operations of one transaction at most.
const BATCH: usize = 128;
/// The SQLSTATEs of PostgreSQL for a serialization failure and a deadlock.
const CONTENTION_CODES: [&str; 2] = ["40001", "40P01"];
/// How often an operation is tried that got in the way of others.
const CONTENTION_ATTEMPTS: u32 = 8;
/// How often it is tried whether writes work again.
const PROBE_PERIOD: Duration = Duration::from_secs(1);
/// What is written for that: more than a disk has that is full but for a few pages.
const PROBE_BYTES: usize = 256 << 10;
/// The name of the row, in the table of leases, where it is written.
const PROBE: &str = "writer-probe";

/// What an operation returns.
pub type Written<'c, T> = BoxFuture<'c, sqlx::Result<T>>;

/// The way to the writer. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Writer {
    queue: mpsc::Sender<Box<dyn Pending>>,
    failing: Arc<AtomicBool>,
}

/// An operation that waits, with the place its outcome goes to.
trait Pending: Send {
    /// Runs the operation and keeps its outcome.
    fn run_operation<'c>(&'c mut self, connection: &'c mut AnyConnection) -> Written<'c, ()>;
    /// Hands the kept outcome, or the error, to whoever waits.
    fn send_outcome(self: Box<Self>, outcome: Result<(), DatabaseError>);
}

struct Operation<F, T> {
    work: F,
    outcome: Option<T>,
    waiting: oneshot::Sender<Result<T, DatabaseError>>,
}

impl<F, T> Pending for Operation<F, T>
where
    F: for<'c> Fn(&'c mut AnyConnection) -> Written<'c, T> + Send,
    T: Send,
{
    fn run_operation<'c>(&'c mut self, connection: &'c mut AnyConnection) -> Written<'c, ()> {
        let work = (self.work)(connection);
        let outcome = &mut self.outcome;
        Box::pin(async move {
            *outcome = Some(work.await?);
            Ok(())
        })
    }

    fn send_outcome(self: Box<Self>, outcome: Result<(), DatabaseError>) {
        let Self {
            outcome: kept,
            waiting,
            ..
        } = *self;
        let outcome = outcome.and_then(|()| kept.ok_or(DatabaseError::Closed));
        // Whoever asked may have gone; the work is done all the same.
        drop(waiting.send(outcome));
    }
}

impl Writer {
    /// Starts the lanes: one a connection of the pool.
    pub(super) fn start_lanes(pool: &AnyPool, dialect: Dialect, lanes: u32) -> Self {
        let (queue, waiting) = mpsc::channel(QUEUE);
        let waiting = Arc::new(Mutex::new(waiting));
        let failing = Arc::new(AtomicBool::new(false));
        for _ in 0..lanes {
            tokio::spawn(lane(
                pool.clone(),
                dialect,
                Arc::clone(&waiting),
                Arc::clone(&failing),
            ));
        }
        Self { queue, failing }
    }

    /// Whether the last write failed for a reason that concerns all of them: a full disk, a server that is away.
    pub(super) fn is_failing(&self) -> bool {
        self.failing.load(Ordering::Relaxed)
    }

    /// Runs `work` in a transaction and returns when it is durable. `work` may be called twice.
    pub(super) async fn run_in_transaction<T, F>(&self, work: F) -> Result<T, DatabaseError>
    where
        F: for<'c> Fn(&'c mut AnyConnection) -> Written<'c, T> + Send + 'static,
        T: Send + 'static,
    {
        let (waiting, answer) = oneshot::channel();
        let operation = Operation {
            work,
            outcome: None,
            waiting,
        };
        self.queue
            .send(Box::new(operation))
            .await
            .map_err(|_| DatabaseError::Closed)?;
        answer.await.map_err(|_| DatabaseError::Closed)?
    }
}

async fn lane(
    pool: AnyPool,
    dialect: Dialect,
    queue: Arc<Mutex<mpsc::Receiver<Box<dyn Pending>>>>,
    failing: Arc<AtomicBool>,
) {
    loop {
        let mut batch = Vec::new();
        let receive = async { queue.lock().await.recv_many(&mut batch, BATCH).await };
        let received = if failing.load(Ordering::Relaxed) {
            tokio::time::timeout(PROBE_PERIOD, receive).await.ok()
        } else {
            Some(receive.await)
        };
        match received {
            Some(0) => return,
            Some(_) => write_batch(&pool, dialect, batch, &failing).await,
            None => {}
        }
        if failing.load(Ordering::Relaxed) && probe(&pool).await.is_ok() {
            tracing::info!("writes work again");
            failing.store(false, Ordering::Relaxed);
        }
    }
}

/// Commits a batch, or each operation by itself, and tells everybody.
async fn write_batch(
    pool: &AnyPool,
    dialect: Dialect,
    mut batch: Vec<Box<dyn Pending>>,
    failing: &AtomicBool,
) {
    let note = |outcome: &Result<(), DatabaseError>| {
        if let Err(error) = outcome
            && says_that_writing_fails(error)
        {
            failing.store(true, Ordering::Relaxed);
        }
    };
    metrics::histogram!("regressd_write_batch").record(batch.len() as f64);
    let outcome = commit(pool, dialect, &mut batch).await;
    note(&outcome);
    let is_final = |error: &DatabaseError| batch.len() == 1 && !is_contention(error);
    if outcome.as_ref().err().is_none_or(is_final) {
        for operation in batch {
            operation.send_outcome(outcome.clone());
        }
        return;
    }
    for operation in batch {
        let mut alone = vec![operation];
        let outcome = commit_alone(pool, dialect, &mut alone).await;
        note(&outcome);
        for operation in alone {
            operation.send_outcome(outcome.clone());
        }
    }
}

/// Writes a row that needs space, and removes it again.
async fn probe(pool: &AnyPool) -> Result<(), DatabaseError> {
    let mut connection = pool.acquire().await?;
    let written = write_probe(&mut connection).await;
    if written.is_err()
        && let Err(closing) = connection.close().await
    {
        tracing::warn!(%closing, "a connection that failed to write cannot be closed in order");
    }
    Ok(written?)
}

async fn write_probe(connection: &mut AnyConnection) -> sqlx::Result<()> {
    let sql = "INSERT INTO leases (name, holder, until) VALUES ($1, $2, 0)
               ON CONFLICT (name) DO UPDATE SET holder = excluded.holder";
    let write = sqlx::query(sql).bind(PROBE).bind("x".repeat(PROBE_BYTES));
    write.execute(&mut *connection).await?;
    let remove = sqlx::query("DELETE FROM leases WHERE name = $1").bind(PROBE);
    remove.execute(connection).await?;
    Ok(())
}

/// Runs one operation in a transaction, again where it got in the way of another lane's: one of the two has gone on.
async fn commit_alone(
    pool: &AnyPool,
    dialect: Dialect,
    operation: &mut [Box<dyn Pending>],
) -> Result<(), DatabaseError> {
    for _ in 1..CONTENTION_ATTEMPTS {
        match commit(pool, dialect, operation).await {
            Err(error) if is_contention(&error) => {}
            outcome => return outcome,
        }
    }
    commit(pool, dialect, operation).await
}

/// Whether a transaction was ended in favour of another: a deadlock, or an order that could not be kept.
fn is_contention(error: &DatabaseError) -> bool {
    let DatabaseError::Driver(error) = error else {
        return false;
    };
    let code = error
        .as_database_error()
        .and_then(sqlx::error::DatabaseError::code);
    code.is_some_and(|code| CONTENTION_CODES.contains(&code.as_ref()))
}

/// Runs a batch in a transaction. A connection on which that failed is closed: a disk that is full ends the transaction
/// by itself, so that it cannot be rolled back, and the connection would be of no use for ever after.
async fn commit(
    pool: &AnyPool,
    dialect: Dialect,
    batch: &mut [Box<dyn Pending>],
) -> Result<(), DatabaseError> {
    let mut connection = pool.acquire().await?;
    let outcome = within_transaction(&mut connection, dialect, batch).await;
    if let Err(error) = &outcome
        && let Err(closing) = connection.close().await
    {
        tracing::warn!(%error, %closing, "a connection that failed to write cannot be closed in order");
    }
    Ok(outcome?)
}

async fn within_transaction(
    connection: &mut AnyConnection,
    dialect: Dialect,
    batch: &mut [Box<dyn Pending>],
) -> sqlx::Result<()> {
    let mut transaction = connection.begin_with(dialect.begin_statement()).await?;
    for operation in batch {
        operation.run_operation(&mut transaction).await?;
    }
    transaction.commit().await
}

/// Whether an error says that nothing can be written, rather than that one operation was refused.
fn says_that_writing_fails(error: &DatabaseError) -> bool {
    match error {
        DatabaseError::Driver(error) => match error.as_database_error() {
            Some(error) => matches!(error.kind(), ErrorKind::Other) && !error.is_check_violation(),
            None => !matches!(**error, sqlx::Error::RowNotFound | sqlx::Error::Decode(_)),
        },
        _ => false,
    }
}
