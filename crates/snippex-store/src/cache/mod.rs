//! The file of the cache: verdicts in segments, found by what they depend on and by address.
//!
//! A file of its own beside the database, always SQLite: it can be removed at any time, it is not worth a backup, and a
//! slow server would cost more than it saves. What a segment holds is for the caller to know; here it is bytes.
//!
//! A segment is written whole or not at all, whatever happens to the process. Two processes may write at once: at worst an
//! entry is there twice.

mod prune;

use std::fs;
use std::io;
use std::path::Path;
use std::time::Duration;

use database_kit::{ConnectionSetup, Dialect, Location, Schema};
use sqlx::any::{AnyPoolOptions, AnyRow};
use sqlx::{AnyPool, Row};
use tokio::runtime::Runtime;

use crate::blocking;
use crate::column;
use crate::error::StoreError;
use crate::ids::UnixMillis;

pub use prune::{PruneLimits, Pruned};

/// How long an operation waits for another process: a check must not stand still for its cache.
const PATIENCE: Duration = Duration::from_secs(5);

const SCHEMA: Schema = Schema {
    program: "snippex_cache",
    // "SNPC"
    application_id: 0x534e_5043,
    setup: ConnectionSetup {
        sqlite: "PRAGMA busy_timeout = 5000; PRAGMA synchronous = NORMAL; PRAGMA foreign_keys = ON;
                 PRAGMA cache_size = -16000",
        postgres: "",
    },
    sqlite_types: &[
        ("BIGSERIAL PRIMARY KEY", "INTEGER PRIMARY KEY AUTOINCREMENT"),
        ("BYTEA", "BLOB"),
    ],
    migrations: &[include_str!("0001_cache.sql")],
};

/// An open cache, for code that is not asynchronous.
#[derive(Debug)]
pub struct CacheFile {
    runtime: Runtime,
    pool: AnyPool,
    location: Location,
}

/// Verdicts that lie together, as they are stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredSegment {
    /// Its identity.
    pub id: i64,
    /// Where the blocks lie: their address divided by the size of a bucket.
    pub bucket: i64,
    /// When the oldest of its entries was made.
    pub created: UnixMillis,
    /// How many entries it has.
    pub entries: u64,
    /// How long it took to find out what is in it.
    pub cost: Duration,
    /// The entries, in a form that the caller knows.
    pub bytes: Vec<u8>,
}

/// Verdicts that are to be stored together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewSegment {
    /// Where the blocks lie.
    pub bucket: i64,
    /// When the oldest of its entries was made.
    pub created: UnixMillis,
    /// How many entries it has.
    pub entries: u64,
    /// How long it took to find out what is in it.
    pub cost: Duration,
    /// The entries.
    pub bytes: Vec<u8>,
    /// Segments whose entries are in this one, too: they go.
    pub replaces: Vec<i64>,
}

/// What verdicts depend on apart from the block, and how much there is of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CachedContext {
    /// Its identity.
    pub id: i64,
    /// The parts, as they were given.
    pub parts: String,
    /// Entries.
    pub entries: u64,
    /// Size of the entries in bytes.
    pub bytes: u64,
    /// When an entry was last used; `None` when it has none.
    pub used: Option<UnixMillis>,
}

/// How much a cache holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CacheTotals {
    /// Different surroundings: engines, seeds, versions.
    pub contexts: u64,
    /// Segments.
    pub segments: u64,
    /// Entries: a block in a context each.
    pub entries: u64,
    /// Size of the entries in bytes.
    pub bytes: u64,
    /// How long it took to find out what is there.
    pub cost: Duration,
    /// When the oldest entry was made.
    pub oldest: Option<UnixMillis>,
    /// When an entry was last used.
    pub used: Option<UnixMillis>,
}

