//! The lines that go to the process and come back: one request, one answer.

use serde::{Deserialize, Serialize};

use super::AnalyticsError;

/// The version of the lines.
pub const PROTOCOL: u32 = 1;
/// Series of one request at most.
pub const MAX_SERIES: usize = 200;
/// Values of a series at most: the newest.
pub const MAX_VALUES: usize = 500;
/// Findings that are taken from one answer.
pub const MAX_FINDINGS: usize = 50;
/// Characters of a finding that are kept.
const MAX_TEXT: usize = 300;

/// What the process is asked.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Request {
    /// The series to look at.
    pub series: Vec<SeriesValues>,
}

/// One series.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SeriesValues {
    /// The benchmark's name.
    pub name: String,
    /// The base unit.
    pub unit: String,
    /// `smaller-is-better` or `bigger-is-better`.
    pub direction: String,
    /// Earlier values, oldest first.
    pub history: Vec<f64>,
    /// The value that is judged, if there is one.
    pub current: Option<f64>,
}

/// What the process saw.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Finding {
    /// The name of the series, as it was given.
    pub series: String,
    /// `trend`, `season`, `anomaly`, or a word of its own.
    pub kind: String,
    /// How strong it is, 0 to 1.
    pub score: f64,
    /// For people, in one sentence.
    pub text: String,
}

#[derive(Serialize)]
struct RequestLine<'a> {
    protocol: u32,
    id: u64,
    #[serde(flatten)]
    request: &'a Request,
}

#[derive(Deserialize)]
struct AnalyticsAnswer {
    id: u64,
    findings: Vec<Finding>,
}

/// The request as a line.
pub(super) fn write_request(id: u64, request: &Request) -> Vec<u8> {
    let line = RequestLine {
        protocol: PROTOCOL,
        id,
        request,
    };
    let mut text = serde_json::to_vec(&line).expect("a request is plain data");
    text.push(b'\n');
    text
}

/// The findings of an answer to request `id`.
pub(super) fn read_findings(id: u64, line: &[u8]) -> Result<Vec<Finding>, AnalyticsError> {
    let answer: AnalyticsAnswer =
        serde_json::from_slice(line).map_err(|error| AnalyticsError::Garbage(error.to_string()))?;
    if answer.id != id {
        let reason = format!("it answered request {} instead of {id}", answer.id);
        return Err(AnalyticsError::Garbage(reason));
    }
    let clean = |finding: Finding| Finding {
        text: finding
            .text
            .chars()
            .filter(|c| !c.is_control())
            .take(MAX_TEXT)
            .collect(),
        ..finding
    };
    let usable = |finding: &Finding| finding.score.is_finite() && !finding.text.trim().is_empty();
    let mut findings: Vec<Finding> = answer.findings.into_iter().filter(usable).map(clean).collect();
    findings.sort_by(|a, b| b.score.total_cmp(&a.score));
    findings.truncate(MAX_FINDINGS);
    Ok(findings)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_taken_only_for_its_own_request() {
        let line = br#"{"id": 7, "findings": [{"series": "a", "kind": "trend", "score": 0.5, "text": "up\u0007 3 %"}], "more": 1}"#;
        assert_eq!(read_findings(7, line).unwrap()[0].text, "up 3 %");
        assert!(read_findings(8, line).is_err());
        for bad in [
            "",
            "{}",
            "[]",
            "{\"id\": 7}",
            "null",
            "{\"id\":7,\"findings\":[{}]}",
        ] {
            assert!(read_findings(7, bad.as_bytes()).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_strongest_findings_are_kept() {
        let one = |score: usize| format!(r#"{{"series":"a","kind":"trend","score":{score},"text":"t"}}"#);
        let all: Vec<String> = (0..200).map(one).collect();
        let findings = read_findings(
            1,
            format!("{{\"id\":1,\"findings\":[{}]}}", all.join(",")).as_bytes(),
        )
        .unwrap();
        assert_eq!((findings.len(), findings[0].score), (MAX_FINDINGS, 199.0));
    }
}
