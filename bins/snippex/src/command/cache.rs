//! `snippex cache`: verdicts of earlier checks.

use std::sync::atomic::AtomicBool;

use cli_kit::{ExitStatus, Failure, Format, OrFail, units};
use serde_json::json;
use snippex_report::cache::{
    CacheStatsView, CachedContextView, ExplanationView, OtherContextView, explanation_text, stats_text,
};
use snippex_report::format_count;
use snippex_session::{
    CacheAnswer, CheckTarget, Explanation, ReadPrograms, Session, TargetChoice, VerdictCache, read_programs,
    source_of_binary, stored_targets,
};
use snippex_store::{CacheFile, PruneLimits, UnixMillis, remove_cache_file};

use crate::app::App;
use crate::args::{CacheCommand, ExplainArgs, PruneArgs, RunArgs, WarmArgs, values};
use crate::checking;
use crate::hints::OrUserError;

pub(crate) fn run(app: &App<'_>, command: &CacheCommand) -> Result<ExitStatus, Failure> {
    match command {
        CacheCommand::Stats => stats(app),
        CacheCommand::Explain(args) => explain(app, args),
        CacheCommand::Prune(args) => prune(app, args),
        CacheCommand::Clear => clear(app),
        CacheCommand::Warm(args) => warm(app, args),
        CacheCommand::Path => path(app),
    }
}

/// The file, if it is there.
fn existing(app: &App<'_>) -> Result<Option<CacheFile>, Failure> {
    CacheFile::open_existing(&app.cache_file()?)
        .or_user_error()
        .map_err(|failure| failure.hint("`snippex cache clear` removes it; a check makes a new one"))
}

fn stats(app: &App<'_>) -> Result<ExitStatus, Failure> {
    let options = app.cache_options();
    let mut view = CacheStatsView {
        path: app.cache_file()?.display().to_string(),
        max_bytes: options.max_size,
        ttl_s: options.ttl.as_secs_f64(),
        ..CacheStatsView::default()
    };
    if let Some(file) = existing(app)? {
        let totals = file.load_totals().or_user_error()?;
        view.file_bytes = file.file_size();
        (view.bytes, view.entries) = (totals.bytes, totals.entries);
        view.cost_s = totals.cost.as_secs_f64();
        view.oldest_s = totals.oldest.map(age_s);
        for context in file.list_contexts().or_user_error()? {
            view.contexts.push(CachedContextView {
                entries: context.entries,
                bytes: context.bytes,
                unused_s: context.used.map(age_s),
                parts: serde_json::from_str(&context.parts).unwrap_or_default(),
            });
        }
    }
    app.print_answer(&view, || {
        app.printer
            .print_text(stats_text(&view, app.printer.width()) + "\n")
    })?;
    Ok(ExitStatus::NothingFound)
}

/// Seconds since then; nothing when the clock was set back.
fn age_s(then: UnixMillis) -> f64 {
    (UnixMillis::now().0 - then.0).max(0) as f64 / 1000.0
}

fn explain(app: &App<'_>, args: &ExplainArgs) -> Result<ExitStatus, Failure> {
    let store = app.existing_store()?;
    let asked = &args.blocks;
    let targets = stored_targets(&store, &asked.selection, asked.binary.as_deref()).or_user_error()?;
    let engines = checking::start_engines(app, &args.engine, &args.run)?;
    let cache = VerdictCache::open(&app.cache_file()?, app.cache_options()).or_user_error()?;
    let options = checking::check_options(app, "cache explain", &args.run);
    let session = Session {
        store: &store,
        engines: &engines,
        table: &app.engines,
        options: &options,
        cache: None,
        stop: &AtomicBool::new(false),
    };
    let mut views = Vec::new();
    for target in targets {
        let source = source_of_binary(&store, target.binary).or_user_error()?;
        for stored in target.load_source_and_blocks(&store).or_user_error()?.1 {
            let explanation = cache
                .explain_block(&session, &source, &stored.block)
                .or_user_error()?;
            let view = explanation_view(stored.number.0, explanation);
            match app.format {
                Format::Human => app.printer.print_line(explanation_text(&view))?,
                Format::Jsonl => app.printer.print_json_line(&view)?,
                Format::Json => views.push(view),
            }
        }
    }
    if app.format == Format::Json {
        app.printer.print_json(&views)?;
    }
    Ok(ExitStatus::NothingFound)
}

