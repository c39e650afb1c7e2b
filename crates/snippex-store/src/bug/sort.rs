//! Causes for bugs that were stored before there were any.

use snippex_triage::cause::Attribution;
use snippex_triage::signature::Signature;

use super::BugExample;
use crate::error::StoreError;
use crate::open::Store;

impl Store {
    /// Bugs without a cause, each with an example if there is one.
    ///
    /// # Errors
    /// When the database cannot be read, or holds damaged evidence.
    pub async fn unsorted_bugs(&self) -> Result<Vec<(Signature, Option<BugExample>)>, StoreError> {
        let sql = "SELECT signature, kind, form, encoding, fields FROM bugs
                   WHERE signature IN (SELECT signature FROM bug_sightings WHERE cause = '')
                       OR signature IN (SELECT signature FROM bug_examples WHERE cause = '') ORDER BY signature";
        let rows = sqlx::query(sql).fetch_all(&self.pool).await;
        let mut bugs = Vec::new();
        for row in &rows.map_err(self.failed_to("list bugs"))? {
            let signature = self.read_signature(row)?;
            let mut examples = self.list_examples("", signature.id()).await?;
            examples.sort_by_key(|example| !example.reduced);
            bugs.push((signature, examples.into_iter().next()));
        }
        Ok(bugs)
    }

    /// Gives bugs the causes in `shares`. All or none.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub async fn sort_bugs(&self, attributions: &[Attribution]) -> Result<(), StoreError> {
        let failed = self.failed_to("sort bugs");
        let mut transaction = self.begin_transaction("sort bugs").await?;
        for attribution in attributions {
            // What a newer run has stored under that cause stays.
            let statements = [
                "UPDATE bug_sightings SET cause = $1 WHERE signature = $2 AND cause = ''",
                "UPDATE bug_examples SET cause = $1 WHERE signature = $2 AND cause = '' AND engine_id NOT IN
                     (SELECT engine_id FROM bug_examples WHERE cause = $1 AND signature = $2)",
                "DELETE FROM bug_examples WHERE cause <> $1 AND signature = $2 AND cause = ''",
            ];
            for sql in statements {
                sqlx::query(sql)
                    .bind(attribution.cause.as_str().to_owned())
                    .bind(attribution.signature.id().to_string())
                    .execute(&mut *transaction)
                    .await
                    .map_err(&failed)?;
            }
        }
        transaction.commit().await.map_err(failed)
    }
}
