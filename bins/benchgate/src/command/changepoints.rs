//! `benchgate changepoints`: the detector over any series.

use std::collections::BTreeMap;

use cli_kit::{ExitStatus, Failure, OrFail, Table};
use regress_core::detect::{ChangePoint, ChangePointSettings, change_points};
use serde::Serialize;

use crate::app::App;
use crate::args::{ChangepointsArgs, Format};
use crate::files;

/// A change point as it is printed.
#[derive(Debug, Serialize)]
struct FoundChange {
    index: usize,
    before: f64,
    after: f64,
    percent: Option<f64>,
    p: f64,
}

/// Runs the command.
pub(crate) fn run(app: &App<'_>, args: &ChangepointsArgs) -> Result<ExitStatus, Failure> {
    let bytes = files::read_result_file(&args.file)?;
    let name = args.file.display().to_string();
    let series = parse(&name, &bytes)?;
    if series.is_empty() {
        return Err(Failure::new(format!("{name} holds no series of numbers"))
            .hint("give CSV with a header line and a column a series, or JSON {\"name\": [v1, v2, ...]}"));
    }
    let settings = ChangePointSettings::default();
    let found: Vec<(&str, Vec<ChangePoint>)> = series
        .iter()
        .map(|(name, values)| (name.as_str(), change_points(values, &settings)))
        .collect();
    if app.format == Format::Json {
        let listed = |point: &ChangePoint| FoundChange {
            index: point.index,
            before: point.before,
            after: point.after,
            percent: point.percent,
            p: point.p,
        };
        let all = found
            .iter()
            .map(|(name, points)| (*name, points.iter().map(listed).collect::<Vec<_>>()));
        app.printer.print_json(&all.collect::<BTreeMap<_, _>>())?;
        return Ok(ExitStatus::NothingFound);
    }
    let names = ["series", "index", "before", "after", "percent", "p"];
    let mut table = Table::new(names)
        .align_right(1)
        .align_right(2)
        .align_right(3)
        .align_right(4)
        .align_right(5)
        .fit(app.printer.width());
    for (name, points) in &found {
        for point in points {
            table.add_row([
                (*name).to_owned(),
                point.index.to_string(),
                format!("{:.6}", Number(point.before)),
                format!("{:.6}", Number(point.after)),
                point
                    .percent
                    .map_or_else(|| "–".to_owned(), |percent| format!("{percent:+.1}")),
                format!("{:.2e}", point.p),
            ]);
        }
    }
    if table.is_empty() {
        app.printer
            .print_note(format_args!("no change points in {} series", found.len()));
    } else {
        app.printer.print_line(&table)?;
    }
    Ok(ExitStatus::NothingFound)
}

/// A number of any size, short.
struct Number(f64);

impl std::fmt::Display for Number {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let size = self.0.abs();
        if size != 0.0 && !(1e-3..1e9).contains(&size) {
            write!(f, "{:.4e}", self.0)
        } else {
            let text = format!("{:.6}", self.0);
            f.write_str(text.trim_end_matches('0').trim_end_matches('.'))
        }
    }
}

/// The series of a file, in its order.
fn parse(name: &str, bytes: &[u8]) -> Result<Vec<(String, Vec<f64>)>, Failure> {
    let text = std::str::from_utf8(bytes).or_fail_with(|| format!("cannot read {name}"))?;
    let text = text.trim_start_matches('\u{feff}');
    if text.trim_start().starts_with('{') {
        let series: BTreeMap<String, Vec<Option<f64>>> = serde_json::from_str(text)
            .or_fail_with(|| format!("{name} is not JSON of the form {{\"name\": [v1, v2, ...]}}"))?;
        let values = |values: Vec<Option<f64>>| {
            values
                .into_iter()
                .map(|value| value.unwrap_or(f64::NAN))
                .collect()
        };
        return Ok(series
            .into_iter()
            .map(|(name, list)| (name, values(list)))
            .collect());
    }
    csv(name, text)
}

/// A column a series. Columns without any number (dates, commits) are left out; an empty cell is a gap.
fn csv(name: &str, text: &str) -> Result<Vec<(String, Vec<f64>)>, Failure> {
    let mut lines = text
        .lines()
        .enumerate()
        .filter(|(_, line)| !line.trim().is_empty())
        .peekable();
    let Some((_, first)) = lines.peek() else {
        return Ok(Vec::new());
    };
    let separator = [';', '\t']
        .into_iter()
        .find(|separator| first.contains(*separator))
        .unwrap_or(',');
    let cells = |line: &str| -> Vec<String> {
        line.split(separator)
            .map(|cell| cell.trim().trim_matches('"').to_owned())
            .collect()
    };
    let header = cells(first);
    let has_header = header
        .iter()
        .any(|cell| !cell.is_empty() && cell.parse::<f64>().is_err());
    let names: Vec<String> = if has_header {
        lines.next();
        header
    } else {
        (1..=header.len())
            .map(|column| format!("column {column}"))
            .collect()
    };
    let mut columns = vec![Vec::new(); names.len()];
    for (index, line) in lines {
        let row = cells(line);
        if row.len() > names.len() {
            return Err(Failure::new(format!(
                "{name}:{}: {} cells, but the first line has {}",
                index + 1,
                row.len(),
                names.len()
            )));
        }
        for (column, values) in columns.iter_mut().enumerate() {
            values.push(
                row.get(column)
                    .map_or(f64::NAN, |cell| cell.parse().unwrap_or(f64::NAN)),
            );
        }
    }
    let all = names.into_iter().zip(columns);
    Ok(all
        .filter(|(_, values): &(_, Vec<f64>)| values.iter().any(|value| value.is_finite()))
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_and_objects_are_read() {
        let table = parse("x", b"commit,a,b\nabc,1,2\ndef,,3.5\n").unwrap();
        assert_eq!(table.len(), 2);
        assert_eq!(table[1], ("b".to_owned(), vec![2.0, 3.5]));
        assert!(table[0].1[1].is_nan(), "an empty cell is a gap");
        assert_eq!(
            parse("x", b"1\n2\n3\n").unwrap(),
            [("column 1".to_owned(), vec![1.0, 2.0, 3.0])]
        );
        let object = parse("x", br#"{"s": [1, null, 2.5]}"#).unwrap();
        assert!(object[0].1[1].is_nan() && object[0].1[2] == 2.5);
    }

    #[test]
    fn mistakes_name_file_and_line() {
        assert!(
            parse("f.csv", b"a,b\n1,2,3\n")
                .unwrap_err()
                .to_string()
                .starts_with("f.csv:2:")
        );
        assert!(
            parse("f.json", b"{\"s\": [1, 2")
                .unwrap_err()
                .to_string()
                .contains("f.json")
        );
        assert!(parse("f.json", b"{\"s\": 3}").is_err());
        assert!(parse("f", &[0xff, 0xfe]).is_err());
        assert_eq!(parse("f", b"").unwrap(), []);
    }
}
