//! `snippex engines`: the engines that can be named, and what each can do.

use std::fmt::Write as _;

use cli_kit::{ExitStatus, Failure, Table};
use serde::Serialize;
use snippex_core::diff::Tolerance;
use snippex_exec::abilities::{Ability, probe_abilities};
use snippex_exec::engine::{Deviations, EngineEntry, EngineTable, SignalStyle};
use snippex_exec::engine_check::check_engine_under;
use snippex_exec::recognize_family;

use crate::app::App;
use crate::args::{AddEngineArgs, EnginesCommand};
use crate::engines::engine_view;
use crate::entry_file::{self, Section};
use crate::hints::OrUserError;
use snippex_report::EngineView;
use snippex_session::EngineChoice;

pub(crate) fn run(app: &App<'_>, command: Option<&EnginesCommand>) -> Result<ExitStatus, Failure> {
    match command {
        None | Some(EnginesCommand::List) => list(app),
        Some(EnginesCommand::Show { name }) => show(app, name),
        Some(EnginesCommand::Add(args)) => {
            app.tidy_up_when_killed()?;
            add(app, args)
        }
        Some(EnginesCommand::Remove { name, user }) => {
            let path = entry_file::find_settings_file(*user)?;
            entry_file::remove_settings_entry(&path, Section::Engines, name)?;
            app.printer
                .print_note(format_args!("removed {name} from {}", path.display()));
            Ok(ExitStatus::NothingFound)
        }
        Some(EnginesCommand::Test { name }) => {
            app.tidy_up_when_killed()?;
            test(app, name)
        }
    }
}

/// An engine in a list.
#[derive(Debug, Serialize)]
struct EngineListing<'e> {
    name: &'e str,
    /// `preset` or `settings`.
    origin: &'static str,
    /// Whether it can be started here.
    available: bool,
    /// Why not.
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<String>,
    configurations: Vec<&'e str>,
}

fn list(app: &App<'_>) -> Result<ExitStatus, Failure> {
    let own = &app.settings.value.engines;
    let engines: Vec<EngineListing<'_>> = app
        .engines
        .iter()
        .map(|(name, entry)| {
            let problem = match app.engines.resolve_spec(name) {
                Err(error) => Some(error.to_string()),
                // Whether there is a processor shows when it is used, and costs a few milliseconds.
                Ok(_) if name == "native" => native_problem(app),
                Ok(spec) => (spec.missing_program())
                    .map(|program| format!("engine {name} needs {program}, which is not there")),
            };
            EngineListing {
                name,
                origin: if own.contains_key(name) {
                    "settings"
                } else {
                    "preset"
                },
                available: problem.is_none(),
                problem,
                configurations: entry.configurations.keys().map(String::as_str).collect(),
            }
        })
        .collect();
    app.print_list(&engines, || {
        let mut rows = Table::new(["engine", "from", "here", "configurations"]).fit(app.printer.width());
        for engine in &engines {
            rows.add_row([
                engine.name.to_owned(),
                engine.origin.to_owned(),
                if engine.available { "yes" } else { "no" }.to_owned(),
                engine.configurations.join(" "),
            ]);
        }
        app.printer.print_line(&rows)?;
        for engine in engines.iter().filter(|engine| !engine.available) {
            let problem = engine.problem.as_deref().unwrap_or_default();
            app.printer.print_note(format_args!("{problem}"));
        }
        Ok(())
    })?;
    Ok(ExitStatus::NothingFound)
}

/// Why this machine cannot be an engine, if so.
fn native_problem(app: &App<'_>) -> Option<String> {
    let native = EngineChoice::from_name(&app.engines, "native").ok()?;
    let error = native.start_engine().err()?;
    Some(format!("{error}; {}", error.hint()))
}

/// Everything about an engine.
#[derive(Debug, Serialize)]
struct EngineRow<'e> {
    name: &'e str,
    /// As settings would have it, presets included.
    entry: &'e EngineEntry,
    /// Words of the command, when it can be started.
    command: Option<Vec<String>>,
    environment: Vec<String>,
    /// What it documents to do otherwise than hardware: noted, never counted as a bug.
    deviations: Vec<DeviationView>,
}

#[derive(Debug, Serialize)]
struct DeviationView {
    id: String,
    what: String,
}

fn deviations(tolerance: Tolerance) -> Vec<DeviationView> {
    let view = |deviation: snippex_core::diff::Deviation| DeviationView {
        id: deviation.id.into_owned(),
        what: deviation.what.into_owned(),
    };
    tolerance.deviations.into_iter().map(view).collect()
}

