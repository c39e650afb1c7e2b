//! Bugs that the people of an engine know of: listed apart, and no reason for a run to fail.

use snippex_core::signature::SignatureId;
use sqlx::Row;
use sqlx::any::AnyRow;

use crate::error::StoreError;
use crate::ids::Timestamp;
use crate::open::Store;

/// An entry of the list of known bugs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownBug {
    /// The bug.
    pub signature: SignatureId,
    /// Name of the engine; empty for every engine.
    pub engine: String,
    /// Where it is reported.
    pub issue: String,
    /// What there is to say.
    pub note: String,
    /// When it was added.
    pub added: Timestamp,
}

/// The list says otherwise already.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contradiction {
    /// What it says.
    pub known: KnownBug,
}

impl Store {
    /// Adds an entry. One that says the same issue is brought up to date; one that says another is left as it is unless
    /// it is to be replaced.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub async fn add_known(
        &self,
        entry: &KnownBug,
        replace: bool,
    ) -> Result<Result<(), Contradiction>, StoreError> {
        let failed = self.failed("add a known bug");
        let mut transaction = self.begin("add a known bug").await?;
        let sql = "SELECT signature, engine, issue, note, added FROM known_bugs WHERE signature = $1 AND engine = $2";
        let row = sqlx::query(sql)
            .bind(entry.signature.to_string())
            .bind(&entry.engine)
            .fetch_optional(&mut *transaction)
            .await
            .map_err(&failed)?;
        if let Some(row) = &row {
            let known = self.read_known(row)?;
            if known.issue != entry.issue && !replace {
                return Ok(Err(Contradiction { known }));
            }
        }
        let sql = "INSERT INTO known_bugs (signature, engine, issue, note, added) VALUES ($1, $2, $3, $4, $5)
                   ON CONFLICT (signature, engine) DO UPDATE SET issue = excluded.issue, note = excluded.note,
                   added = excluded.added";
        sqlx::query(sql)
            .bind(entry.signature.to_string())
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
    pub async fn remove_known(
        &self,
        signature: SignatureId,
        engine: Option<&str>,
    ) -> Result<u64, StoreError> {
        let sql = "DELETE FROM known_bugs WHERE signature = $1 AND (CAST($2 AS TEXT) IS NULL OR engine = $2)";
        let done = sqlx::query(sql)
            .bind(signature.to_string())
            .bind(engine.map(str::to_owned))
            .execute(&self.pool)
            .await
            .map_err(self.failed("remove a known bug"))?;
        Ok(done.rows_affected())
    }

    /// The list, by bug and engine.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn known_bugs(&self) -> Result<Vec<KnownBug>, StoreError> {
        let sql = "SELECT signature, engine, issue, note, added FROM known_bugs ORDER BY signature, engine";
        let rows = sqlx::query(sql).fetch_all(&self.pool).await;
        let rows = rows.map_err(self.failed("list known bugs"))?;
        rows.iter().map(|row| self.read_known(row)).collect()
    }

    fn read_known(&self, row: &AnyRow) -> Result<KnownBug, StoreError> {
        let failed = self.failed("read a known bug");
        let text = |column: &str| row.try_get::<String, _>(column).map_err(&failed);
        let id = text("signature")?;
        let signature = id.parse().map_err(|_| StoreError::Value {
            location: self.location.clone(),
            what: "id of a bug",
            value: id.clone(),
        })?;
        Ok(KnownBug {
            signature,
            engine: text("engine")?,
            issue: text("issue")?,
            note: text("note")?,
            added: Timestamp(row.try_get("added").map_err(&failed)?),
        })
    }
}
