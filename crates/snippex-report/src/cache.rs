//! The cache of verdicts: what it did for a check, what it holds, and why a block is in it or not.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use cli_kit::style::{FAINT, GOOD, HEADING, UNSURE};
use cli_kit::{Table, units};
use serde::Serialize;

use crate::{format_count, format_number, format_percent, render_headerless_table};

/// What a cache did for a check.
#[derive(Clone, Debug, Default, Serialize)]
pub struct CacheUseView {
    /// Blocks that were looked up.
    pub looked_up: u64,
    /// Those of them whose verdict was there, so that they were not run again.
    pub hits: u64,
    /// Others that were known to diverge: only the cases that did were run again.
    pub diverging: u64,
    /// Verdicts that were stored.
    pub stored: u64,
    /// Seconds that it had taken to find the hits out.
    pub saved_s: f64,
}

/// One line about it; `None` when nothing was there.
#[must_use]
pub fn use_text(cache: &CacheUseView) -> Option<String> {
    let hits = (cache.hits > 0).then(|| {
        format!(
            "{} ({}) came from the cache, which saved {}",
            format_count(cache.hits, "block"),
            format_percent(cache.hits, cache.looked_up),
            units::format_duration(Duration::from_secs_f64(cache.saved_s.max(0.0)))
        )
    });
    let diverging = (cache.diverging > 0).then(|| {
        format!(
            "of {} that diverged before, only the diverging cases were run again",
            format_count(cache.diverging, "block")
        )
    });
    let parts: Vec<String> = hits.into_iter().chain(diverging).collect();
    (!parts.is_empty()).then(|| parts.join("; "))
}

/// What a cache holds.
#[derive(Clone, Debug, Default, Serialize)]
pub struct CacheStatsView {
    /// Where it is.
    pub path: String,
    /// Size of its file in bytes.
    pub file_bytes: u64,
    /// Size of its entries in bytes.
    pub bytes: u64,
    /// Largest size of its entries in bytes.
    pub max_bytes: u64,
    /// Verdicts on blocks.
    pub entries: u64,
    /// Different surroundings: engines, seeds, versions.
    pub contexts: Vec<CachedContextView>,
    /// Seconds that it took to find out what is there.
    pub cost_s: f64,
    /// Age of the oldest entry in seconds.
    pub oldest_s: Option<f64>,
    /// Oldest age in seconds that is believed.
    pub ttl_s: f64,
}

/// Verdicts that share everything but the block.
#[derive(Clone, Debug, Default, Serialize)]
pub struct CachedContextView {
    /// Verdicts on blocks.
    pub entries: u64,
    /// Their size in bytes.
    pub bytes: u64,
    /// Seconds since one of them was used.
    pub unused_s: Option<f64>,
    /// The parts of the key that they share.
    pub parts: BTreeMap<String, String>,
}

/// The statistics for people.
#[must_use]
pub fn stats_text(stats: &CacheStatsView, width: Option<u16>) -> String {
    let age = |seconds: Option<f64>| seconds.map_or_else(|| "-".to_owned(), span);
    let mut table = Table::new(Vec::<String>::new());
    let mut row = |name: &str, value: String| table.add_row([name.to_owned(), value]);
    row("file", stats.path.clone());
    row("entries", format_number(stats.entries));
    let each = stats.bytes.checked_div(stats.entries).unwrap_or_default();
    row(
        "size",
        format!(
            "{} of at most {}, {each} bytes an entry; the file has {}",
            units::format_bytes(stats.bytes),
            units::format_bytes(stats.max_bytes),
            units::format_bytes(stats.file_bytes)
        ),
    );
    row(
        "oldest",
        format!(
            "{}; at most {} is believed",
            age(stats.oldest_s),
            span(stats.ttl_s)
        ),
    );
    row("worth", format!("{} of running blocks", span(stats.cost_s)));
    let mut text = render_headerless_table(&table);
    if !stats.contexts.is_empty() {
        let mut table = Table::new(["reference", "subject", "seed", "states", "entries", "last used"])
            .align_right(3)
            .align_right(4)
            .fit(width);
        for context in &stats.contexts {
            let part = |name: &str| context.parts.get(name).cloned().unwrap_or_default();
            table.add_row([
                part("reference: name"),
                format!(
                    "{} {FAINT}{}{FAINT:#}",
                    part("subject: name"),
                    part("subject: version")
                ),
                part("seed"),
                part("states"),
                format_number(context.entries),
                age(context.unused_s) + " ago",
            ]);
        }
        write!(text, "\n{table}").expect("writing to a string cannot fail");
    }
    text
}

/// Why a block is in the cache or not.
#[derive(Clone, Debug, Serialize)]
pub struct ExplanationView {
    /// Number of the block in the database.
    pub block: i64,
    /// `hit`, `diverging`, `too-old`, `memory-changed`, `missing` or `unusable`.
    pub answer: &'static str,
    /// The same in words.
    pub why: String,
    /// The parts of its key.
    pub parts: BTreeMap<String, String>,
    /// Verdicts on the same block that were found out otherwise, and in which parts.
    pub others: Vec<OtherContextView>,
}

/// A verdict on the same block in other surroundings.
#[derive(Clone, Debug, Serialize)]
pub struct OtherContextView {
    /// Age in seconds.
    pub age_s: f64,
    /// Names of the parts of the key that differ.
    pub differing: Vec<String>,
}

/// The explanation for people.
#[must_use]
pub fn explanation_text(explanation: &ExplanationView) -> String {
    let style = if matches!(explanation.answer, "hit" | "diverging") {
        GOOD
    } else {
        UNSURE
    };
    let mut text = format!(
        "{HEADING}block {}{HEADING:#}: {style}{}{style:#}, {}",
        explanation.block, explanation.answer, explanation.why
    );
    for other in &explanation.others {
        write!(
            text,
            "\n  an entry of {} ago differs in {}",
            span(other.age_s),
            other.differing.join(", ")
        )
        .expect("writing to a string cannot fail");
    }
    text
}

/// Seconds as people read them.
fn span(seconds: f64) -> String {
    let days = seconds / 86_400.0;
    if days >= 2.0 {
        format!("{days:.0} days")
    } else {
        units::format_duration(Duration::from_secs_f64(seconds.max(0.0)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hit_ratio_is_told_when_there_were_hits() {
        let mut used = CacheUseView {
            looked_up: 200,
            ..CacheUseView::default()
        };
        assert_eq!(use_text(&used), None);
        (used.hits, used.saved_s) = (199, 90.0);
        assert_eq!(
            use_text(&used).unwrap(),
            "199 blocks (99.5 %) came from the cache, which saved 1 m 30 s"
        );
        used.diverging = 1;
        assert!(
            use_text(&used)
                .unwrap()
                .ends_with("; of 1 block that diverged before, only the diverging cases were run again")
        );
    }
}
