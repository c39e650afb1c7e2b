//! `snippex hosts`: other machines, and what their engines need.

use std::time::Instant;

use cli_kit::{ExitStatus, Failure, Format, Table, units};
use serde::Serialize;
use snippex_exec::engine::Engine;
use snippex_exec::remote::{AgentInfo, DeploymentPlan, EngineOrder, HostEntry, RemoteEngine, SshClient};

use crate::app::App;
use crate::args::{AddHostArgs, HostsCommand, SetupHostArgs};
use crate::entry_file::{self, Section};
use crate::hints::OrUserError;

pub(crate) fn run(app: &App<'_>, command: Option<&HostsCommand>) -> Result<ExitStatus, Failure> {
    match command {
        None | Some(HostsCommand::List) => list(app),
        Some(HostsCommand::Show { name }) => show(app, name),
        Some(HostsCommand::Add(args)) => add(app, args),
        Some(HostsCommand::Remove { name, user }) => {
            let path = entry_file::find_settings_file(*user)?;
            entry_file::remove_settings_entry(&path, Section::Hosts, name)?;
            app.printer
                .print_note(format_args!("removed {name} from {}", path.display()));
            Ok(ExitStatus::NothingFound)
        }
        Some(HostsCommand::Test { name }) => test(app, name),
        Some(HostsCommand::Setup(args)) => setup(app, args),
    }
}

/// A host in a list.
#[derive(Debug, Serialize)]
struct HostListing<'h> {
    name: &'h str,
    /// Whom ssh connects to, or the command that runs others there.
    reached_by: String,
    client: &'static str,
}

fn listing<'h>(app: &App<'_>, name: &'h str, entry: &HostEntry) -> HostListing<'h> {
    let (reached_by, client) = match (&entry.ssh, &entry.command) {
        (Some(to), _) => {
            let client = entry.client.unwrap_or(app.settings.value.ssh);
            (to.clone(), client_name(client))
        }
        (None, command) => (command.clone().unwrap_or_default(), "none"),
    };
    HostListing {
        name,
        reached_by,
        client,
    }
}

fn client_name(client: SshClient) -> &'static str {
    match client {
        SshClient::BuiltIn => "built-in",
        SshClient::Command => "command",
    }
}

fn list(app: &App<'_>) -> Result<ExitStatus, Failure> {
    let hosts = app.settings.value.hosts.iter();
    let hosts: Vec<_> = hosts.map(|(name, entry)| listing(app, name, entry)).collect();
    match app.format {
        Format::Json => app.printer.print_json(&hosts)?,
        Format::Jsonl => {
            for host in &hosts {
                app.printer.print_json_line(host)?;
            }
        }
        Format::Human if hosts.is_empty() => app
            .printer
            .print_note("there are no hosts; add one: snippex hosts add NAME --ssh user@host"),
        Format::Human => {
            let mut rows = Table::new(["host", "reached by", "ssh"]).fit(app.printer.width());
            for host in hosts {
                rows.add_row([host.name.to_owned(), host.reached_by, host.client.to_owned()]);
            }
            app.printer.print_line(&rows)?;
        }
    }
    Ok(ExitStatus::NothingFound)
}

/// The entry of a host, which has to be there.
fn entry<'a>(app: &'a App<'_>, name: &str) -> Result<&'a HostEntry, Failure> {
    app.settings.value.hosts.get(name).ok_or_else(|| {
        Failure::new(format!("there is no host called {name}")).hint(format!(
            "snippex hosts list shows them; add it: snippex hosts add {name} --ssh user@host"
        ))
    })
}

fn show(app: &App<'_>, name: &str) -> Result<ExitStatus, Failure> {
    let entry = entry(app, name)?;
    match app.format {
        Format::Json => app.printer.print_json(entry)?,
        Format::Jsonl => app.printer.print_json_line(entry)?,
        Format::Human => {
            let value = toml::Value::try_from(entry).unwrap_or_else(|_| toml::Table::new().into());
            let hosts = toml::Table::from_iter([(name.to_owned(), value)]);
            let all = toml::Table::from_iter([("hosts".to_owned(), toml::Value::Table(hosts))]);
            app.printer
                .print_line(toml::to_string(&all).unwrap_or_default().trim_end())?;
        }
    }
    Ok(ExitStatus::NothingFound)
}

