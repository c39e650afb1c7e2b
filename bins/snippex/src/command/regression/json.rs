//! A baseline as JSON, for other programs.

use std::collections::BTreeMap;

use cli_kit::{Failure, OrFail};
use serde::{Deserialize, Serialize};
use snippex_session::{Approval, Approved, Baseline, BlockVerdict, ContentKey, Section, SectionKey};

/// Version of the form.
const VERSION: u32 = 1;

/// The document.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    version: u32,
    sections: Vec<SectionView>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SectionView {
    #[serde(rename = "of")]
    key: SectionKey,
    accepted_blocks: BTreeMap<ContentKey, Approval>,
    accepted_bugs: BTreeMap<String, Approval>,
    blocks: BTreeMap<ContentKey, BlockVerdict>,
}

/// The document of a baseline.
pub(super) fn baseline_to_json(baseline: &Baseline) -> serde_json::Value {
    let sections = baseline.sections.iter().map(|(key, section)| {
        let mut view = SectionView {
            key: key.clone(),
            accepted_blocks: BTreeMap::new(),
            accepted_bugs: BTreeMap::new(),
            blocks: section.verdicts.clone(),
        };
        for (approved, approval) in section.approvals.clone() {
            match approved {
                Approved::Block(block) => drop(view.accepted_blocks.insert(block, approval)),
                Approved::Bug(bug) => drop(view.accepted_bugs.insert(bug, approval)),
            }
        }
        view
    });
    let document = Document {
        version: VERSION,
        sections: sections.collect(),
    };
    serde_json::to_value(document).expect("plain data is JSON")
}

/// The baseline of a document.
pub(super) fn baseline_from_json(text: &str) -> Result<Baseline, Failure> {
    let hint = "give what `snippex regression export` printed";
    let document: Document = serde_json::from_str(text)
        .or_fail("this is no baseline in JSON")
        .map_err(|failure| failure.hint(hint))?;
    if document.version != VERSION {
        let version = document.version;
        return Err(Failure::new(format!(
            "the baseline has version {version}, this snippex reads {VERSION}"
        ))
        .hint(hint));
    }
    let mut baseline = Baseline::default();
    for view in document.sections {
        let blocks = view.accepted_blocks.into_iter();
        let bugs = view.accepted_bugs.into_iter();
        let approvals = blocks.map(|(block, approval)| (Approved::Block(block), approval));
        let approvals = approvals.chain(bugs.map(|(bug, approval)| (Approved::Bug(bug), approval)));
        let section = Section {
            verdicts: view.blocks,
            approvals: approvals.collect(),
        };
        baseline.sections.insert(view.key, section);
    }
    // What cannot be written as text and read again is not taken.
    Baseline::parse(&baseline.render_text())
        .or_fail("a name in it has spaces or is empty")
        .map_err(|failure| failure.hint(hint))
}
