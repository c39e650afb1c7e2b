//! Deliveries of webhooks, by GitHub's id of each. A redelivery has the id of its first delivery.

use sqlx::{AnyConnection, Row};

use crate::domain::UnixMillis;

/// What became of a delivery. One that nobody has acted on yet is `received` in the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeliveryState {
    /// It was acted on.
    Done,
    /// Its job became a dead letter; a redelivery is acted on anew.
    Failed,
}

impl DeliveryState {
    /// Its name in the table.
    fn as_str(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Failed => "failed",
        }
    }
}

/// A delivery as it came, after its signature was verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredDelivery {
    /// `X-GitHub-StoredDelivery`.
    pub id: String,
    /// `X-GitHub-Event`.
    pub event: String,
    /// The body.
    pub payload: String,
}

/// Stores a delivery. Whether there is something to do: it is new, or its work failed before.
///
/// # Errors
/// The driver's.
pub async fn insert_delivery(
    connection: &mut AnyConnection,
    delivery: &StoredDelivery,
) -> sqlx::Result<bool> {
    let sql =
        "INSERT INTO deliveries (id, event, received, state, payload) VALUES ($1, $2, $3, 'received', $4)
               ON CONFLICT (id) DO UPDATE SET state = 'received', received = excluded.received
               WHERE deliveries.state = 'failed'";
    let query = sqlx::query(sql)
        .bind(delivery.id.clone())
        .bind(delivery.event.clone())
        .bind(UnixMillis::now().0)
        .bind(delivery.payload.clone());
    Ok(query.execute(connection).await?.rows_affected() > 0)
}

/// The delivery of this id.
///
/// # Errors
/// The driver's.
pub async fn find_delivery(connection: &mut AnyConnection, id: &str) -> sqlx::Result<Option<StoredDelivery>> {
    let sql = "SELECT id, event, payload FROM deliveries WHERE id = $1";
    let row = sqlx::query(sql)
        .bind(id.to_owned())
        .fetch_optional(connection)
        .await?;
    let read = |row: sqlx::any::AnyRow| {
        Ok(StoredDelivery {
            id: row.try_get("id")?,
            event: row.try_get("event")?,
            payload: row.try_get("payload")?,
        })
    };
    row.map(read).transpose()
}

/// Notes what became of a delivery.
///
/// # Errors
/// The driver's.
pub async fn set_state(connection: &mut AnyConnection, id: &str, state: DeliveryState) -> sqlx::Result<()> {
    let sql = "UPDATE deliveries SET state = $1 WHERE id = $2";
    sqlx::query(sql)
        .bind(state.as_str())
        .bind(id.to_owned())
        .execute(connection)
        .await?;
    Ok(())
}

/// Removes what was done before `moment`.
///
/// # Errors
/// The driver's.
pub async fn remove_older(connection: &mut AnyConnection, moment: UnixMillis) -> sqlx::Result<u64> {
    let sql = "DELETE FROM deliveries WHERE received < $1 AND state = 'done'";
    Ok(sqlx::query(sql)
        .bind(moment.0)
        .execute(connection)
        .await?
        .rows_affected())
}
