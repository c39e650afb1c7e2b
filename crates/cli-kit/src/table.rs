//! Tables for people: columns, no frame, numbers to the right.

use std::fmt;

use comfy_table::{Cell, CellAlignment, ContentArrangement, presets};

use crate::style::HEADING;

/// A table that is built row by row and shown through [`Display`](fmt::Display).
///
/// Cells may carry the colours of [`crate::style`].
///
/// ```
/// let mut table = cli_kit::Table::new(["engine", "runs"]).align_right(1);
/// table.add_row(["native", "1.52 M"]);
/// let printer = cli_kit::Printer::on_standard_streams();
/// printer.print_line(&table)?;
/// # Ok::<(), cli_kit::Failure>(())
/// ```
#[derive(Debug, Clone)]
pub struct Table {
    table: comfy_table::Table,
    right: Vec<usize>,
}

impl Table {
    /// A table with these column names.
    #[must_use]
    pub fn new<I: IntoIterator<Item: fmt::Display>>(columns: I) -> Table {
        let mut table = comfy_table::Table::new();
        table
            .load_style(presets::NOTHING)
            .set_content_arrangement(ContentArrangement::Disabled);
        table.set_header(
            columns
                .into_iter()
                .map(|name| Cell::new(format!("{HEADING}{name}{HEADING:#}"))),
        );
        Table {
            table,
            right: Vec::new(),
        }
    }

    /// Sets the column with this index (from 0) to the right, as numbers want it.
    #[must_use]
    pub fn align_right(mut self, column: usize) -> Table {
        self.right.push(column);
        self
    }

    /// Wraps long cells so that the table fits so many columns of a terminal; `None` changes nothing.
    #[must_use]
    pub fn fit(mut self, width: Option<u16>) -> Table {
        if let Some(width) = width {
            self.table
                .set_content_arrangement(ContentArrangement::Dynamic)
                .set_width(width);
        }
        self
    }

    /// Adds a row.
    pub fn add_row<I: IntoIterator<Item: fmt::Display>>(&mut self, cells: I) {
        self.table
            .add_row(cells.into_iter().map(|cell| Cell::new(cell.to_string())));
    }

    /// Whether no row was added.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.table.is_empty()
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut table = self.table.clone();
        for &index in &self.right {
            if let Some(column) = table.column_mut(index) {
                column.set_cell_alignment(CellAlignment::Right);
            }
        }
        let text = table.to_string();
        // The last column is padded, too; nobody sees that, and diffs of saved output do.
        let mut lines = text.lines().map(str::trim_end);
        if let Some(first) = lines.next() {
            f.write_str(first)?;
        }
        lines.try_for_each(|line| write!(f, "\n{line}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::style::BAD;

    fn plain(table: &Table) -> String {
        anstream::adapter::strip_str(&table.to_string()).to_string()
    }

    #[test]
    fn columns_line_up_also_with_colour() {
        let mut table = Table::new(["name", "runs"]).align_right(1);
        assert!(table.is_empty());
        table.add_row(["native", "5"]);
        table.add_row([format!("{BAD}qemu{BAD:#}"), "1200".to_owned()]);
        assert_eq!(plain(&table), " name    runs\n native     5\n qemu    1200");
    }

    #[test]
    fn a_narrow_terminal_wraps_instead_of_overflowing() {
        let mut table = Table::new(["a", "b"]).fit(Some(20));
        table.add_row(["x", "many words that do not fit into it"]);
        assert!(
            plain(&table).lines().all(|line| line.len() <= 20),
            "{}",
            plain(&table)
        );
    }
}
