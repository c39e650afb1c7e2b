//! Numbers out of rows: the database has signed 64-bit integers only.

use sqlx::Row;
use sqlx::any::AnyRow;

/// An unsigned 64-bit value, stored as the signed integer with the same bits.
pub(crate) fn read_u64(row: &AnyRow, column: &str) -> sqlx::Result<u64> {
    row.try_get(column).map(i64::cast_unsigned)
}

/// A value of at most 32 bits; an error if a larger one stands there.
pub(crate) fn read_small_integer<T: TryFrom<i64>>(row: &AnyRow, column: &str) -> sqlx::Result<T> {
    let value: i64 = row.try_get(column)?;
    let out_of_range = || sqlx::Error::Decode(format!("{column} is {value}, which is out of range").into());
    T::try_from(value).map_err(|_| out_of_range())
}
