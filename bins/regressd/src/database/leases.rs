//! Leases that all processes on this database share: see [`crate::github::Leases`].

use std::time::Duration;

use sqlx::AnyConnection;

use super::{Database, DatabaseError};
use crate::domain::UnixMillis;
use crate::github::{Leases, SharedStateError};

impl Leases for Database {
    async fn acquire_lease(
        &self,
        name: &str,
        holder: &str,
        life: Duration,
    ) -> Result<Option<Duration>, SharedStateError> {
        let (name, holder) = (name.to_owned(), holder.to_owned());
        let acquired = self.run_in_transaction(move |connection| {
            let (name, holder) = (name.clone(), holder.clone());
            Box::pin(async move {
                if take(connection, &name, &holder, life).await? {
                    return Ok(None);
                }
                let until = until(connection, &name).await?.unwrap_or_default();
                let left = until.0.saturating_sub(UnixMillis::now().0).max(1);
                Ok(Some(Duration::from_millis(left.unsigned_abs())))
            })
        });
        acquired.await.map_err(failed)
    }

    async fn release_lease(&self, name: &str, holder: &str) -> Result<(), SharedStateError> {
        let (name, holder) = (name.to_owned(), holder.to_owned());
        let released = self.run_in_transaction(move |connection| {
            let (name, holder) = (name.clone(), holder.clone());
            Box::pin(async move { give_back(connection, &name, &holder).await })
        });
        released.await.map_err(failed)
    }
}

fn failed(error: DatabaseError) -> SharedStateError {
    SharedStateError(Box::new(error))
}

async fn take(
    connection: &mut AnyConnection,
    name: &str,
    holder: &str,
    life: Duration,
) -> sqlx::Result<bool> {
    let sql = "INSERT INTO leases (name, holder, until) VALUES ($1, $2, $3)
               ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, until = excluded.until
               WHERE leases.until <= $4 OR leases.holder = excluded.holder";
    let now = UnixMillis::now();
    let query = sqlx::query(sql)
        .bind(name.to_owned())
        .bind(holder.to_owned())
        .bind(now.saturating_add(life).0)
        .bind(now.0);
    Ok(query.execute(connection).await?.rows_affected() > 0)
}

async fn until(connection: &mut AnyConnection, name: &str) -> sqlx::Result<Option<UnixMillis>> {
    let sql = "SELECT until FROM leases WHERE name = $1";
    let until: Option<i64> = sqlx::query_scalar(sql)
        .bind(name.to_owned())
        .fetch_optional(connection)
        .await?;
    Ok(until.map(UnixMillis))
}

async fn give_back(connection: &mut AnyConnection, name: &str, holder: &str) -> sqlx::Result<()> {
    let sql = "DELETE FROM leases WHERE name = $1 AND holder = $2";
    sqlx::query(sql)
        .bind(name.to_owned())
        .bind(holder.to_owned())
        .execute(connection)
        .await?;
    Ok(())
}
