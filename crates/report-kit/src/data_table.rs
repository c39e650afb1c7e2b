//! Rows of figures for people, for programs and for spreadsheets, from one description.

use std::borrow::Cow;
use std::time::Duration;

use cli_kit::{Table, units};
use serde_json::{Map, Number, Value};

use crate::format_number;

/// One figure.
#[derive(Clone, Debug, PartialEq)]
pub enum Figure {
    /// Words.
    Text(String),
    /// A number of things.
    Count(u64),
    /// A number that names something, such as a block.
    Id(i64),
    /// A share, from 0 to 1.
    Share(f64),
    /// A time in seconds.
    Seconds(f64),
    /// Things a second.
    Rate(f64),
    /// A point in time, in milliseconds since the Unix epoch, UTC.
    Time(i64),
    /// A day, UTC, by its first moment in milliseconds since the Unix epoch.
    Day(i64),
    /// There is none.
    Nothing,
}

/// Rows with the same columns.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DataTable {
    columns: Vec<&'static str>,
    rows: Vec<Vec<Figure>>,
}

impl DataTable {
    /// A table without rows. Names of columns are those of fields for programs.
    #[must_use]
    pub fn new<const N: usize>(columns: [&'static str; N]) -> Self {
        Self {
            columns: columns.into(),
            rows: Vec::new(),
        }
    }

    /// Adds a row, a figure for each column.
    pub fn push(&mut self, row: Vec<Figure>) {
        debug_assert_eq!(row.len(), self.columns.len(), "a figure a column");
        self.rows.push(row);
    }

    /// Names of the columns.
    #[must_use]
    pub fn columns(&self) -> &[&'static str] {
        &self.columns
    }

    /// The rows, a figure a column each.
    #[must_use]
    pub fn rows(&self) -> &[Vec<Figure>] {
        &self.rows
    }

    /// Whether there are no rows.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// For people.
    #[must_use]
    pub fn render_text(&self, width: Option<u16>) -> String {
        let mut table = Table::new(self.columns.iter().map(|name| name.replace('_', " ")));
        for index in 0..self.columns.len() {
            let is_number = |row: &Vec<Figure>| !matches!(row[index], Figure::Text(_));
            if self.rows.iter().all(is_number) {
                table = table.align_right(index);
            }
        }
        let mut table = table.fit(width);
        for row in &self.rows {
            table.add_row(row.iter().map(Figure::for_people));
        }
        table.to_string()
    }

    /// For programs: an object a row.
    #[must_use]
    pub fn to_json_objects(&self) -> Vec<Value> {
        let object = |row: &Vec<Figure>| {
            let fields = self.columns.iter().zip(row);
            let fields = fields.map(|(name, figure)| ((*name).to_owned(), figure.for_programs()));
            Value::Object(fields.collect::<Map<_, _>>())
        };
        self.rows.iter().map(object).collect()
    }

    /// For spreadsheets, as RFC 4180 has it: names of columns first, lines that end in CR and LF.
    #[must_use]
    pub fn render_csv(&self) -> String {
        let mut text = csv_line(self.columns.iter().copied());
        for row in &self.rows {
            text += &csv_line(row.iter().map(Figure::for_spreadsheets));
        }
        text
    }
}

/// A line of CSV as RFC 4180 has it.
#[must_use]
pub fn csv_line<T: AsRef<str>>(fields: impl IntoIterator<Item = T>) -> String {
    let mut line = String::new();
    for (index, field) in fields.into_iter().enumerate() {
        if index > 0 {
            line.push(',');
        }
        let field = field.as_ref();
        if field.contains(['"', ',', '\r', '\n']) {
            line.push('"');
            line += &field.replace('"', "\"\"");
            line.push('"');
        } else {
            line += field;
        }
    }
    line + "\r\n"
}

impl Figure {
    fn for_people(&self) -> String {
        match self {
            Self::Text(text) => text.clone(),
            Self::Count(count) => format_number(*count),
            Self::Id(id) => id.to_string(),
            // What is not all must not look like all.
            Self::Share(share) if *share < 1.0 && *share > 0.99995 => "> 99.99 %".to_owned(),
            Self::Share(share) => format!("{:.2} %", share * 100.0),
            Self::Seconds(seconds) => units::format_duration(Duration::from_secs_f64(seconds.max(0.0))),
            Self::Rate(rate) => units::format_rate(*rate),
            Self::Time(time) => moment(*time),
            Self::Day(start) => date(*start),
            Self::Nothing => "-".to_owned(),
        }
    }

    fn for_programs(&self) -> Value {
        match self {
            Self::Text(text) => Value::from(text.as_str()),
            Self::Count(count) => Value::from(*count),
            Self::Id(number) | Self::Time(number) | Self::Day(number) => Value::from(*number),
            Self::Share(number) | Self::Seconds(number) | Self::Rate(number) => {
                Number::from_f64(*number).map_or(Value::Null, Value::Number)
            }
            Self::Nothing => Value::Null,
        }
    }

