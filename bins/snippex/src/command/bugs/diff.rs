//! `snippex bugs diff`: what one version of an engine gets wrong and another does not.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use cli_kit::style::{BAD, FAINT, GOOD};
use cli_kit::{ExitStatus, Failure};
use serde::Serialize;
use serde_json::json;
use snippex_store::{EngineId, StoredBug};
use snippex_triage::cause::{Attribution, CauseId};
use snippex_triage::signature::CodeForm;

use super::{as_json, signature_views};
use crate::app::App;
use crate::bug_views::bug_views;
use crate::hints::OrUserError;
use snippex_report::bugs::{render_bug_list, render_signature_list};
use snippex_session::{Bugs, Wanted};

/// Bugs of one set of engines that the other does not show, and the other way round.
pub(super) fn run(
    app: &App<'_>,
    bugs: &Bugs<'_>,
    before: &str,
    after: &str,
    by_signature: bool,
) -> Result<ExitStatus, Failure> {
    let (old, new) = (
        bugs.engines_like(before).or_user_error()?,
        bugs.engines_like(after).or_user_error()?,
    );
    if let Some(both) = old.iter().find(|id| new.contains(id)) {
        return Err(Failure::new(format!(
            "{before} and {after} both name {}",
            bugs.engine_name(*both)
        ))
        .hint("write more of the versions, or numbers such as #2; `snippex bugs diff x y` lists engines"));
    }
    let stored = bugs.load_stored_bugs(Wanted::default()).or_user_error()?;
    // What makes two of them the same.
    let key = |bug: &StoredBug| {
        let id = by_signature.then(|| bug.attribution.signature.id());
        (bug.attribution.cause.clone(), id)
    };
    let met = |engines: &[EngineId]| -> BTreeSet<_> {
        let seen = |bug: &&StoredBug| bug.sightings.iter().any(|seen| engines.contains(&seen.engine));
        stored.iter().filter(seen).map(key).collect()
    };
    let (in_old, in_new) = (met(&old), met(&new));
    let of = |keys: BTreeSet<_>| -> Vec<StoredBug> {
        stored
            .iter()
            .filter(|bug| keys.contains(&key(bug)))
            .cloned()
            .collect()
    };
    let fixed = of(in_old.difference(&in_new).cloned().collect());
    let appeared = of(in_new.difference(&in_old).cloned().collect());
    let stayed = in_old.intersection(&in_new).count();
    let changed = changed_extents(&stored, &old, &new);
    let names = |ids: &[EngineId]| {
        ids.iter()
            .map(|id| bugs.engine_name(*id))
            .collect::<BTreeSet<_>>()
    };
    let (old, new) = (names(&old), names(&new));
    let views = |stored: &[StoredBug]| -> Result<serde_json::Value, Failure> {
        Ok(if by_signature {
            as_json(&signature_views(bugs, stored))
        } else {
            as_json(&bug_views(&bugs.group_by_cause(stored).or_user_error()?).or_user_error()?)
        })
    };
    let document = json!({"before": old, "after": new, "fixed": views(&fixed)?, "new": views(&appeared)?,
        "in_both": stayed, "shrinking": as_json(&of_direction(&changed, false)),
        "growing": as_json(&of_direction(&changed, true))});
    app.print_answer(&document, || {
        let joined = |names: BTreeSet<String>| names.into_iter().collect::<Vec<_>>().join(", ");
        app.printer
            .print_line(format_args!("{FAINT}from{FAINT:#} {}", joined(old)))?;
        app.printer
            .print_line(format_args!("{FAINT}to{FAINT:#}   {}", joined(new)))?;
        for (style, title, stored) in [(GOOD, "fixed", &fixed), (BAD, "new", &appeared)] {
            let grouped = bug_views(&bugs.group_by_cause(stored).or_user_error()?).or_user_error()?;
            let count = if by_signature { stored.len() } else { grouped.len() };
            app.printer
                .print_line(format_args!("\n{style}{title}{style:#}: {count}"))?;
            if by_signature && count > 0 {
                let views = signature_views(bugs, stored);
                app.printer
                    .print_line(render_signature_list(&views, 0, app.printer.width()))?;
            } else if count > 0 {
                app.printer
                    .print_line(render_bug_list(&grouped, 0, app.printer.width()))?;
            }
        }
        app.printer.print_line(format_args!("\nin both: {stayed}"))?;
        for (style, title, grows) in [(GOOD, "shrinking", false), (BAD, "growing", true)] {
            let extents = of_direction(&changed, grows);
            if !extents.is_empty() {
                app.printer
                    .print_line(format_args!("\n{style}{title}{style:#}: {}", extents.len()))?;
            }
            for extent in extents {
                app.printer.print_line(format_args!(" {extent}"))?;
            }
        }
        app.printer.print_note(
            "a bug counts as fixed when no run on the newer engine has met it: run the same checks on both",
        );
        Ok(())
    })?;
    Ok(ExitStatus::from_found(!appeared.is_empty()))
}

/// In how many forms of instructions a bug that both engines have shows on each.
#[derive(Debug, Serialize)]
struct ChangedExtent {
    bug: CauseId,
    title: String,
    forms_before: usize,
    forms_after: usize,
}

impl fmt::Display for ChangedExtent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}  {FAINT}{}{FAINT:#}: {} -> {} forms",
            self.title, self.bug, self.forms_before, self.forms_after
        )
    }
}

/// The bugs of both engines whose number of forms differs, in the order of their names.
fn changed_extents(stored: &[StoredBug], old: &[EngineId], new: &[EngineId]) -> Vec<ChangedExtent> {
    let mut forms: BTreeMap<&CauseId, [BTreeSet<&CodeForm>; 2]> = BTreeMap::new();
    for bug in stored {
        let Attribution { cause, signature } = &bug.attribution;
        let on = |engines: &[EngineId]| bug.sightings.iter().any(|seen| engines.contains(&seen.engine));
        let [before, after] = forms.entry(cause).or_default();
        if on(old) {
            before.insert(&signature.form);
        }
        if on(new) {
            after.insert(&signature.form);
        }
    }
    forms
        .into_iter()
        .map(|(bug, [before, after])| ChangedExtent {
            bug: bug.clone(),
            title: bug.title(),
            forms_before: before.len(),
            forms_after: after.len(),
        })
        .filter(|extent| extent.forms_before.min(extent.forms_after) > 0)
        .filter(|extent| extent.forms_before != extent.forms_after)
        .collect()
}

/// Those that grow, or those that shrink.
fn of_direction(changed: &[ChangedExtent], grows: bool) -> Vec<&ChangedExtent> {
    let is_meant = |extent: &&ChangedExtent| (extent.forms_after > extent.forms_before) == grows;
    changed.iter().filter(is_meant).collect()
}
