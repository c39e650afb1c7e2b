//! `benchgate ab`: two commits on this machine, their processes interleaved A B B A.

use cli_kit::{ExitStatus, Failure};
use regress_core::measurement::CommitSha;

use crate::app::App;
use crate::args::AbArgs;
use crate::git::GitRepository;
use crate::interleaved::Sides;
use crate::worktrees::{self, WorktreePlace};
use crate::{measure, show};

/// Runs the command.
pub(crate) fn run(app: &App<'_>, args: &AbArgs) -> Result<ExitStatus, Failure> {
    let repository = GitRepository::require_containing(&app.here)?;
    let base = repository.resolve_commit(&args.base)?;
    let head = match &args.head {
        Some(name) => repository.resolve_commit(name)?,
        None => clean_head(app)?,
    };
    measure::benchmark_command(app)?;
    let head_label = args.head.as_deref().unwrap_or("HEAD");
    let base = worktrees::prepare_worktree(app, &repository, WorktreePlace::Base, &base, &args.base)?;
    let head = worktrees::prepare_worktree(app, &repository, WorktreePlace::Head, &head, head_label)?;
    let mut sides = Sides {
        base,
        head,
        base_label: &args.base,
        head_label,
        asked: &[],
    };
    let report = sides.measure_and_judge(app, true)?;
    show::save_and_print_report(app, &report)?;
    Ok(show::exit_status(&report, args.judge.exit_zero))
}

/// The current commit, if that is what is there.
fn clean_head(app: &App<'_>) -> Result<CommitSha, Failure> {
    match measure::current_commit(app)? {
        Some(commit) if commit.dirty => Err(Failure::new(
            "the work tree has changes that are in no commit, and `ab` measures commits",
        )
        .hint("commit or stash them, or give --head HEAD to measure the commit without them")),
        Some(commit) => Ok(commit.sha),
        None => Err(Failure::new("the repository has no commit")),
    }
}