fn add(app: &App<'_>, args: &AddHostArgs) -> Result<ExitStatus, Failure> {
    let name = &args.name;
    let bad =
        name.is_empty() || name.contains(['/', ',', '"', '\\', '\n']) || name.contains(char::is_whitespace);
    if bad || name == "mock" || app.engines.find_entry(name).is_some() {
        return Err(
            Failure::new(format!("{name:?} cannot be the name of a host")).hint(
                "choose a name without spaces, quotes, commas and /, which no engine has: HOST/ENGINE is to be told \
                 from ENGINE/CONFIGURATION",
            ),
        );
    }
    let entry = HostEntry {
        ssh: args.ssh.clone(),
        client: args.client.as_deref().map(|client| match client {
            "command" => SshClient::Command,
            _ => SshClient::BuiltIn,
        }),
        command: args.exec.clone(),
        agent: args.agent.clone(),
        folder: args.folder.clone(),
        ..HostEntry::default()
    };
    // An entry that could never be used is refused now.
    entry
        .build_host(name, &app.host_defaults())
        .map_err(|error| Failure::new(error.to_string()).hint("give --ssh, or --exec"))?;
    let path = entry_file::find_settings_file(args.user)?;
    entry_file::add_settings_entry(&path, Section::Hosts, name, &entry)?;
    app.printer.print_note(format_args!(
        "added {name} to {}; next: snippex hosts setup {name}",
        path.display()
    ));
    Ok(ExitStatus::NothingFound)
}

/// What a test of a host found.
#[derive(Debug, Serialize)]
struct TestedHost<'h> {
    name: &'h str,
    snippex: String,
    architecture: String,
    kernel: String,
    page_size: u32,
    cpus: u32,
    /// Time to connect, the agent's start included, in milliseconds.
    connect_ms: f64,
    /// Time from a small request to its answer, in milliseconds.
    round_trip_ms: f64,
    /// What was printed before the agent started.
    printed: String,
}

fn test(app: &App<'_>, name: &str) -> Result<ExitStatus, Failure> {
    entry(app, name)?;
    let host = &app.hosts[name];
    let started = Instant::now();
    let info = host.agent_info().or_user_error()?;
    let connect = started.elapsed();
    let AgentInfo {
        snippex,
        architecture,
        kernel,
        page_size,
        cpus,
        ..
    } = info;
    let tested = TestedHost {
        name,
        snippex,
        architecture,
        kernel,
        page_size,
        cpus,
        connect_ms: connect.as_secs_f64() * 1e3,
        round_trip_ms: host.round_trip().or_user_error()?.as_secs_f64() * 1e3,
        printed: host.startup_output().or_user_error()?.trim().to_owned(),
    };
    match app.format {
        Format::Json => app.printer.print_json(&tested)?,
        Format::Jsonl => app.printer.print_json_line(&tested)?,
        Format::Human => app.printer.print_line(format_args!(
            "{name} has an agent of snippex {}: {}, {}, {} CPUs, pages of {} bytes\nit took {:.0} ms to connect, a round trip \
             takes {:.1} ms",
            tested.snippex,
            tested.architecture,
            tested.kernel,
            tested.cpus,
            tested.page_size,
            tested.connect_ms,
            tested.round_trip_ms
        ))?,
    }
    if !tested.printed.is_empty() {
        app.printer.print_note(format_args!(
            "its login shell printed this, which was skipped: {}",
            tested.printed
        ));
    }
    Ok(ExitStatus::NothingFound)
}

/// What a setup did or would do.
#[derive(Debug, Serialize)]
struct SetUpHost<'h> {
    name: &'h str,
    architecture: String,
    /// Folder of agents on the host.
    folder: String,
    /// Whether the agent was there before.
    was_there: bool,
    agent_bytes: u64,
    /// Bytes that were, or would be, sent for it.
    sent_bytes: u64,
    /// What the host says of itself.
    about: Vec<(String, String)>,
    /// Engines of the settings and presets; missing in a dry run.
    engines: Vec<EngineThere>,
}

/// An engine on the host.
#[derive(Debug, Serialize)]
struct EngineThere {
    name: String,
    version: Option<String>,
    /// Why it cannot be used.
    problem: Option<String>,
}

