//! `snippex repro`: a case as a program or test for those who mend emulators.

use cli_kit::style::{BAD, FAINT, GOOD};
use cli_kit::{ExitStatus, Failure, Format, OrFail};
use serde_json::json;
use snippex_formats::repro::{ReproForm, Reproducer};
use snippex_store::StoreHandle;

use crate::app::App;
use crate::args::ReproArgs;
use crate::engines::subject_engine;
use crate::hints::OrUserError;
use crate::install;
use crate::toolchain::{Tried, build_and_run, find_nasm_spellings, required_build_tools};
use snippex_session::{
    CaseName, EngineChoice, JudgedCase, ReproducedCase, reproducer_notes, reproducer_title,
};

pub(crate) fn run(app: &App<'_>, args: &ReproArgs) -> Result<ExitStatus, Failure> {
    app.tidy_up_when_killed()?;
    let form = ReproForm::from(args.form);
    let named = !args.engine.emulator.is_empty() || args.engine.engine_command.is_some();
    let emulator = named.then(|| subject_engine(app, &args.engine)).transpose()?;
    if args.try_it && !matches!(form, ReproForm::C | ReproForm::Nasm) {
        return Err(
            Failure::new("--try builds and runs programs: --as c or --as nasm")
                .hint("tests in FEX-Emu's form and .snip files run with: snippex conformance FILE"),
        );
    }
    if args.try_it && !cfg!(target_arch = "x86_64") {
        return Err(
            Failure::new("--try builds the program and runs it on an x86-64 processor, and this machine has none").hint(
                "leave --try out, and build and run what is written on an x86-64 machine; --as case runs here: snippex \
                 conformance FILE",
            ),
        );
    }
    if args.try_it {
        install::ensure_programs_installed(app.printer, required_build_tools(form), !args.no_install)?;
    }
    let subject = load(app, args)?;
    let reference = app
        .engine_names()
        .choose_engine(&app.settings.value.reference)
        .or_user_error()?;
    let tried_on = match (&emulator, &subject.actual) {
        (Some(choice), _) => Some(choice.clone()),
        (None, Some((_, _, sides))) if args.try_it => Some(engine_that_showed_it(app, &sides.actual_name)?),
        _ => None,
    };
    let judged = subject
        .judge_case(&app.engines, &reference, emulator.as_ref())
        .or_user_error()?;
    let spelled = match form {
        ReproForm::FexAsm => {
            // Instructions as text are worth nasm, but can do without.
            if let Err(failure) = install::ensure_programs_installed(app.printer, &["nasm"], !args.no_install)
            {
                app.printer.print_warning(format_args!(
                    "{failure}: instructions are written as bytes, since their text cannot be checked"
                ));
            }
            find_nasm_spellings(&subject.case.block)?
        }
        _ => Some(Vec::new()),
    };
    let reproducer = Reproducer {
        title: reproducer_title(&subject, &judged),
        notes: reproducer_notes(&subject, &judged, form),
        needs: subject.needs.clone(),
        case: &subject.case,
        expected: &judged.expected,
        covered: judged.covered,
        fields: fields(&judged),
        spelling: spelled.unwrap_or_default(),
    };
    let text = reproducer
        .render_text(form)
        .or_fail("cannot write the case in this form")
        .map_err(|failure| {
            failure.hint(match form {
                ReproForm::FexAsm => "--as c and --as nasm can say everything",
                _ => "--as case keeps every case",
            })
        })?;
    let tried = if args.try_it {
        build_and_run(form, &text, &commands(tried_on.as_ref())?)?
    } else {
        Vec::new()
    };
    show(app, &reproducer.title, &text, &tried)?;
    verdict(&tried)
}

