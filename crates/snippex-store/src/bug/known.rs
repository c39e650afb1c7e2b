//! Bugs that the people of an engine know of: listed apart, and no reason for a run to fail.

use snippex_triage::cause::BugName;
use sqlx::Row;
use sqlx::any::AnyRow;

use crate::error::StoreError;
use crate::ids::UnixMillis;
use crate::open::Store;

/// An entry of the list of known bugs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownBug {
    /// The bug: a cause, or one signature of any cause.
    pub bug: BugName,
    /// Name of the engine; empty for every engine.
    pub engine: String,
    /// Where it is reported.
    pub issue: String,
    /// What there is to say.
    pub note: String,
    /// When it was added.
    pub added: UnixMillis,
}

impl KnownBug {
    /// Whether both are meant for an engine, and say that it is reported in different places.
    #[must_use]
    pub fn contradicts(&self, other: &Self) -> bool {
        self.issue != other.issue && (self.covers_engine(&other.engine) || other.covers_engine(&self.engine))
    }

    /// Whether the entry holds for the engine called `name`, or for every one if that is empty.
    #[must_use]
    pub fn covers_engine(&self, name: &str) -> bool {
        // A configuration of an engine is called `NAME/CONFIGURATION`.
        self.engine.is_empty()
            || name.strip_prefix(&self.engine).is_some_and(|rest| {
                !rest.starts_with(|next: char| next.is_alphanumeric() || next == '_' || next == '-')
            })
    }
}

/// The list says otherwise already.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contradiction {
    /// What it says.
    pub known: KnownBug,
}

impl Store {
    /// Adds an entry. One that says the same issue is brought up to date; one that says another is left as it is unless
    /// it is to be replaced. An entry for other engines, of which one is meant here, too, is never replaced.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub async fn add_known(
        &self,
        entry: &KnownBug,
        replace: bool,
    ) -> Result<Result<(), Contradiction>, StoreError> {
        let failed = self.failed_to("add a known bug");
        let mut transaction = self.begin_transaction("add a known bug").await?;
        let sql = "SELECT bug, engine, issue, note, added FROM known_bugs WHERE bug = $1 ORDER BY engine";
        let rows = sqlx::query(sql)
            .bind(entry.bug.to_string())
            .fetch_all(&mut *transaction)
            .await
            .map_err(&failed)?;
        for row in &rows {
            let known = self.read_known(row)?;
            let replaced = replace && known.engine == entry.engine;
            if known.contradicts(entry) && !replaced {
                return Ok(Err(Contradiction { known }));
            }
        }
        let sql = "INSERT INTO known_bugs (bug, engine, issue, note, added) VALUES ($1, $2, $3, $4, $5)
                   ON CONFLICT (bug, engine) DO UPDATE SET issue = excluded.issue, note = excluded.note,
                   added = excluded.added";
        sqlx::query(sql)
            .bind(entry.bug.to_string())
            .bind(&entry.engine)
            .bind(&entry.issue)
            .bind(&entry.note)
            .bind(entry.added.0)
            .execute(&mut *transaction)
            .await
            .map_err(&failed)?;
        transaction.commit().await.map_err(failed)?;
        Ok(Ok(()))
    }

    /// Removes the entries of a bug; only that of one engine if it is given. Returns how many there were.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub async fn remove_known(&self, bug: &BugName, engine: Option<&str>) -> Result<u64, StoreError> {
        let sql = "DELETE FROM known_bugs WHERE bug = $1 AND (CAST($2 AS TEXT) IS NULL OR engine = $2)";
        let done = sqlx::query(sql)
            .bind(bug.to_string())
            .bind(engine.map(str::to_owned))
            .execute(&self.pool)
            .await
            .map_err(self.failed_to("remove a known bug"))?;
        Ok(done.rows_affected())
    }

    /// The list, by bug and engine.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn known_bugs(&self) -> Result<Vec<KnownBug>, StoreError> {
        let sql = "SELECT bug, engine, issue, note, added FROM known_bugs ORDER BY bug, engine";
        let rows = sqlx::query(sql).fetch_all(&self.pool).await;
        let rows = rows.map_err(self.failed_to("list known bugs"))?;
        rows.iter().map(|row| self.read_known(row)).collect()
    }

    fn read_known(&self, row: &AnyRow) -> Result<KnownBug, StoreError> {
        let failed = self.failed_to("read a known bug");
        let text = |column: &str| row.try_get::<String, _>(column).map_err(&failed);
        let name = text("bug")?;
        let bug = name.parse().map_err(|_| StoreError::Value {
            location: self.location.clone(),
            what: "name of a bug",
            value: name.clone(),
        })?;
        Ok(KnownBug {
            bug,
            engine: text("engine")?,
            issue: text("issue")?,
            note: text("note")?,
            added: UnixMillis(row.try_get("added").map_err(&failed)?),
        })
    }
}
