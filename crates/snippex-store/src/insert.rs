//! INSERT statements of many rows: a statement for each row would spend its time on the way to the database.

use std::fmt::Write as _;

use sqlx::any::AnyArguments;
use sqlx::query::Query;
use sqlx::{Any, AnyConnection, AssertSqlSafe};

use database_kit::Dialect;

/// Bound by the 32,766 parameters that SQLite takes and by what still gains speed.
const MAX_ROWS: usize = 256;

pub(crate) type Statement = Query<'static, Any, AnyArguments>;

/// One kind of insert: `head` ends in the list of columns, `tail` says what happens on a conflict.
pub(crate) struct Insert {
    pub(crate) head: &'static str,
    pub(crate) columns: usize,
    pub(crate) tail: &'static str,
}

impl Insert {
    /// Inserts all `rows`. The statements have 256, 128, 64 ... rows, so that a connection prepares each of the
    /// nine once.
    pub(crate) async fn insert_rows<T>(
        &self,
        connection: &mut AnyConnection,
        mut rows: &[T],
        bind: impl Fn(Statement, &T) -> Statement,
    ) -> sqlx::Result<()> {
        let dialect = Dialect::of_connection(connection);
        while !rows.is_empty() {
            let count = 1 << rows.len().min(MAX_ROWS).ilog2();
            // Safe: the text is made of constants and parameter signs only.
            let (now, later) = rows.split_at(count);
            let statement = now
                .iter()
                .fold(sqlx::query(AssertSqlSafe(self.text(dialect, count))), &bind);
            statement.execute(&mut *connection).await?;
            rows = later;
        }
        Ok(())
    }

    fn text(&self, dialect: Dialect, rows: usize) -> String {
        let mut text = format!("{} VALUES ", self.head);
        for row in 0..rows {
            text.push_str(if row == 0 { "(" } else { ", (" });
            for column in 0..self.columns {
                let comma = if column == 0 { "" } else { ", " };
                let number = row * self.columns + column + 1;
                // SQLite takes `$1` for a name and looks through all names for each parameter.
                match dialect {
                    Dialect::Sqlite => write!(text, "{comma}?"),
                    Dialect::Postgres => write!(text, "{comma}${number}"),
                }
                .expect("writing to a string cannot fail");
            }
            text.push(')');
        }
        text + " " + self.tail
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_numbers_parameters_through() {
        let insert = Insert {
            head: "INSERT INTO t (a, b)",
            columns: 2,
            tail: "ON CONFLICT DO NOTHING",
        };
        assert_eq!(
            insert.text(Dialect::Postgres, 2),
            "INSERT INTO t (a, b) VALUES ($1, $2), ($3, $4) ON CONFLICT DO NOTHING"
        );
        assert_eq!(
            insert.text(Dialect::Sqlite, 2),
            "INSERT INTO t (a, b) VALUES (?, ?), (?, ?) ON CONFLICT DO NOTHING"
        );
    }
}
