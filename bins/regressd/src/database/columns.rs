//! Columns whose text stands for something.

use std::str::FromStr;

use sqlx::Row as _;
use sqlx::any::AnyRow;
use sqlx::error::BoxDynError;

/// A column as the type that its text stands for.
///
/// # Errors
/// When there is no such column, or its text stands for nothing that this version knows.
pub(super) fn parse_column<T>(row: &AnyRow, column: &str) -> sqlx::Result<T>
where
    T: FromStr,
    T::Err: Into<BoxDynError>,
{
    let text: String = row.try_get(column)?;
    text.parse().map_err(|source: T::Err| sqlx::Error::ColumnDecode {
        index: column.to_owned(),
        source: source.into(),
    })
}