    /// As a field of CSV, before it is quoted.
    #[must_use]
    pub fn for_spreadsheets(&self) -> Cow<'_, str> {
        match self {
            Self::Text(text) => text.as_str().into(),
            Self::Count(count) => count.to_string().into(),
            Self::Id(number) => number.to_string().into(),
            Self::Share(number) | Self::Seconds(number) | Self::Rate(number) => number.to_string().into(),
            Self::Time(time) => moment(*time).into(),
            Self::Day(start) => date(*start).into(),
            Self::Nothing => "".into(),
        }
    }
}

/// A point in time as `2026-11-28 09:30:00`, UTC.
fn moment(milliseconds: i64) -> String {
    let second = milliseconds.div_euclid(1000).rem_euclid(86_400);
    format!(
        "{} {:02}:{:02}:{:02}",
        date(milliseconds),
        second / 3600,
        second / 60 % 60,
        second % 60
    )
}

/// Its day as `2026-11-28`, UTC.
fn date(milliseconds: i64) -> String {
    let (year, month, day) = civil(milliseconds.div_euclid(86_400_000));
    format!("{year:04}-{month:02}-{day:02}")
}

/// The date of a day since the Unix epoch: <https://howardhinnant.github.io/date_algorithms.html#civil_from_days>.
fn civil(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let of_era = days.rem_euclid(146_097);
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (year + era * 400 + i64::from(month <= 2), month, day)
}

const BARS: [char; 8] = [
    '\u{2581}', '\u{2582}', '\u{2583}', '\u{2584}', '\u{2585}', '\u{2586}', '\u{2587}', '\u{2588}',
];

/// Values as a line of bars, the lowest lowest. All are alike where they do not differ.
#[must_use]
pub fn render_sparkline(values: &[f64]) -> String {
    let least = values.iter().copied().fold(f64::INFINITY, f64::min);
    let most = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let bar = |value: &f64| {
        let share = (value - least) / (most - least);
        // What is not a number (nothing differs) is the lowest.
        BARS[((share * 7.0).round() as usize).min(7)]
    };
    values.iter().map(bar).collect()
}

/// The 95 % confidence interval of a share by Wilson's score: how large the share may really be when `part` of `whole`
/// showed. Everything from 0 to 1 when there is nothing.
#[must_use]
pub fn wilson_interval(part: u64, whole: u64) -> (f64, f64) {
    const Z: f64 = 1.959_963_984_540_054;
    if whole == 0 {
        return (0.0, 1.0);
    }
    let (count, share) = (whole as f64, part as f64 / whole as f64);
    let spread = Z * Z / count;
    let middle = (share + spread / 2.0) / (1.0 + spread);
    let half = Z / (1.0 + spread) * (share * (1.0 - share) / count + spread / (4.0 * count)).sqrt();
    ((middle - half).max(0.0), (middle + half).min(1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_table_has_three_forms() {
        let mut table = DataTable::new(["name", "runs", "success_rate", "started", "day", "seconds"]);
        table.push(vec![
            Figure::Text("a \"b\", c".to_owned()),
            Figure::Count(1234),
            Figure::Share(0.5),
            Figure::Time(1_795_858_200_123),
            Figure::Day(1_795_824_000_000),
            Figure::Nothing,
        ]);
        assert_eq!(
            table.render_csv(),
            "name,runs,success_rate,started,day,seconds\r\n\"a \"\"b\"\", c\",1234,0.5,2026-11-28 09:30:00,2026-11-28,\r\n"
        );
        assert_eq!(
            table.to_json_objects()[0].to_string(),
            "{\"day\":1795824000000,\"name\":\"a \\\"b\\\", c\",\"runs\":1234,\"seconds\":null,\"started\":1795858200123,\"success_rate\":0.5}"
        );
        let text = table.render_text(None);
        assert!(
            text.contains("success rate")
                && text.contains("1,234")
                && text.contains("50.00 %")
                && text.contains("2026-11-28  "),
            "{text}"
        );
    }

    #[test]
    fn days_are_counted_over_leap_years() {
        assert_eq!(moment(0), "1970-01-01 00:00:00");
        assert_eq!(moment(951_782_400_000), "2000-02-29 00:00:00");
        assert_eq!(moment(-1000), "1969-12-31 23:59:59");
    }

    /// Values of R's `binom.confint(method = "wilson")`.
    #[test]
    fn intervals_are_those_of_wilson() {
        let near = |(least, most): (f64, f64), expected: (f64, f64)| {
            assert!(
                (least - expected.0).abs() < 5e-5 && (most - expected.1).abs() < 5e-5,
                "{least} {most}"
            );
        };
        near(wilson_interval(0, 10), (0.0, 0.27753));
        near(wilson_interval(5, 10), (0.23659, 0.76341));
        near(wilson_interval(10, 10), (0.72247, 1.0));
        near(wilson_interval(0, 0), (0.0, 1.0));
    }

    #[test]
    fn bars_go_from_the_least_to_the_most() {
        assert_eq!(render_sparkline(&[1.0, 2.0, 1.5]), "\u{2581}\u{2588}\u{2585}");
        assert_eq!(render_sparkline(&[1.0, 1.0]), "\u{2581}\u{2581}");
        assert_eq!(render_sparkline(&[]), "");
    }
}
