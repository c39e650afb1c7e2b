//! Findings as a table, for spreadsheets.

use super::model::ReportModel;
use crate::data_table::{DataTable, Figure};

/// A row a finding.
#[must_use]
pub fn findings_table(report: &ReportModel) -> DataTable {
    let mut table = DataTable::new([
        "signature",
        "bug",
        "kind",
        "instruction",
        "encoding",
        "extension",
        "fields",
        "status",
        "certainty",
        "runs",
        "blocks",
        "engines",
        "differences",
    ]);
    for finding in &report.findings {
        let text = |text: &str| Figure::Text(text.to_owned());
        table.push(vec![
            text(&finding.id),
            text(&finding.bug),
            text(&finding.kind),
            text(&finding.instruction),
            text(&finding.encoding),
            text(&finding.extension),
            Figure::Text(finding.fields.join(" ")),
            text(&finding.status),
            text(&finding.certainty),
            Figure::Count(finding.runs),
            Figure::Count(finding.blocks),
            Figure::Text(finding.engines.join("; ")),
            Figure::Text(finding.differences.join("; ")),
        ]);
    }
    table
}