fn show(app: &App<'_>, name: &str) -> Result<ExitStatus, Failure> {
    // What cannot be started can be shown, unless it is not known at all.
    let spec = app.engines.resolve_spec(name);
    let Some(entry) = app.engines.find_entry(name) else {
        return Err(spec
            .or_user_error()
            .map_or_else(|failure| failure, |_| Failure::new("no such engine")));
    };
    let started = spec.as_ref().ok();
    let shown = EngineRow {
        name,
        entry,
        command: started.map(|spec| spec.command.clone()),
        environment: started.map_or_else(Vec::new, |spec| {
            let set = spec.environment.iter();
            set.map(|(name, value)| format!("{name}={value}")).collect()
        }),
        deviations: deviations(app.engines.tolerance(name)),
    };
    app.print_answer(&shown, || {
        let mut text = String::new();
        let sections = toml::Table::from_iter([(
            "engines".to_owned(),
            toml::Value::Table(toml::Table::from_iter([(
                name.split('/').next().unwrap_or(name).to_owned(),
                toml::Value::try_from(entry).unwrap_or_else(|_| toml::Table::new().into()),
            )])),
        )]);
        let _ = writeln!(
            text,
            "{}",
            toml::to_string(&sections).unwrap_or_default().trim_end()
        );
        if let Some(command) = &shown.command {
            let _ = writeln!(text, "\n# {name} is started as: {}", command.join(" "));
        }
        for variable in &shown.environment {
            let _ = writeln!(text, "#   with {variable}");
        }
        if !shown.deviations.is_empty() {
            let _ = writeln!(
                text,
                "\n# documented deviations, noted and never counted as bugs:"
            );
        }
        for deviation in &shown.deviations {
            let _ = writeln!(text, "#   {}: {}", deviation.id, deviation.what);
        }
        app.printer.print_line(text.trim_end())?;
        Ok(())
    })?;
    if let Err(error) = spec {
        app.printer.print_warning(error);
    }
    Ok(ExitStatus::NothingFound)
}

fn add(app: &App<'_>, args: &AddEngineArgs) -> Result<ExitStatus, Failure> {
    let name = &args.name;
    let bad = name.is_empty() || name.contains(['/', '"', '\\', '\n']) || name.contains(char::is_whitespace);
    if bad || ["mock", "native"].contains(&name.as_str()) {
        return Err(Failure::new(format!("{name:?} cannot be the name of an engine"))
            .hint("choose a name without spaces, quotes and /, other than native and mock"));
    }
    let like = args.like.clone().filter(|like| like != "none");
    let mut entry = EngineEntry {
        like,
        // Nothing that it does otherwise is excused, also where it says that it is an emulator that is known.
        deviations: (args.like.as_deref() == Some("none")).then_some(Deviations::None),
        command: Some(args.command.clone()),
        version: args.version.clone(),
        environment: args.environment.iter().cloned().collect(),
        isolated: args.isolated.then_some(true),
        signals: args.imprecise_signals.then_some(SignalStyle::RipOnly),
        lacks: args.lacks.iter().map(|name| name.to_ascii_lowercase()).collect(),
        limits: args.limits.clone(),
        configurations: args.configurations.iter().cloned().collect(),
        ..EngineEntry::default()
    };
    // An entry that could never be started is refused now, not when it is named.
    let alone = EngineTable::new([(name.clone(), entry.clone())]);
    for configuration in [None].into_iter().chain(entry.configurations.keys().map(Some)) {
        let whole = configuration.map_or_else(|| name.clone(), |wanted| format!("{name}/{wanted}"));
        alone.resolve_spec(&whole).or_user_error()?;
    }
    let path = entry_file::find_settings_file(args.user)?;
    // The name of a preset says as much.
    let is_preset = EngineTable::default().find_entry(name).is_some();
    if args.like.is_none() && !is_preset {
        entry.like = recognize(app, name, &entry);
    }
    entry_file::add_settings_entry(&path, Section::Engines, name, &entry)?;
    if is_preset {
        app.printer.print_warning(format_args!(
            "{name} is a preset: from now on -e {name} starts `{}`; another name keeps both, and `snippex engines remove {name}` \
             brings the preset back",
            args.command
        ));
    }
    app.printer.print_note(format_args!(
        "added {name} to {}; try it: snippex engines test {name}",
        path.display()
    ));
    Ok(ExitStatus::NothingFound)
}

/// The preset that an engine is like, by what it says to a program that it runs. One that cannot be started is like none.
fn recognize(app: &App<'_>, name: &str, entry: &EngineEntry) -> Option<String> {
    let alone = EngineTable::new([(name.to_owned(), entry.clone())]);
    let choice = EngineChoice::from_name(&alone, name).ok()?;
    let found = choice
        .start_engine()
        .and_then(|mut engine| recognize_family(engine.as_mut()));
    match found {
        Ok(Some(preset)) => {
            app.printer.print_note(format_args!(
                "{name} says that it is {preset}: what that documents to do otherwise is no bug of {name} (--like none leaves it out)"
            ));
            Some(preset.to_owned())
        }
        Ok(None) => None,
        Err(error) => {
            app.printer.print_warning(format_args!(
                "{name} cannot be started now ({error}), so nothing is known of it; if it is a build of a known emulator, add it \
                 again with --like"
            ));
            None
        }
    }
}