fn setup(app: &App<'_>, args: &SetupHostArgs) -> Result<ExitStatus, Failure> {
    let name = args.name.as_str();
    let mut entry = entry(app, name)?.clone();
    if args.agent.is_some() {
        entry.agent.clone_from(&args.agent);
    }
    let defaults = app.host_defaults();
    let wrong = |error: snippex_exec::remote::HostEntryError| Failure::new(error.to_string());
    let plan = entry
        .build_deployment(name, &defaults)
        .map_err(wrong)?
        .plan_deployment()
        .or_user_error()?;
    let mut engines = Vec::new();
    if !args.dry_run {
        let host = entry.build_host(name, &defaults).map_err(wrong)?;
        host.agent_info().or_user_error()?;
        let mut names: Vec<&str> = app.engines.iter().map(|(name, _)| name).collect();
        names.push("native");
        names.sort_unstable();
        names.dedup();
        engines.extend(names.into_iter().map(|engine| {
            let order = EngineOrder {
                host: std::sync::Arc::clone(&host),
                engine: engine.to_owned(),
                entry: app.engines.find_entry(engine).cloned(),
            };
            let started = RemoteEngine::start(&order);
            EngineThere {
                name: engine.to_owned(),
                version: started
                    .as_ref()
                    .ok()
                    .map(|engine| engine.identity().version.clone()),
                problem: started.err().map(|error| error.to_string()),
            }
        }));
    }
    let done = describe(name, plan, engines);
    match app.format {
        Format::Json => app.printer.print_json(&done)?,
        Format::Jsonl => app.printer.print_json_line(&done)?,
        Format::Human => show_setup(app, &done, args.dry_run)?,
    }
    if args.agent.is_some() && !args.dry_run {
        app.printer.print_note(format_args!(
            "to have it found from now on, write agent = {:?} into [hosts.{name}]",
            args.agent.as_deref().unwrap_or(std::path::Path::new(""))
        ));
    }
    Ok(ExitStatus::NothingFound)
}

fn describe(name: &str, plan: DeploymentPlan, engines: Vec<EngineThere>) -> SetUpHost<'_> {
    SetUpHost {
        name,
        architecture: plan.architecture,
        folder: plan.folder,
        was_there: plan.is_there,
        agent_bytes: plan.size,
        sent_bytes: plan.to_send,
        about: plan.about,
        engines,
    }
}

fn show_setup(app: &App<'_>, done: &SetUpHost<'_>, dry_run: bool) -> Result<(), Failure> {
    let told = |word: &str| {
        let found = done.about.iter().find(|(name, _)| name == word);
        found.map_or("unknown", |(_, rest)| rest.as_str())
    };
    app.printer.print_line(format_args!(
        "{}: {}, {}, pages of {} bytes",
        done.name,
        done.architecture,
        told("kernel"),
        told("page-size")
    ))?;
    let agent = match (done.was_there, dry_run) {
        (true, _) => "is there".to_owned(),
        (false, true) => format!("would be sent: {}", units::format_bytes(done.sent_bytes)),
        (false, false) => format!("was sent: {}", units::format_bytes(done.sent_bytes)),
    };
    app.printer.print_line(format_args!(
        "the agent ({}) {agent}, in {}",
        units::format_bytes(done.agent_bytes),
        done.folder
    ))?;
    if dry_run {
        let programs = done.about.iter().filter(|(name, _)| name == "program");
        let programs: Vec<&str> = programs.map(|(_, program)| program.as_str()).collect();
        let found = match &programs[..] {
            [] => "none of FEX, box64, qemu-x86_64 and valgrind".to_owned(),
            programs => programs.join(", "),
        };
        return app
            .printer
            .print_line(format_args!("emulators on its PATH: {found}"));
    }
    let mut rows = Table::new(["engine", "version, or what is missing"]).fit(app.printer.width());
    for engine in &done.engines {
        let words = engine.version.as_deref().or(engine.problem.as_deref());
        rows.add_row([
            format!("{}/{}", done.name, engine.name),
            words.unwrap_or_default().to_owned(),
        ]);
    }
    app.printer.print_line(&rows)
}
