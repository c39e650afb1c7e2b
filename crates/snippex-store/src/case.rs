//! Cases by their content address, and where they are evidence.

use snippex_core::case::Case;
use snippex_core::codec::CaseId;
use sqlx::Row;

use crate::error::StoreError;
use crate::ids::DivergenceId;
use crate::open::Store;

impl Store {
    /// The first `limit` cases whose id begins with `digits`, hexadecimal ones in lower case, in order of id.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn cases_like(&self, digits: &str, limit: u32) -> Result<Vec<CaseId>, StoreError> {
        let failed = self.failed_to("look for a case");
        // A range, which the key's own index answers: no digit comes behind `g`.
        let rows = sqlx::query("SELECT id FROM cases WHERE id >= $1 AND id < $2 ORDER BY id LIMIT $3")
            .bind(digits)
            .bind(format!("{digits}g"))
            .bind(i64::from(limit))
            .fetch_all(&self.pool)
            .await
            .map_err(&failed)?;
        rows.iter()
            .map(|row| self.read_case_id(row.try_get("id").map_err(&failed)?))
            .collect()
    }

    /// One case; `None` when there is none with this id.
    ///
    /// # Errors
    /// When the database cannot be read; [`StoreError::Codec`] when the case is damaged.
    pub async fn find_case(&self, id: CaseId) -> Result<Option<Case>, StoreError> {
        let failed = self.failed_to("read a case");
        let row = sqlx::query("SELECT bytes FROM cases WHERE id = $1")
            .bind(id.to_string())
            .fetch_optional(&self.pool)
            .await
            .map_err(&failed)?;
        let Some(row) = row else { return Ok(None) };
        let bytes: Vec<u8> = row.try_get("bytes").map_err(failed)?;
        self.decode_case(&bytes).map(|(case, _)| Some(case))
    }

    /// The divergences in which a case was met, the newest first.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn divergences_of_case(&self, id: CaseId) -> Result<Vec<DivergenceId>, StoreError> {
        let failed = self.failed_to("look for the divergences of a case");
        let rows = sqlx::query("SELECT id FROM divergences WHERE case_id = $1 ORDER BY id DESC")
            .bind(id.to_string())
            .fetch_all(&self.pool)
            .await
            .map_err(&failed)?;
        let ids = rows.iter().map(|row| row.try_get("id").map(DivergenceId));
        ids.collect::<Result<_, _>>().map_err(failed)
    }

    /// The ids of the bugs that a case is an example of.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn bugs_of_case(&self, id: CaseId) -> Result<Vec<String>, StoreError> {
        let failed = self.failed_to("look for the bugs of a case");
        let sql = "SELECT DISTINCT signature FROM bug_examples WHERE case_id = $1 ORDER BY signature";
        let rows = sqlx::query(sql)
            .bind(id.to_string())
            .fetch_all(&self.pool)
            .await
            .map_err(&failed)?;
        let ids = rows.iter().map(|row| row.try_get("signature"));
        ids.collect::<Result<_, _>>().map_err(failed)
    }
}
