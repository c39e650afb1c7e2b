//! All writes go through here: operations that arrive together are committed together.
//!
//! A commit with full durability costs a flush of the disk, whether it holds one upload or a hundred. So a lane takes
//! what has gathered while the last commit was flushed, runs it in one transaction, and answers everybody when that is
//! durable. SQLite has one lane, for it has one writer; PostgreSQL has several.
//!
//! When an operation fails, its batch is rolled back and every operation of it runs again alone, so that one cannot
//! fail another: operations are functions that can be called twice.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures_util::future::BoxFuture;
use sqlx::error::ErrorKind;
use sqlx::{AnyConnection, AnyPool, Connection as _};
use tokio::sync::{Mutex, mpsc, oneshot};

use super::{DatabaseError, Dialect};

/// Operations that wait at most; callers of more wait in turn.
const QUEUE: usize = 1024;
/// Operations of one transaction at most.
const BATCH: usize = 128;

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
    let note = |outcome: &Result<(), DatabaseError>| match outcome {
        Ok(()) => failing.store(false, Ordering::Relaxed),
        Err(error) if says_that_writing_fails(error) => failing.store(true, Ordering::Relaxed),
        Err(_) => {}
    };
    loop {
        let mut batch = Vec::new();
        if queue.lock().await.recv_many(&mut batch, BATCH).await == 0 {
            return;
        }
        metrics::histogram!("regressd_write_batch").record(batch.len() as f64);
        let outcome = commit(&pool, dialect, &mut batch).await;
        note(&outcome);
        match outcome {
            Ok(()) => batch
                .into_iter()
                .for_each(|operation| operation.send_outcome(Ok(()))),
            Err(error) if batch.len() == 1 => {
                batch
                    .into_iter()
                    .for_each(|operation| operation.send_outcome(Err(error.clone())));
            }
            Err(_) => {
                for operation in batch {
                    let mut alone = vec![operation];
                    let outcome = commit(&pool, dialect, &mut alone).await;
                    note(&outcome);
                    alone
                        .into_iter()
                        .for_each(|operation| operation.send_outcome(outcome.clone()));
                }
            }
        }
    }
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
