//! `snippex replay`: an emulator against a recording.

use std::sync::Arc;

use cli_kit::{ExitStatus, Failure};
use snippex_session::{CheckTarget, EngineChoice, EnginePair, open_recording};

use crate::app::App;
use crate::args::{CacheArgs, ReplayArgs, RunArgs};
use crate::checking;
use crate::engines::subject_engine;
use crate::hints::OrUserError;
use crate::late_files::require_writable;

pub(crate) fn run(app: &App<'_>, args: &ReplayArgs) -> Result<ExitStatus, Failure> {
    require_writable(args.exports.files())?;
    let recording = Arc::new(open_recording(&args.recording).or_user_error()?);
    let about = recording.about();
    let asked = RunArgs {
        states: Some(about.states),
        seed: about.seed,
        threads: args.threads,
        untrusted: args.untrusted,
        partition: args.partition,
        // Without the reference nothing smaller can be run.
        no_reduce: true,
        reduce_time: 0,
        // A recording answers faster than the cache.
        cache: CacheArgs {
            no_cache: true,
            ..CacheArgs::default()
        },
        detail: false,
        exports: args.exports.clone(),
    };
    let subject = subject_engine(app, &args.engine)?;
    let reference = EngineChoice::Recorded(Arc::clone(&recording));
    let engines = EnginePair::start_engines(reference, subject).or_user_error()?;
    checking::refuse_untrusted(app, &engines, args.untrusted)?;
    let database = app.open_store()?;
    let targets = [CheckTarget::Recorded(recording)];
    checking::check_and_print(app, &database, "replay", &engines, &asked, targets, false)
}
