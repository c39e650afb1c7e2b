//! What every database must do. `tests/sqlite.rs` and `tests/postgres.rs` run each function on a fresh database.

use std::future::Future;

use snippex_store::Location;

pub(crate) mod blocks;
pub(crate) mod bugs;
pub(crate) mod bundles;
pub(crate) mod evidence;
pub(crate) mod processes;
pub(crate) mod removal;
pub(crate) mod runs;
mod samples;
pub(crate) mod statistics;

/// Makes a test of every function that is listed: `fresh` gives a location, and what keeps it alive.
macro_rules! tests {
    ($fresh:path: $($module:ident { $($name:ident),* $(,)? })*) => {
        $($(#[test]
        fn $name() {
            let (location, _guard) = $fresh();
            suite::$module::$name(&location);
        })*)*
    };
}

macro_rules! every_test {
    ($fresh:path) => {
        tests! { $fresh:
            blocks {
                blocks_get_numbers_that_stay,
                blocks_come_back_as_they_were,
                pages_of_blocks_follow_each_other,
                a_binary_is_known_by_its_content,
                a_binary_comes_with_its_blocks_or_not_at_all,
                a_large_binary_fits,
            }
            runs {
                engines_and_hosts_are_stored_once,
                a_run_comes_back,
                a_summary_comes_back_and_goes_with_its_run,
                results_add_up,
                inconclusive_reasons_stay_with_their_block,
                a_batch_is_saved_whole_or_not_at_all,
                a_failed_batch_is_told_and_stops_the_run,
            }
            evidence {
                divergences_come_back_in_full,
                cases_are_found_by_the_beginning_of_their_id,
                divergences_are_grouped,
                observations_come_back_newest_first,
            }
            bugs {
                bugs_come_back_with_counts_and_examples,
                bugs_go_with_the_last_run_that_met_them,
                known_bugs_do_not_contradict_each_other,
                an_older_database_is_brought_up_to_date,
                bugs_of_an_older_database_get_causes,
                one_signature_can_have_two_causes,
            }
            statistics {
                summaries_come_with_their_engines,
                failing_blocks_are_counted,
                a_block_is_flaky_when_its_cases_end_otherwise,
            }
            bundles {
                a_round_trip_is_identical,
                what_is_there_stays_and_is_not_added_again,
                a_known_bug_that_contradicts_the_list_is_left_out,
                a_run_under_way_is_left_out,
                a_cut_bundle_is_told_and_leaves_nothing,
                a_forged_bundle_is_told_and_leaves_nothing,
                a_bundle_of_nonsense_is_told_and_leaves_nothing,
                a_bundle_that_contradicts_a_block_is_refused,
            }
            removal {
                removal_counts_and_takes_what_belongs,
                removal_of_a_run_and_a_binary,
                what_is_not_there_is_missing,
            }
            processes {
                a_newer_schema_is_refused,
                many_processes_may_open_at_once,
                many_writers_lose_nothing,
            }
        }
    };
}

pub(crate) fn block_on<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
        .block_on(work)
}

/// Runs a statement outside the store.
pub(crate) fn execute(location: &Location, sql: &'static str) {
    use sqlx::Connection as _;
    sqlx::any::install_default_drivers();
    let url = match location {
        Location::Sqlite(path) => format!("sqlite:{}", path.display()),
        Location::Postgres(url) => url.clone(),
    };
    block_on(async {
        let mut connection = sqlx::AnyConnection::connect(&url).await.unwrap();
        sqlx::raw_sql(sql).execute(&mut connection).await.unwrap();
        connection.close().await.unwrap();
    });
}