impl CacheFile {
    /// Opens the cache, and makes it when it is not there.
    ///
    /// # Errors
    /// When the file cannot be used: see the variants of [`StoreError`]. Whoever checks can go on without.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let location = Location::from(path);
        location.create_file(0o666).map_err(|source| StoreError::File {
            location: location.clone(),
            source,
        })?;
        Self::connect(location)
    }

    /// Opens the cache if there is one.
    ///
    /// # Errors
    /// As [`CacheFile::open`].
    pub fn open_existing(path: &Path) -> Result<Option<Self>, StoreError> {
        if path.exists() {
            Self::connect(Location::from(path)).map(Some)
        } else {
            Ok(None)
        }
    }

    fn connect(location: Location) -> Result<Self, StoreError> {
        let runtime = blocking::build_runtime()?;
        let options = location.connect_options("")?;
        let pool = runtime.block_on(async {
            SCHEMA.bring_up_to_date(&location, &options, PATIENCE).await?;
            let setup = SCHEMA.setup.sqlite;
            let pool = AnyPoolOptions::new()
                .max_connections(1)
                .acquire_timeout(PATIENCE)
                .after_connect(move |connection, _| {
                    Box::pin(async move { sqlx::raw_sql(setup).execute(connection).await.map(drop) })
                })
                .connect_with(options)
                .await;
            pool.map_err(|source| StoreError::of_driver(&location, "open", source))
        })?;
        Ok(Self {
            runtime,
            pool,
            location,
        })
    }

    /// Where the cache is.
    #[must_use]
    pub fn location(&self) -> &Location {
        &self.location
    }

    /// Size of the file in bytes, with its log.
    #[must_use]
    pub fn file_size(&self) -> u64 {
        let Some(path) = self.location.file() else {
            return 0;
        };
        let size = |path: &Path| fs::metadata(path).map_or(0, |metadata| metadata.len());
        size(path) + beside(path).iter().map(|path| size(path)).sum::<u64>()
    }

    /// The number of a context; `None` when nothing was stored in it yet. `digest` is made of all that verdicts depend on
    /// apart from the block.
    ///
    /// # Errors
    /// When the cache cannot be read.
    pub fn find_context(&self, digest: &str) -> Result<Option<i64>, StoreError> {
        self.run("read", async {
            let query = sqlx::query_scalar("SELECT id FROM contexts WHERE digest = $1").bind(digest);
            query.fetch_optional(&self.pool).await
        })
    }

    /// All contexts, in the order in which they were added.
    ///
    /// # Errors
    /// When the cache cannot be read.
    pub fn list_contexts(&self) -> Result<Vec<CachedContext>, StoreError> {
        let sql = "SELECT contexts.id AS id, parts, CAST(COALESCE(SUM(entries), 0) AS BIGINT) AS entries,
                       CAST(COALESCE(SUM(size), 0) AS BIGINT) AS bytes, MAX(used) AS used
                   FROM contexts LEFT JOIN segments ON context_id = contexts.id
                   GROUP BY contexts.id, parts ORDER BY contexts.id";
        let read = |row: &AnyRow| {
            Ok(CachedContext {
                id: row.try_get("id")?,
                parts: row.try_get("parts")?,
                entries: column::read_u64(row, "entries")?,
                bytes: column::read_u64(row, "bytes")?,
                used: row.try_get::<Option<i64>, _>("used")?.map(UnixMillis),
            })
        };
        self.run("list the contexts of", async {
            let rows = sqlx::query(sql).fetch_all(&self.pool).await?;
            rows.iter().map(read).collect()
        })
    }

    /// The segments of a context in a range of buckets, both ends included, the oldest first.
    ///
    /// # Errors
    /// When the cache cannot be read.
    pub fn list_segments(
        &self,
        context: i64,
        first: i64,
        last: i64,
    ) -> Result<Vec<StoredSegment>, StoreError> {
        let sql = "SELECT id, bucket, created, entries, cost_us, bytes FROM segments
                   WHERE context_id = $1 AND bucket BETWEEN $2 AND $3 ORDER BY created, id";
        self.run("read", async {
            let query = sqlx::query(sql).bind(context).bind(first).bind(last);
            let rows = query.fetch_all(&self.pool).await?;
            rows.iter().map(read_segment).collect()
        })
    }

    /// Stores segments of a context, all or none. `parts` is what its digest was made of.
    ///
    /// # Errors
    /// When the cache cannot be written.
    pub fn save_segments(
        &self,
        digest: &str,
        parts: &str,
        segments: &[NewSegment],
        now: UnixMillis,
    ) -> Result<(), StoreError> {
        let add = "INSERT INTO contexts (digest, parts) VALUES ($1, $2) ON CONFLICT (digest) DO NOTHING";
        let find = "SELECT id FROM contexts WHERE digest = $1";
        let insert = "INSERT INTO segments (context_id, bucket, created, used, entries, cost_us, size, bytes)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8)";
        self.run("write to", async {
            let mut transaction = self.pool.begin_with(Dialect::Sqlite.begin_statement()).await?;
            // Whoever prunes meanwhile may have removed it.
            let query = sqlx::query(add).bind(digest).bind(parts);
            query.execute(&mut *transaction).await?;
            let query = sqlx::query_scalar(find).bind(digest);
            let context: i64 = query.fetch_one(&mut *transaction).await?;
            for segment in segments {
                for replaced in &segment.replaces {
                    let query = sqlx::query("DELETE FROM segments WHERE id = $1").bind(*replaced);
                    query.execute(&mut *transaction).await?;
                }
                let cost = i64::try_from(segment.cost.as_micros()).unwrap_or(i64::MAX);
                let query = sqlx::query(insert)
                    .bind(context)
                    .bind(segment.bucket)
                    .bind(segment.created.0)
                    .bind(now.0)
                    .bind(segment.entries.cast_signed())
                    .bind(cost)
                    .bind(segment.bytes.len() as i64)
                    .bind(&segment.bytes[..]);
                query.execute(&mut *transaction).await?;
            }
            transaction.commit().await
        })
    }

    /// Notes that segments were used, for the order in which they are removed. Nothing is written about those that were
    /// used less than a minute before.
    ///
    /// # Errors
    /// When the cache cannot be written.
    pub fn mark_segments_used(&self, segments: &[i64], now: UnixMillis) -> Result<(), StoreError> {
        let sql = "UPDATE segments SET used = $1 WHERE id = $2 AND used < $1 - 60000";
        self.run("write to", async {
            let mut transaction = self.pool.begin_with(Dialect::Sqlite.begin_statement()).await?;
            for id in segments {
                let query = sqlx::query(sql).bind(now.0).bind(*id);
                query.execute(&mut *transaction).await?;
            }
            transaction.commit().await
        })
    }

    /// How much there is.
    ///
    /// # Errors
    /// When the cache cannot be read.
    pub fn load_totals(&self) -> Result<CacheTotals, StoreError> {
        let sql = "SELECT (SELECT COUNT(*) FROM contexts) AS contexts, COUNT(*) AS segments,
                       CAST(COALESCE(SUM(entries), 0) AS BIGINT) AS entries,
                       CAST(COALESCE(SUM(size), 0) AS BIGINT) AS bytes,
                       CAST(COALESCE(SUM(cost_us), 0) AS BIGINT) AS cost_us, MIN(created) AS oldest, MAX(used) AS used
                   FROM segments";
        self.run("sum up", async {
            let row = sqlx::query(sql).fetch_one(&self.pool).await?;
            Ok(CacheTotals {
                contexts: column::read_u64(&row, "contexts")?,
                segments: column::read_u64(&row, "segments")?,
                entries: column::read_u64(&row, "entries")?,
                bytes: column::read_u64(&row, "bytes")?,
                cost: Duration::from_micros(column::read_u64(&row, "cost_us")?),
                oldest: row.try_get::<Option<i64>, _>("oldest")?.map(UnixMillis),
                used: row.try_get::<Option<i64>, _>("used")?.map(UnixMillis),
            })
        })
    }

    /// The SHA-256 that was noted for a file, by what tells whether it was replaced.
    ///
    /// # Errors
    /// When the cache cannot be read.
    pub fn file_digest(&self, stamp: &str) -> Result<Option<String>, StoreError> {
        self.run("read", async {
            let query = sqlx::query_scalar("SELECT sha256 FROM file_digests WHERE stamp = $1").bind(stamp);
            query.fetch_optional(&self.pool).await
        })
    }

    /// Notes the SHA-256 of a file.
    ///
    /// # Errors
    /// When the cache cannot be written.
    pub fn note_file_digest(&self, stamp: &str, sha256: &str) -> Result<(), StoreError> {
        let sql = "INSERT INTO file_digests (stamp, sha256) VALUES ($1, $2)
                   ON CONFLICT (stamp) DO UPDATE SET sha256 = excluded.sha256";
        self.run("write to", async {
            sqlx::query(sql)
                .bind(stamp)
                .bind(sha256)
                .execute(&self.pool)
                .await?;
            Ok(())
        })
    }

    fn run<T>(
        &self,
        doing: &'static str,
        work: impl Future<Output = sqlx::Result<T>>,
    ) -> Result<T, StoreError> {
        let done = self.runtime.block_on(work);
        done.map_err(|source| StoreError::of_driver(&self.location, doing, source))
    }
}

/// Removes a cache with what SQLite keeps beside it, whatever is in it. Says whether there was one.
///
/// # Errors
/// When the system does not allow it.
pub fn remove_cache_file(path: &Path) -> io::Result<bool> {
    let remove = |path: &Path| match fs::remove_file(path) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    };
    let removed = remove(path)?;
    for path in beside(path) {
        remove(&path)?;
    }
    Ok(removed)
}

/// What SQLite keeps beside a file while it is open.
fn beside(path: &Path) -> [std::path::PathBuf; 2] {
    ["-wal", "-shm"].map(|ending| {
        let mut name = path.as_os_str().to_owned();
        name.push(ending);
        name.into()
    })
}

fn read_segment(row: &AnyRow) -> sqlx::Result<StoredSegment> {
    Ok(StoredSegment {
        id: row.try_get("id")?,
        bucket: row.try_get("bucket")?,
        created: UnixMillis(row.try_get("created")?),
        entries: column::read_u64(row, "entries")?,
        cost: Duration::from_micros(column::read_u64(row, "cost_us")?),
        bytes: row.try_get("bytes")?,
    })
}