fn explanation_view(block: i64, explanation: Explanation) -> ExplanationView {
    let (answer, why) = match explanation.answer {
        CacheAnswer::Hit => ("hit", "its verdict would be taken".to_owned()),
        CacheAnswer::Diverging => (
            "diverging",
            "it is known to diverge: only the cases that do would be run again".to_owned(),
        ),
        CacheAnswer::TooOld => ("too-old", "its verdict is older than is believed".to_owned()),
        CacheAnswer::MemoryChanged(pages) => {
            let pages: Vec<String> = pages.iter().map(|page| format!("{page:#x}")).collect();
            (
                "memory-changed",
                format!("the program now has something else at {}", pages.join(", ")),
            )
        }
        CacheAnswer::Missing => (
            "missing",
            "it was not run so, or its runs hang, die, do not show again or are not supported, which is never cached"
                .to_owned(),
        ),
        CacheAnswer::Unusable(why) => ("unusable", why),
    };
    let others = explanation.others.into_iter().map(|other| OtherContextView {
        age_s: age_s(other.created),
        differing: other.differing,
    });
    ExplanationView {
        block,
        answer,
        why,
        parts: explanation.parts,
        others: others.collect(),
    }
}

fn prune(app: &App<'_>, args: &PruneArgs) -> Result<ExitStatus, Failure> {
    let options = app.cache_options();
    let given = args.older_than.is_some() || args.max_size.is_some();
    let age = match &args.older_than {
        Some(text) => Some(values::parse_age(text).expect("clap has read it")),
        None => (!given).then_some(options.ttl),
    };
    let size = match &args.max_size {
        Some(text) => Some(values::parse_size(text).expect("clap has read it")),
        None => (!given).then_some(options.max_size),
    };
    let now = UnixMillis::now().0;
    let limits = PruneLimits {
        created_since: age.map(|age| {
            let age = i64::try_from(age.as_millis()).unwrap_or(i64::MAX);
            UnixMillis(now.saturating_sub(age))
        }),
        max_bytes: size,
    };
    let pruned = match existing(app)? {
        Some(file) => file.prune_segments(limits).or_user_error()?,
        None => snippex_store::Pruned::default(),
    };
    let view = json!({"entries": pruned.entries, "bytes": pruned.bytes});
    match app.format {
        Format::Human if pruned.entries == 0 => app.printer.print_line("nothing to remove")?,
        Format::Human => app.printer.print_line(format_args!(
            "removed {}, {}",
            format_count(pruned.entries, "verdict"),
            units::format_bytes(pruned.bytes)
        ))?,
        Format::Json => app.printer.print_json(&view)?,
        Format::Jsonl => app.printer.print_json_line(&view)?,
    }
    Ok(ExitStatus::NothingFound)
}

fn clear(app: &App<'_>) -> Result<ExitStatus, Failure> {
    let path = app.cache_file()?;
    let removed =
        remove_cache_file(&path).or_fail_with(|| format!("cannot remove the cache {}", path.display()))?;
    let view = json!({"path": path.display().to_string(), "removed": removed});
    app.print_answer(&view, || {
        if removed {
            app.printer.print_line(format_args!("removed {}", path.display()))
        } else {
            app.printer.print_line("there is no cache")
        }
    })?;
    Ok(ExitStatus::NothingFound)
}

fn path(app: &App<'_>) -> Result<ExitStatus, Failure> {
    let path = app.cache_file()?.display().to_string();
    app.print_answer(&json!({"path": path}), || app.printer.print_line(&path))?;
    Ok(ExitStatus::NothingFound)
}

fn warm(app: &App<'_>, args: &WarmArgs) -> Result<ExitStatus, Failure> {
    let choice = TargetChoice {
        filter: snippex_blocks::select::FilterOptions::default()
            .into_filter()
            .or_user_error()?,
        request: snippex_blocks::select::SelectionRequest::default(),
        keep_report: false,
    };
    let programs = read_programs(&args.binaries)
        .and_then(ReadPrograms::require_all)
        .or_user_error()?;
    let engines = checking::start_engines(app, &args.engine, &args.run)?;
    let database = app.open_store()?;
    let targets = programs.into_iter();
    let targets = targets.map(|program| CheckTarget::Program(program, &choice));
    let run = RunArgs {
        no_reduce: true,
        ..args.run.clone()
    };
    checking::check_and_print(app, &database, "cache warm", &engines, &run, targets, false)
}
