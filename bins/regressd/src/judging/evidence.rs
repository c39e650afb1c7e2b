//! What other repositories that are measured in the same environment say of the machine.

use std::collections::BTreeMap;
use std::time::Duration;

use regress_core::detect::{Evidence, SuiteShift};
use regress_core::measurement::Measure;
use sqlx::AnyConnection;

use super::RunVerdicts;
use crate::database::judgements;
use crate::domain::{StreamId, UnixMillis};

/// What happened longer ago says nothing of the machine now.
const RECENT: Duration = Duration::from_secs(24 * 3600);
/// Neighbours that are looked at.
const MAX_NEIGHBOURS: u32 = 20;

/// For each of these measures, a neighbour of the same owner of which most benchmarks moved the same way of late. Others'
/// environments may share a name and be other machines; and whoever can upload somewhere must not explain away what
/// happens elsewhere.
///
/// # Errors
/// The driver's.
pub(super) async fn of_neighbours(
    connection: &mut AnyConnection,
    stream: StreamId,
    shifts: &[SuiteShift],
) -> sqlx::Result<BTreeMap<Measure, Evidence>> {
    let since = UnixMillis::now().before(RECENT);
    let neighbours = judgements::of_neighbours(connection, stream, since, MAX_NEIGHBOURS).await?;
    let mut found = BTreeMap::new();
    for (name, verdicts) in neighbours {
        let Ok(verdicts) = RunVerdicts::read(&verdicts) else {
            continue;
        };
        for shift in shifts.iter().filter(|shift| shift.evidence.is_none()) {
            let same = |other: &&SuiteShift| {
                other.measure == shift.measure && (other.factor > 1.0) == (shift.factor > 1.0)
            };
            if let Some(other) = verdicts.shifts.iter().find(same) {
                let evidence = Evidence::OtherRepository {
                    name: name.clone(),
                    factor: other.factor,
                };
                found.entry(shift.measure.clone()).or_insert(evidence);
            }
        }
    }
    Ok(found)
}
