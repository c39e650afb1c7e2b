//! Tables for people: columns, no frame, numbers to the right.

use std::borrow::Cow;
use std::fmt;

use anstream::adapter::strip_str;
use comfy_table::{Cell, CellAlignment, ColumnConstraint, ContentArrangement, Width, presets};

use crate::printer::keep_colors_only;
use crate::style::HEADING;

/// Blanks around what stands in a column.
const PADDING: usize = 2;

/// A table that is built row by row and shown through [`Display`](fmt::Display).
///
/// Cells may carry the colours of [`crate::style`]; of what else controls a terminal nothing is shown.
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
    columns: Vec<String>,
    rows: Vec<Vec<String>>,
    right: Vec<usize>,
    width: Option<u16>,
}

impl Table {
    /// A table with these column names.
    #[must_use]
    pub fn new<I: IntoIterator<Item: fmt::Display>>(columns: I) -> Table {
        Table {
            columns: columns.into_iter().map(|name| name.to_string()).collect(),
            rows: Vec::new(),
            right: Vec::new(),
            width: None,
        }
    }

    /// Sets the column with this index (from 0) to the right, as numbers want it.
    #[must_use]
    pub fn align_right(mut self, column: usize) -> Table {
        self.right.push(column);
        self
    }

    /// Fits the table into so many columns of a terminal; `None` changes nothing. Long cells are wrapped between words, and
    /// where that does not do each row is shown as lines of its own, one a column.
    #[must_use]
    pub fn fit(mut self, width: Option<u16>) -> Table {
        self.width = width;
        self
    }

    /// Adds a row.
    pub fn add_row<I: IntoIterator<Item: fmt::Display>>(&mut self, cells: I) {
        let cell = |cell: I::Item| match keep_colors_only(&cell.to_string(), false) {
            Cow::Borrowed(text) => text.to_owned(),
            Cow::Owned(text) => text,
        };
        self.rows.push(cells.into_iter().map(cell).collect());
    }

    /// Whether no row was added.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The longest word of each column, in characters; no single one asks for more than half of `width`.
    fn longest_words(&self, width: usize) -> Vec<usize> {
        let mut longest = vec![0; self.columns.len()];
        for row in [&self.columns].into_iter().chain(&self.rows) {
            for (longest, cell) in longest.iter_mut().zip(row) {
                let plain = strip_str(cell).to_string();
                let words = plain.split(' ').map(|word| word.chars().count());
                *longest = words.max().unwrap_or_default().max(*longest);
            }
        }
        longest.into_iter().map(|word| word.min(width / 2)).collect()
    }

    fn as_columns(&self, limits: Option<(u16, &[usize])>) -> String {
        let mut table = comfy_table::Table::new();
        table
            .load_style(presets::NOTHING)
            .set_content_arrangement(ContentArrangement::Disabled)
            .set_header(
                self.columns
                    .iter()
                    .map(|name| Cell::new(format!("{HEADING}{name}{HEADING:#}"))),
            );
        for row in &self.rows {
            table.add_row(row.iter().map(Cell::new));
        }
        if let Some((width, words)) = limits {
            table
                .set_content_arrangement(ContentArrangement::Dynamic)
                .set_width(width);
            for (index, word) in words.iter().enumerate() {
                let least = u16::try_from(word + PADDING).unwrap_or(width);
                if let Some(column) = table.column_mut(index) {
                    column.set_constraint(ColumnConstraint::LowerBoundary(Width::Fixed(least)));
                }
            }
        }
        for &index in &self.right {
            if let Some(column) = table.column_mut(index) {
                column.set_cell_alignment(CellAlignment::Right);
            }
        }
        table.to_string()
    }

    /// Each row as lines of its own: name and cell.
    fn as_records(&self) -> String {
        let names = self.columns.iter().map(|name| name.chars().count());
        let width = names.max().unwrap_or_default();
        let mut text = String::new();
        for row in &self.rows {
            if !text.is_empty() {
                text.push('\n');
            }
            for (name, cell) in self.columns.iter().zip(row) {
                text += &format!(" {HEADING}{name:width$}{HEADING:#}  {cell}\n");
            }
        }
        text
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match self.width {
            None => self.as_columns(None),
            Some(width) => {
                let words = self.longest_words(width.into());
                let needed: usize = words.iter().map(|word| word + PADDING).sum();
                if needed > width.into() && !self.is_empty() {
                    self.as_records()
                } else {
                    self.as_columns(Some((width, &words)))
                }
            }
        };
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
        strip_str(&table.to_string()).to_string()
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
    fn a_narrow_terminal_wraps_between_words_instead_of_overflowing() {
        let mut table = Table::new(["a", "b"]).fit(Some(20));
        table.add_row(["something", "many words that do not fit into it"]);
        let text = plain(&table);
        assert!(text.lines().all(|line| line.len() <= 20), "{text}");
        for word in "something many words that do not fit into it".split(' ') {
            assert!(
                text.split_whitespace().any(|found| found == word),
                "{word}: {text}"
            );
        }
    }

    #[test]
    fn what_has_too_many_columns_is_shown_row_by_row() {
        let mut table = Table::new(["engine", "version", "runs"])
            .align_right(2)
            .fit(Some(20));
        table.add_row(["native", "10.0.2-long", "5"]);
        table.add_row(["qemu-x86_64", "7.2", "1200"]);
        assert_eq!(
            plain(&table),
            " engine   native\n version  10.0.2-long\n runs     5\n\n engine   qemu-x86_64\n version  7.2\n runs     1200"
        );
    }

    #[test]
    fn a_cell_can_neither_begin_a_line_nor_move_the_cursor() {
        let mut table = Table::new(["name"]);
        table.add_row(["a\nb\u{1b}[2J\u{1b}]0;title\u{7}c\r"]);
        let text = table.to_string();
        assert_eq!(text.lines().count(), 2, "{text:?}");
        assert!(
            !text.contains("\u{1b}[2J") && !text.contains("\u{1b}]"),
            "{text:?}"
        );
        assert!(!text.contains(['\r', '\u{7}']), "{text:?}");
    }
}
