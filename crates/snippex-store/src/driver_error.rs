//! What a database or its driver says, in words for users.

use std::error::Error;
use std::fmt;

use sqlx::postgres::PgDatabaseError;

/// An answer of the driver that is shown without what only says where in the server's source it was made.
#[derive(Debug)]
pub struct DriverError(pub sqlx::Error);

impl fmt::Display for DriverError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            // PostgreSQL adds the line of its own source, as in `does not exist at line 948`.
            sqlx::Error::Database(error) if error.try_downcast_ref::<PgDatabaseError>().is_some() => {
                f.write_str(error.message())
            }
            other => other.fmt(f),
        }
    }
}

impl Error for DriverError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match &self.0 {
            sqlx::Error::Database(_) => None,
            other => other.source(),
        }
    }
}
