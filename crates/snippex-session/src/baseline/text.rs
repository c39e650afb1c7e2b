//! A baseline as text: one line a block or approval, sorted, so that it can be reviewed and merged.
//!
//! ```text
//! snippex baseline 1
//! engine qemu-x86_64 reference native seed 1 states 64
//! accept bug mxcsr-de until 2027-01-31 issue https://example.org/7 reason fixed in 9.2
//! fail 1fb0f5a0c2a7d5f0a1b2 mxcsr-de
//! pass 2b6e0d8b9b7e1cc0d3c1
//! ```

use std::collections::BTreeSet;
use std::fmt::Write as _;

use thiserror::Error;

use super::{Approval, Approved, Baseline, BlockVerdict, Section, SectionKey};

/// The first line.
const HEADER: &str = "snippex baseline 1";

/// The text is no baseline.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("line {line}: {reason}")]
pub struct BaselineError {
    /// From 1.
    pub line: usize,
    /// What is wrong with it.
    pub reason: String,
}

impl BaselineError {
    /// What the user can do about it.
    #[must_use]
    pub fn hint(&self) -> &'static str {
        "correct the line, or take the file from the repository again; docs/baselines.md describes it"
    }
}

impl Baseline {
    /// Reads the text. Empty lines and those that begin with `#` are left out.
    ///
    /// # Errors
    /// [`BaselineError`] with the line that is wrong.
    pub fn parse(text: &str) -> Result<Self, BaselineError> {
        let mut baseline = Self::default();
        let mut key: Option<SectionKey> = None;
        let mut is_first = true;
        for (index, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let wrong = |reason: String| BaselineError {
                line: index + 1,
                reason,
            };
            if std::mem::take(&mut is_first) {
                check_header(line).map_err(wrong)?;
                continue;
            }
            if line.starts_with("engine ") {
                let read = read_section(line).map_err(wrong)?;
                if baseline
                    .sections
                    .insert(read.clone(), Section::default())
                    .is_some()
                {
                    return Err(wrong(format!("there is a section of {read} already")));
                }
                key = Some(read);
                continue;
            }
            let section = key.as_ref().and_then(|key| baseline.sections.get_mut(key));
            let Some(section) = section else {
                return Err(wrong("a line `engine ...` has to stand before".to_owned()));
            };
            read_line(line, section).map_err(wrong)?;
        }
        if is_first {
            return Err(BaselineError {
                line: 1,
                reason: format!("there is no line `{HEADER}`"),
            });
        }
        Ok(baseline)
    }

    /// The text, which [`Baseline::parse`] reads.
    #[must_use]
    pub fn render_text(&self) -> String {
        let mut text = format!("{HEADER}\n");
        for (key, section) in &self.sections {
            let SectionKey {
                engine,
                reference,
                seed,
                states,
            } = key;
            line(
                &mut text,
                format_args!("engine {engine} reference {reference} seed {seed} states {states}"),
            );
            for (approved, approval) in &section.approvals {
                let kind = match approved {
                    Approved::Block(_) => "block",
                    Approved::Bug(_) => "bug",
                };
                let until = approval
                    .until
                    .map_or_else(String::new, |until| format!(" until {until}"));
                let issue = approval.issue.as_ref();
                let issue = issue.map_or_else(String::new, |issue| format!(" issue {issue}"));
                let reason = approval.reason.split_whitespace().collect::<Vec<_>>().join(" ");
                line(
                    &mut text,
                    format_args!("accept {kind} {approved}{until}{issue} reason {reason}"),
                );
            }
            for (block, verdict) in &section.verdicts {
                match verdict {
                    BlockVerdict::Pass => line(&mut text, format_args!("pass {block}")),
                    BlockVerdict::Open => line(&mut text, format_args!("open {block}")),
                    BlockVerdict::Fail(causes) => {
                        let causes: Vec<&str> = causes.iter().map(String::as_str).collect();
                        let causes = causes.join(" ");
                        let gap = if causes.is_empty() { "" } else { " " };
                        line(&mut text, format_args!("fail {block}{gap}{causes}"));
                    }
                }
            }
        }
        text
    }
}

fn line(text: &mut String, words: std::fmt::Arguments<'_>) {
    writeln!(text, "{words}").expect("writing to a string cannot fail");
}

fn check_header(line: &str) -> Result<(), String> {
    if line == HEADER {
        return Ok(());
    }
    Err(match line.strip_prefix("snippex baseline ") {
        Some(version) => format!("version {version} is of another snippex; this one reads version 1"),
        None => format!("a baseline begins with `{HEADER}`"),
    })
}

fn read_section(line: &str) -> Result<SectionKey, String> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let wrong = "write `engine NAME reference NAME seed N states N`";
    match words[..] {
        [
            "engine",
            engine,
            "reference",
            reference,
            "seed",
            seed,
            "states",
            states,
        ] => Ok(SectionKey {
            engine: engine.to_owned(),
            reference: reference.to_owned(),
            seed: seed.parse().map_err(|_| wrong)?,
            states: states.parse().map_err(|_| wrong)?,
        }),
        _ => Err(wrong.to_owned()),
    }
}

