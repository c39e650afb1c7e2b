//! The service over HTTP, and its database beneath, on SQLite and on a real PostgreSQL: each test runs on both.
#![expect(clippy::unwrap_used, reason = "tests, their helpers included")]

mod access;
mod backups;
mod bad_input;
mod config;
mod databases;
mod formats;
mod imports;
mod jobs;
mod judging;
mod landing;
mod migrations;
mod pages;
mod place;
mod processes;
mod running;
mod uploads;
mod verdicts;
mod workflows;
mod writer;

/// Makes two tests of every function that is listed: one on SQLite, one on PostgreSQL.
macro_rules! on_both {
    ($($module:ident: $($name:ident),* $(,)?;)*) => {
        mod sqlite {
            $(mod $module {
                $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $name() {
                    crate::$module::$name(crate::place::Place::sqlite()).await;
                })*
            })*
        }
        mod postgres {
            $(mod $module {
                $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $name() {
                    crate::$module::$name(crate::place::Place::postgres().await).await;
                })*
            })*
        }
    };
}

on_both! {
    access:
        nothing_is_open,
        a_token_works_for_its_repository_until_it_is_revoked,
        roles_are_kept_apart,
        limits_are_kept;
    backups:
        a_backup_holds_everything_and_fits_both_databases,
        what_is_damaged_newer_or_not_empty_is_refused,
        scheduled_backups_are_made_and_kept_in_number;
    bad_input:
        each_gets_the_right_status,
        metacharacters_are_only_characters;
    config:
        a_configuration_is_kept_and_applied,
        changes_are_in_the_audit_log;
    databases:
        repositories_and_series_are_stored_once,
        series_are_found_again_however_many_there_are,
        deliveries_are_done_once,
        leases_end_by_themselves,
        processes_share_the_pace_of_content,
        old_runs_go_and_baselines_stay;
    formats:
        every_format_is_taken;
    imports:
        history_goes_by_the_time_of_its_commits,
        an_old_commit_measured_again_stands_where_it_arrives,
        what_was_accepted_and_rejected_goes_by_the_order_of_the_history,
        a_clock_set_back_under_load_leaves_runs_in_their_order,
        processes_share_the_order_of_arrival;
    judging:
        runs_judged_together_see_each_other,
        a_suspicion_is_cleared_within_one_batch,
        a_large_run_is_judged_and_its_memory_given_back;
    landing:
        a_fast_forward_brings_its_runs_into_the_history,
        what_a_fork_measured_never_counts,
        a_renamed_repository_keeps_its_history,
        what_a_forced_push_replaced_leaves_the_history,
        a_merge_queue_is_judged_by_the_branch_it_is_for;
    jobs:
        two_workers_never_take_the_same_job,
        a_key_waits_once_and_runs_once,
        a_dead_workers_jobs_wait_again,
        failures_end_as_dead_letters_that_can_be_revived,
        a_clock_that_was_set_back_leaves_nothing_waiting;
    migrations:
        a_filled_database_is_migrated_once,
        a_filled_database_of_version_1_is_kept,
        a_newer_schema_is_refused;
    processes:
        several_work_on_one_database,
        what_a_dead_process_left_is_done_by_another;
    pages:
        pages_show_what_is_stored_to_those_who_may_see_it,
        a_run_is_there_as_files,
        the_badge_tells_its_states,
        a_browser_signs_in_with_a_token,
        runs_and_pull_requests_have_pages,
        an_admin_accepts_a_shift_by_a_button,
        a_repository_is_archived_and_removed,
        an_admin_archives_and_removes_by_buttons;
    uploads:
        an_upload_is_judged_by_its_branch,
        the_same_upload_is_stored_once,
        an_upload_may_be_compressed_by_gzip,
        a_suspicion_is_confirmed_by_a_second_run,
        an_accepted_shift_begins_an_epoch,
        a_base_in_the_same_upload_is_compared_directly,
        pages_of_lists_follow_each_other;
    verdicts:
        counts_are_not_the_machine,
        the_first_allocation_is_a_regression,
        a_suite_twice_as_slow_is_a_regression,
        an_old_commit_measured_again_tells_of_the_machine,
        another_pull_request_that_moved_tells_of_the_machine,
        ten_times_as_slow_fails_at_once,
        what_main_gained_must_not_be_given_back,
        full_names_of_branches_are_the_branches,
        results_of_a_merge_commit_are_the_heads,
        a_forks_main_is_never_history,
        the_base_is_compared_over_all_processes,
        a_pull_request_is_held_against_its_base,
        one_upload_does_not_hide_another_of_the_commit;
    workflows:
        a_workflow_uploads_for_its_own_repository,
        only_workflows_that_are_known_may_upload,
        a_hanging_issuer_holds_nobody_up,
        a_name_does_not_bring_anothers_history,
        forged_workflow_tokens_are_refused;
    writer:
        one_failed_operation_leaves_the_others_alone,
        many_writers_lose_nothing;
}
