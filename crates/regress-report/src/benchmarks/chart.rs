//! A row's history, or its two samples, as the chart to draw.

use super::Row;
use super::words::short_commit;
use crate::chart::{Band, Chart, Mark, Point, PointKind};

/// What there is to draw of a row.
pub(super) fn of_row(row: &Row) -> Chart {
    let joined = row.shows_history();
    let earlier = if joined {
        row.history.len()
    } else {
        row.before_values.len()
    };
    let commit = |index: usize| {
        row.commits
            .get(index)
            .filter(|_| joined)
            .map_or("", |commit| short_commit(commit))
    };
    let point = |(index, value): (usize, f64)| {
        let is_new = index >= earlier;
        Point {
            value,
            label: if is_new { "this run" } else { commit(index) }.to_owned(),
            href: None,
            day: String::new(),
            kind: if is_new { PointKind::Now } else { PointKind::Past },
        }
    };
    Chart {
        name: row.name.clone(),
        unit: row.unit.clone(),
        direction: row.direction,
        points: row.trend_values().into_iter().enumerate().map(point).collect(),
        marks: row
            .shifts
            .iter()
            .map(|shift| Mark {
                index: shift.index,
                before: shift.before,
                after: shift.after,
                machine: false,
                commit: commit(shift.index).to_owned(),
            })
            .collect(),
        band: row.band.map(|(low, high)| Band { low, high, from: 0 }),
        joined,
    }
}