fn read_line(line: &str, section: &mut Section) -> Result<(), String> {
    let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
    if word == "accept" {
        let (approved, approval) = read_approval(rest)?;
        return match section.approvals.insert(approved.clone(), approval) {
            Some(_) => Err(format!("{approved} is accepted twice")),
            None => Ok(()),
        };
    }
    let mut words = rest.split_whitespace();
    let block = words.next().unwrap_or_default().parse()?;
    let verdict = match word {
        "pass" => BlockVerdict::Pass,
        "open" => BlockVerdict::Open,
        "fail" => BlockVerdict::Fail(words.by_ref().map(str::to_owned).collect::<BTreeSet<_>>()),
        "<<<<<<<" | "=======" | ">>>>>>>" => return Err("a merge was left unfinished here".to_owned()),
        _ => return Err(format!("{word:?} is none of accept, fail, open and pass")),
    };
    if let Some(more) = words.next() {
        return Err(format!("nothing stands behind the block, but there is {more:?}"));
    }
    match section.verdicts.insert(block, verdict) {
        Some(_) => Err(format!("block {block} is there twice")),
        None => Ok(()),
    }
}

fn read_approval(text: &str) -> Result<(Approved, Approval), String> {
    let wrong = "write `accept block|bug NAME [until YYYY-MM-DD] [issue URL] reason TEXT`";
    let (rest, reason) = text.split_once(" reason ").ok_or(wrong)?;
    let mut words = rest.split_whitespace();
    let approved = match (words.next(), words.next()) {
        (Some("block"), Some(name)) => Approved::Block(name.parse()?),
        (Some("bug"), Some(name)) => Approved::Bug(name.to_owned()),
        _ => return Err(wrong.to_owned()),
    };
    let mut approval = Approval {
        reason: reason.to_owned(),
        issue: None,
        until: None,
    };
    while let Some(word) = words.next() {
        let value = words.next().ok_or(wrong)?;
        match word {
            "until" => {
                let date = value
                    .parse()
                    .map_err(|_| format!("{value:?} is no date like 2027-01-31"))?;
                approval.until = Some(date);
            }
            "issue" => approval.issue = Some(value.to_owned()),
            _ => return Err(wrong.to_owned()),
        }
    }
    Ok((approved, approval))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "snippex baseline 1
engine qemu-x86_64 reference native seed 1 states 64
accept block 1fb0f5a0c2a7d5f0a1b2 reason seen before
accept bug mxcsr-de until 2027-01-31 issue https://example.org/7 reason fixed in 9.2
fail 1fb0f5a0c2a7d5f0a1b2 imul.flags mxcsr-de
pass 2b6e0d8b9b7e1cc0d3c1
open 3b6e0d8b9b7e1cc0d3c1
engine valgrind reference native seed 1 states 8
";

    #[test]
    fn a_baseline_is_written_as_it_is_read() {
        let baseline = Baseline::parse(TEXT).unwrap();
        assert_eq!(baseline.sections.len(), 2);
        assert_eq!(baseline.render_text(), TEXT);
        let commented = TEXT.replace("engine ", "\n# a comment\nengine ");
        assert_eq!(Baseline::parse(&commented).unwrap(), baseline);
    }

    #[test]
    fn what_is_wrong_is_told_with_its_line() {
        let broken = |from: &str, to: &str| Baseline::parse(&TEXT.replace(from, to)).unwrap_err().to_string();
        for (from, to, line, words) in [
            ("baseline 1", "baseline 2", 1, "version 2"),
            ("snippex baseline 1", "hello", 1, "begins with"),
            ("seed 1 states 64", "seed x states 64", 2, "engine NAME"),
            ("reason seen before", "", 3, "reason TEXT"),
            ("2027-01-31", "2027-13-31", 4, "no date"),
            (
                "fail 1fb0f5a0c2a7d5f0a1b2",
                "fail 1fb0",
                5,
                "20 hexadecimal digits",
            ),
            ("pass 2b6e", "passes 2b6e", 6, "none of"),
            ("3b6e0d8b9b7e1cc0d3c1", "2b6e0d8b9b7e1cc0d3c1", 7, "twice"),
            (
                "open 3b6e0d8b9b7e1cc0d3c1",
                "<<<<<<< 3b6e0d8b9b7e1cc0d3c1",
                7,
                "merge",
            ),
            (
                "engine valgrind reference native seed 1 states 8",
                "engine qemu-x86_64 reference native seed 1 states 64",
                8,
                "already",
            ),
        ] {
            let told = broken(from, to);
            assert!(
                told.starts_with(&format!("line {line}: ")) && told.contains(words),
                "{told}"
            );
        }
        assert!(Baseline::parse("").is_err());
        assert!(Baseline::parse("snippex baseline 1\npass 2b6e0d8b9b7e1cc0d3c1\n").is_err());
    }
}