/// The case that was named, of a bug one that the engine has shown; the database is opened only for what is stored.
fn load(app: &App<'_>, args: &ReproArgs) -> Result<ReproducedCase, Failure> {
    let name = CaseName::new(&args.subject);
    let emulator = args.engine.emulator.first().or(args.engine.engine_name.as_ref());
    let location = match name {
        CaseName::File(_) => None,
        _ => Some(app.database_location()?),
    };
    let store = || StoreHandle::open_existing(&location.expect("only files need no database"));
    ReproducedCase::load_by_name(&name, &app.engines, emulator.map(String::as_str), store).or_user_error()
}

/// The engine that a stored case is of, by the name that it had then.
fn engine_that_showed_it(app: &App<'_>, name: &str) -> Result<EngineChoice, Failure> {
    app.engine_names()
        .choose_engine(name)
        .or_user_error()
        .map_err(|failure| {
            failure.hint(format!(
                "the case was found on {name}: name the engine with --emulator or --engine-command"
            ))
        })
}

/// What the reproducer compares: what was found to differ, else everything.
fn fields(judged: &JudgedCase) -> Vec<snippex_core::diff::Field> {
    let differences = judged
        .divergence
        .iter()
        .flat_map(|(_, divergence)| &divergence.differences);
    differences.map(|difference| difference.field).collect()
}

/// How the emulator starts a program: its command as far as the place of the runner.
fn commands(emulator: Option<&EngineChoice>) -> Result<Vec<(String, Vec<String>)>, Failure> {
    let Some(choice) = emulator else {
        return Ok(Vec::new());
    };
    match choice {
        EngineChoice::Process(spec) if spec.native => Ok(Vec::new()),
        EngineChoice::Process(spec) => {
            let mut words = spec.command.clone();
            match words.last().map(String::as_str) {
                Some("{runner}") => drop(words.pop()),
                _ if words.iter().any(|word| word.contains("{runner}")) => {
                    return Err(
                        Failure::new(format!("{} takes more than a program to run", spec.name))
                            .hint("leave --try out, and start the reproducer by hand"),
                    );
                }
                _ => {}
            }
            Ok(vec![(spec.name.clone(), words)])
        }
        EngineChoice::Recorded(_) => {
            Err(Failure::new("a recording runs no programs").hint("leave --try out"))
        }
        EngineChoice::Remote(_) | EngineChoice::Team(_) => {
            Err(Failure::new("the engine is on another host").hint("leave --try out, and start it there"))
        }
        EngineChoice::Mock => Err(Failure::new("the mock engine runs no programs").hint("leave --try out")),
    }
}

fn show(app: &App<'_>, title: &str, text: &str, tried: &[Tried]) -> Result<(), Failure> {
    match app.format {
        Format::Human => app.printer.print_text(text)?,
        Format::Jsonl => app
            .printer
            .print_json_line(&json!({"title": title, "text": text, "tried": tried}))?,
        _ => app
            .printer
            .print_json(&json!({"title": title, "text": text, "tried": tried}))?,
    }
    for tried in tried {
        let (style, verdict) = match tried.exit_code {
            Some(0) => (GOOD, "passes".to_owned()),
            Some(1) => (BAD, "fails".to_owned()),
            Some(code) => (BAD, format!("ends with {code}")),
            None => (BAD, "is killed by a signal".to_owned()),
        };
        app.printer
            .print_note(format_args!("on {} it {style}{verdict}{style:#}", tried.engine));
        for line in tried.output.lines().filter(|line| !line.starts_with("ok ")) {
            app.printer.print_note(format_args!("  {FAINT}{line}{FAINT:#}"));
        }
    }
    Ok(())
}

/// A reproducer has to pass on this CPU; that it fails elsewhere is what was looked for.
fn verdict(tried: &[Tried]) -> Result<ExitStatus, Failure> {
    let mut tried = tried.iter();
    if let Some(native) = tried.next()
        && native.exit_code != Some(0)
    {
        return Err(Failure::new(
            "the reproducer does not pass on this CPU, which is not the one it comes from",
        )
        .hint("see what it says above; run snippex repro on this machine's own results"));
    }
    Ok(ExitStatus::from_found(
        tried.any(|tried| tried.exit_code != Some(0)),
    ))
}
