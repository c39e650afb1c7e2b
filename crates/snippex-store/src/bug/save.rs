//! Writing of bugs; part of saving a batch.

use std::collections::BTreeMap;

use snippex_triage::cause::Attribution;
use snippex_triage::signature::Signature;
use sqlx::AnyConnection;

use super::{NewBug, NewSighting};
use crate::ids::{RunId, UnixMillis};
use crate::insert::{Insert, Statement};

/// Of two examples of a bug on an engine the plainer stays.
pub(crate) const INSERT_EXAMPLES: Insert = Insert {
    head: "INSERT INTO bug_examples (cause, signature, engine_id, reference_id, block, case_id, reduced, confirmations,
           differences, expected, actual, found)",
    columns: 12,
    tail: "ON CONFLICT (cause, signature, engine_id) DO UPDATE SET
           reference_id = excluded.reference_id, block = excluded.block, case_id = excluded.case_id,
           reduced = excluded.reduced, confirmations = excluded.confirmations,
           differences = excluded.differences, expected = excluded.expected, actual = excluded.actual,
           found = excluded.found
           WHERE excluded.reduced > bug_examples.reduced OR (excluded.reduced = bug_examples.reduced
               AND excluded.confirmations > bug_examples.confirmations)",
};

/// Adds examples; their cases must be there.
pub(crate) async fn add_bugs(connection: &mut AnyConnection, bugs: &[NewBug]) -> sqlx::Result<()> {
    let signatures = bugs.iter().map(|bug| (&bug.attribution.signature, bug.found));
    add_signatures(connection, signatures.collect()).await?;
    let bind = |statement: Statement, bug: &&NewBug| {
        statement
            .bind(bug.attribution.cause.as_str().to_owned())
            .bind(bug.attribution.signature.id().to_string())
            .bind(bug.engine.0)
            .bind(bug.reference.0)
            .bind(bug.block.map(|block| block.0))
            .bind(bug.case.id().to_string())
            .bind(i64::from(bug.reduced))
            .bind(i64::from(bug.confirmations))
            .bind(bug.differences.clone())
            .bind(bug.expected.pack_beside(&bug.case))
            .bind(bug.actual.pack_beside(&bug.case))
            .bind(bug.found.0)
    };
    // A statement may touch a row only once: of several of the same bug the plainest is kept.
    let mut best: BTreeMap<_, &NewBug> = BTreeMap::new();
    for bug in bugs {
        let kept = best.entry((&bug.attribution, bug.engine)).or_insert(bug);
        if (bug.reduced, bug.confirmations) > (kept.reduced, kept.confirmations) {
            *kept = bug;
        }
    }
    let rows: Vec<&NewBug> = best.into_values().collect();
    INSERT_EXAMPLES.insert_rows(connection, &rows, bind).await
}

/// Adds to the counts of a run.
pub(crate) async fn add_sightings(
    connection: &mut AnyConnection,
    run: RunId,
    sightings: &[NewSighting],
    at: UnixMillis,
) -> sqlx::Result<()> {
    let signatures = sightings
        .iter()
        .map(|sighting| (&sighting.attribution.signature, at));
    add_signatures(connection, signatures.collect()).await?;
    let mut sums: BTreeMap<_, (u64, u64)> = BTreeMap::new();
    for sighting in sightings {
        let sum = sums.entry((&sighting.attribution, sighting.engine)).or_default();
        sum.0 += sighting.runs;
        sum.1 += sighting.blocks;
    }
    let insert = Insert {
        head: "INSERT INTO bug_sightings (cause, signature, run_id, engine_id, runs, blocks)",
        columns: 6,
        tail: "ON CONFLICT (cause, signature, run_id, engine_id) DO UPDATE SET
               runs = bug_sightings.runs + excluded.runs, blocks = bug_sightings.blocks + excluded.blocks",
    };
    let rows: Vec<_> = sums.into_iter().collect();
    let bind = |statement: Statement,
                ((attribution, engine), (runs, blocks)): &((&Attribution, _), (u64, u64))| {
        let engine: &crate::ids::EngineId = engine;
        statement
            .bind(attribution.cause.as_str().to_owned())
            .bind(attribution.signature.id().to_string())
            .bind(run.0)
            .bind(engine.0)
            .bind(runs.cast_signed())
            .bind(blocks.cast_signed())
    };
    insert.insert_rows(connection, &rows, bind).await
}

/// Adds the signatures that are not there. In their order, so that two writers wait for each other instead of locking
/// each other; the update takes the row's lock, so that nobody removes it before it is referred to.
async fn add_signatures(
    connection: &mut AnyConnection,
    mut signatures: Vec<(&Signature, UnixMillis)>,
) -> sqlx::Result<()> {
    signatures.sort_unstable_by_key(|(signature, at)| (signature.id(), at.0));
    signatures.dedup_by_key(|(signature, _)| signature.id());
    let insert = Insert {
        head: "INSERT INTO bugs (signature, kind, form, encoding, fields, first_seen)",
        columns: 6,
        tail: "ON CONFLICT (signature) DO UPDATE SET kind = excluded.kind",
    };
    let bind = |statement: Statement, (signature, at): &(&Signature, UnixMillis)| {
        statement
            .bind(signature.id().to_string())
            .bind(signature.kind.name())
            .bind(signature.form.text.clone())
            .bind(signature.form.encoding.clone())
            .bind(signature.fields.join("\n"))
            .bind(at.0)
    };
    insert.insert_rows(connection, &signatures, bind).await
}
