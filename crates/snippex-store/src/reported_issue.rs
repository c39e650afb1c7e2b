//! Issues that were opened about bugs: written down before GitHub is asked and after it has answered, so that a process that is
//! killed in between opens none twice.

use sqlx::Row;

use crate::error::StoreError;
use crate::ids::UnixMillis;
use crate::open::Store;

/// An issue about a bug in one repository.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReportedIssue {
    /// `owner/name`.
    pub repository: String,
    /// Says which bug it is about.
    pub fingerprint: String,
    /// Its number; `None` while it is not known whether GitHub has made it.
    pub number: Option<u64>,
    /// Its address; empty as long as there is no number.
    pub url: String,
    /// When it was decided to open it.
    pub intended: UnixMillis,
}

impl Store {
    /// What is known of the issue about `fingerprint` in `repository`.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn reported_issue(
        &self,
        repository: &str,
        fingerprint: &str,
    ) -> Result<Option<ReportedIssue>, StoreError> {
        let failed = self.failed_to("read a reported issue");
        let sql =
            "SELECT number, url, intended FROM reported_issues WHERE repository = $1 AND fingerprint = $2";
        let row = sqlx::query(sql)
            .bind(repository)
            .bind(fingerprint)
            .fetch_optional(&self.pool)
            .await
            .map_err(&failed)?;
        let read = |row: &sqlx::any::AnyRow| {
            let number: Option<i64> = row.try_get("number")?;
            Ok(ReportedIssue {
                repository: repository.to_owned(),
                fingerprint: fingerprint.to_owned(),
                number: number.map(i64::cast_unsigned),
                url: row.try_get("url")?,
                intended: UnixMillis(row.try_get("intended")?),
            })
        };
        row.as_ref().map(read).transpose().map_err(&failed)
    }

    /// Writes down an issue that is to be opened, or was.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub async fn save_reported_issue(&self, issue: &ReportedIssue) -> Result<(), StoreError> {
        let sql = "INSERT INTO reported_issues (repository, fingerprint, number, url, intended) VALUES ($1, $2, $3, $4, $5)
                   ON CONFLICT (repository, fingerprint) DO UPDATE SET number = excluded.number, url = excluded.url,
                       intended = excluded.intended";
        let saved = sqlx::query(sql)
            .bind(&issue.repository)
            .bind(&issue.fingerprint)
            .bind(issue.number.map(u64::cast_signed))
            .bind(&issue.url)
            .bind(issue.intended.0)
            .execute(&self.pool)
            .await;
        saved.map(drop).map_err(self.failed_to("write a reported issue"))
    }
}