/// What a test of an engine found.
#[derive(Debug, Serialize)]
struct Tested {
    engine: EngineView,
    /// What the guest sees of its processor.
    guest: GuestView,
    /// Whether cases can be compared on it at all.
    conforms: bool,
    failures: Vec<FailureView>,
    abilities: Vec<Ability>,
    /// What its system calls do not do, each with what is done instead.
    lacking: Vec<String>,
    limits: Vec<String>,
    deviations: Vec<DeviationView>,
}

#[derive(Debug, Serialize)]
struct GuestView {
    vendor: String,
    brand: String,
    hypervisor: String,
    hypervisor_version: String,
    page_size: u32,
}

#[derive(Debug, Serialize)]
struct FailureView {
    what: &'static str,
    problem: String,
}

fn test(app: &App<'_>, name: &str) -> Result<ExitStatus, Failure> {
    let mut engine = app
        .engine_names()
        .choose_engine(name)
        .or_user_error()?
        .start_engine()
        .or_user_error()?;
    let failures: Vec<FailureView> = check_engine_under(engine.as_mut(), &app.engines.tolerance(name))
        .or_user_error()?
        .into_iter()
        .map(|failure| FailureView {
            what: failure.name,
            problem: failure.problem,
        })
        .collect();
    let abilities = probe_abilities(engine.as_mut()).or_user_error()?;
    let identity = engine.identity();
    let cpu = &identity.cpu;
    let tested = Tested {
        engine: engine_view(identity, "tested"),
        guest: GuestView {
            vendor: cpu.vendor.clone(),
            brand: cpu.brand.clone(),
            hypervisor: cpu.hypervisor.clone(),
            hypervisor_version: cpu.hypervisor_version.clone(),
            page_size: cpu.page_size,
        },
        conforms: failures.is_empty(),
        failures,
        abilities,
        lacking: identity.lacking.clone(),
        limits: app
            .engines
            .find_entry(name)
            .map(|entry| entry.limits.clone())
            .unwrap_or_default(),
        deviations: deviations(app.engines.tolerance(name)),
    };
    app.print_answer(&tested, || app.printer.print_line(words(&tested)))?;
    Ok(ExitStatus::from_found(!tested.conforms))
}

fn words(tested: &Tested) -> String {
    let mut text = String::new();
    let GuestView {
        vendor,
        brand,
        hypervisor,
        ..
    } = &tested.guest;
    let _ = writeln!(text, "{}: {}", tested.engine.name, tested.engine.version);
    for part in &tested.engine.configuration {
        let _ = writeln!(text, "  {part}");
    }
    let under = if hypervisor.is_empty() {
        String::new()
    } else {
        format!(", under {hypervisor}")
    };
    let _ = writeln!(text, "  the guest sees {brand} ({vendor}){under}");
    if tested.conforms {
        let _ = writeln!(
            text,
            "\nIt runs blocks and can be compared: the engine check passes."
        );
    } else {
        let _ = writeln!(
            text,
            "\nIt fails the engine check; what it does is not to be trusted:"
        );
        for failure in &tested.failures {
            let _ = writeln!(text, "  {}: {}", failure.what, failure.problem);
        }
    }
    for (title, can) in [("It can", true), ("It cannot", false)] {
        let mut list = tested
            .abilities
            .iter()
            .filter(|ability| ability.can == can)
            .peekable();
        if list.peek().is_some() {
            let _ = writeln!(text, "\n{title}:");
        }
        for ability in list {
            let instead = ability
                .instead
                .as_deref()
                .map(|words| format!(" ({words})"))
                .unwrap_or_default();
            let _ = writeln!(text, "  {}{instead}", ability.what);
        }
    }
    if !tested.lacking.is_empty() {
        let _ = writeln!(text, "\nIt has to be done without:");
    }
    for lacking in &tested.lacking {
        let _ = writeln!(text, "  {lacking}");
    }
    if !tested.limits.is_empty() {
        let _ = writeln!(text, "\nKnown limits: {}.", tested.limits.join("; "));
    }
    if !tested.deviations.is_empty() {
        let ids: Vec<&str> = tested
            .deviations
            .iter()
            .map(|deviation| deviation.id.as_str())
            .collect();
        let _ = writeln!(
            text,
            "Documented deviations, never counted as bugs: {}.",
            ids.join(", ")
        );
    }
    text.trim_end().to_owned()
}
