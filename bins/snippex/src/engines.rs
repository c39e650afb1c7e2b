//! Engines as users name them, and as answers show them.

use cli_kit::Failure;
use snippex_exec::engine::{EngineIdentity, EngineSpec};
use snippex_report::EngineView;
use snippex_session::EngineChoice;

use crate::app::App;
use crate::args::EngineArgs;
use crate::hints::OrUserError;

/// The engine to test: what was typed, else that of the settings.
pub(crate) fn subject_engine(app: &App<'_>, args: &EngineArgs) -> Result<EngineChoice, Failure> {
    if let [_, second, ..] = &args.emulator[..] {
        return Err(
            Failure::new(format!("-e {second}: this command takes one engine"))
                .hint("only `snippex check` compares several in one table"),
        );
    }
    let Some(command) = &args.engine_command else {
        return app.names().choose(&app.settings.value.emulator).or_user_error();
    };
    let mut spec = EngineSpec::from_command("", command).or_user_error()?;
    spec.name = match &args.engine_name {
        Some(name) => name.clone(),
        None => spec.command[0].rsplit('/').next().unwrap_or_default().to_owned(),
    };
    let taken = spec.name == "mock" || app.engines.entry(&spec.name).is_some();
    if taken && args.engine_name.is_some() {
        return Err(
            Failure::new(format!("--engine-name {}: an engine is called so", spec.name))
                .hint("choose another name, so that results can be told apart"),
        );
    }
    Ok(EngineChoice::Process(spec))
}

/// An engine in answers for programs, with the part it has.
pub(crate) fn engine_view(identity: &EngineIdentity, role: &'static str) -> EngineView {
    EngineView {
        name: identity.name.clone(),
        version: identity.version.clone(),
        features: identity.features(),
        host_cpu: identity.host_cpu.clone(),
        role,
        configuration: identity.configuration.clone(),
    }
}
