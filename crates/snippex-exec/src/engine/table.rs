//! The engines that can be named: presets, and what settings add to them.
//!
//! `NAME` is an engine, `NAME/CONFIGURATION` one in a configuration, `NAME/A+B` in two at once.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use snippex_core::diff::Tolerance;
use snippex_core::state::Components;

use super::entry::{Configuration, EngineEntry, MemoryStyle};
use super::presets::preset_entries;
use super::spec::{find_command_32, find_program, split_words};
use super::{EngineIdentity, EngineSpec, MemoryMode, SpecError};

/// Engines by name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EngineTable {
    entries: BTreeMap<String, EngineEntry>,
    /// Names of other hosts, whose engines are called `HOST/ENGINE`.
    hosts: BTreeSet<String>,
}

impl Default for EngineTable {
    /// The presets.
    fn default() -> Self {
        Self::new([])
    }
}

impl EngineTable {
    /// The presets with `own` laid over them.
    #[must_use]
    pub fn new(own: impl IntoIterator<Item = (String, EngineEntry)>) -> Self {
        let mut entries = preset_entries();
        let presets = entries.clone();
        for (name, entry) in own {
            let like = entry.like.as_ref().and_then(|like| presets.get(like).cloned());
            let of_its_name = entries.remove(&name);
            let under = like.or(of_its_name).unwrap_or_default();
            entries.insert(name, under.overlaid_with(&entry));
        }
        Self {
            entries,
            hosts: BTreeSet::new(),
        }
    }

    /// The same, where engines of these hosts can be named: what is known of an engine holds for it there, too.
    #[must_use]
    pub fn with_hosts(self, hosts: impl IntoIterator<Item = String>) -> Self {
        Self {
            hosts: hosts.into_iter().collect(),
            ..self
        }
    }

    /// The host in `name`, and the rest. `None` for an engine of this machine.
    #[must_use]
    pub fn split_host<'n>(&self, name: &'n str) -> Option<(&'n str, &'n str)> {
        let (host, engine) = name.split_once('/')?;
        (self.hosts.contains(host) && !self.entries.contains_key(host)).then_some((host, engine))
    }

    /// An engine's name without its host.
    fn without_host<'n>(&self, name: &'n str) -> &'n str {
        self.split_host(name).map_or(name, |(_, engine)| engine)
    }

    /// Every engine with its entry, in the order of names.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &EngineEntry)> {
        self.entries.iter().map(|(name, entry)| (name.as_str(), entry))
    }

    /// The entry behind `name`, whatever configuration that names.
    #[must_use]
    pub fn find_entry(&self, name: &str) -> Option<&EngineEntry> {
        let name = self.without_host(name);
        let name = name.split_once('/').map_or(name, |(engine, _)| engine);
        self.entries.get(name)
    }

    /// What the engine called `name` documents to do otherwise than hardware; nothing for an unknown one.
    #[must_use]
    pub fn tolerance(&self, name: &str) -> Tolerance {
        // What a recording says of an engine deviates as the engine does.
        let name = self.without_host(name);
        match self.resolve(name.strip_suffix("/recorded").unwrap_or(name)) {
            Ok((entry, configurations)) => entry.tolerance(&configurations),
            Err(_) => Tolerance::none(),
        }
    }

    /// As [`EngineTable::tolerance`], for an engine that was started: one that is not in the table is what it says to the
    /// guest that it is.
    #[must_use]
    pub fn tolerance_of(&self, engine: &EngineIdentity) -> Tolerance {
        let preset = engine.cpu.emulator_preset();
        let name = preset.filter(|_| self.find_entry(&engine.name).is_none());
        let name = name.unwrap_or(&engine.name);
        self.tolerance(name)
    }

    /// How the engine called `name` is started.
    ///
    /// # Errors
    /// When there is none, its program is missing, or its entry is wrong.
    pub fn resolve_spec(&self, name: &str) -> Result<EngineSpec, SpecError> {
        if name == "native" {
            return Ok(EngineSpec::native());
        }
        let (entry, configurations) = self.resolve(name)?;
        let Some(template) = &entry.command else {
            return Err(SpecError::NoCommand(name.into()));
        };
        // A command that names its program itself needs none of them.
        let program = match entry.programs.is_empty() || !template.contains("{program}") {
            true => None,
            false => Some(find_program(name, &entry.programs, entry.hint.as_deref())?),
        };
        let arguments: Vec<String> = configurations
            .iter()
            .flat_map(|configuration| configuration.arguments.iter().cloned())
            .collect();
        let command = words(template, program.as_deref(), Some(&arguments))?;
        let optional = |text: &Option<String>| {
            let text = text.as_deref();
            text.map(|text| words(text, program.as_deref(), None)).transpose()
        };
        let command_32 = find_command_32(&command, &entry.programs, &entry.programs_32);
        let own = EngineSpec::for_emulator(name, command);
        let memory = match entry.memory {
            Some(MemoryStyle::Guest) => MemoryMode::Scan,
            Some(MemoryStyle::Host) | None => MemoryMode::Copy,
        };
        Ok(EngineSpec {
            command_32: command_32.or(own.command_32),
            version_command: optional(&entry.version)?,
            server: optional(&entry.server)?,
            environment: environment(name, entry, &configurations)?,
            isolated: entry.isolated.unwrap_or(false),
            runner: entry.runner.unwrap_or_default(),
            memory,
            shortcuts: entry.shortcuts.unwrap_or(true),
            loads_x87_top: entry.loads_x87_top.unwrap_or(true),
            leaves_out: entry
                .leaves_out
                .iter()
                .fold(Components(0), |all, part| all.union(part.component())),
            lacks: entry.lacks.clone(),
            program_files: entry.program_files.clone(),
            patience: entry
                .patience
                .map_or(own.patience, |seconds| Duration::from_secs(u64::from(seconds))),
            start_patience: entry.start_patience.map_or(own.start_patience, |seconds| {
                Duration::from_secs(u64::from(seconds))
            }),
            ..own
        })
    }

    fn resolve<'t>(&'t self, name: &str) -> Result<(&'t EngineEntry, Vec<&'t Configuration>), SpecError> {
        let (engine, wanted) = match name.split_once('/') {
            None => (name, None),
            Some((engine, wanted)) => (engine, Some(wanted)),
        };
        let entry = self
            .entries
            .get(engine)
            .ok_or_else(|| self.no_such_engine(name))?;
        let wanted = wanted.into_iter().flat_map(|wanted| wanted.split('+'));
        let configurations = wanted.map(|wanted| {
            entry
                .configurations
                .get(wanted)
                .ok_or_else(|| SpecError::UnknownConfiguration {
                    engine: engine.into(),
                    wanted: wanted.into(),
                    known: match entry.configurations.is_empty() {
                        true => "none".into(),
                        false => {
                            let names: Vec<&str> = entry.configurations.keys().map(String::as_str).collect();
                            names.join(", ")
                        }
                    },
                })
        });
        Ok((entry, configurations.collect::<Result<_, _>>()?))
    }

    fn no_such_engine(&self, name: &str) -> SpecError {
        let mut entries = self.entries.iter();
        match entries.find(|(_, entry)| entry.programs_32.iter().any(|program| program == name)) {
            Some((engine, _)) => SpecError::Only32 {
                name: name.into(),
                engine: engine.clone(),
            },
            None => SpecError::Unknown {
                name: name.into(),
                known: self.names().join(", "),
            },
        }
    }

    /// Names of the engines, without configurations.
    #[must_use]
    pub fn names(&self) -> Vec<&str> {
        self.entries.keys().map(String::as_str).collect()
    }
}

/// Variables of the entry, then of its configurations; two that set one variable contradict each other.
fn environment(
    name: &str,
    entry: &EngineEntry,
    configurations: &[&Configuration],
) -> Result<Vec<(String, String)>, SpecError> {
    let mut set: BTreeMap<&str, &str> = BTreeMap::new();
    for (variable, value) in configurations
        .iter()
        .flat_map(|configuration| &configuration.environment)
    {
        if set
            .insert(variable, value)
            .is_some_and(|before| before != value.as_str())
        {
            return Err(SpecError::Contradiction {
                name: name.into(),
                variable: variable.clone(),
            });
        }
    }
    let mut all: BTreeMap<&str, &str> = entry
        .environment
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect();
    all.extend(set);
    Ok(all
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect())
}

/// A template as words, its placeholders but `{runner}` replaced. Without `arguments` no runner is added either.
fn words(
    template: &str,
    program: Option<&str>,
    arguments: Option<&[String]>,
) -> Result<Vec<String>, SpecError> {
    let mut words = split_words(template)?;
    for word in &mut words {
        if let (true, Some(program)) = (word.contains("{program}"), program) {
            *word = word.replace("{program}", program);
        }
    }
    if words.is_empty() {
        return Err(SpecError::EmptyCommand);
    }
    let Some(arguments) = arguments else {
        return Ok(words);
    };
    if !words.iter().any(|word| word.contains("{runner}")) {
        words.push("{runner}".into());
    }
    let named = words.iter().position(|word| word == "{arguments}");
    let runner = words.iter().position(|word| word.contains("{runner}"));
    let place = match named {
        Some(place) => place..place + 1,
        None => {
            let place = runner.expect("added above");
            place..place
        }
    };
    words.splice(place, arguments.iter().cloned());
    Ok(words)
}

#[cfg(test)]
mod tests {
    use snippex_core::diff::Deviates;

    use super::super::{Deviations, SignalStyle};
    use super::*;

    fn table() -> EngineTable {
        let set = |name: &str, value: &str| [(name.to_owned(), value.to_owned())].into();
        let configuration = |environment, arguments: &[&str]| Configuration {
            environment,
            arguments: arguments.iter().map(|word| (*word).to_owned()).collect(),
            ..Configuration::default()
        };
        let mine = EngineEntry {
            command: Some("{program} -x {arguments} -- {runner} tail".into()),
            programs: vec!["no-such-program".into(), "sh".into()],
            version: Some("{program} -c 'echo 7'".into()),
            environment: set("A", "1"),
            signals: Some(SignalStyle::RipOnly),
            configurations: [
                ("one".to_owned(), configuration(set("A", "2"), &["-1"])),
                ("two".to_owned(), configuration(set("B", "3"), &["-2"])),
                ("other".to_owned(), configuration(set("A", "4"), &[])),
            ]
            .into(),
            ..EngineEntry::default()
        };
        EngineTable::new([("mine".to_owned(), mine)])
    }

    #[test]
    fn configurations_add_arguments_and_variables() {
        let table = table();
        let spec = table.resolve_spec("mine/one+two").unwrap();
        assert_eq!(spec.name, "mine/one+two");
        assert_eq!(spec.command, ["sh", "-x", "-1", "-2", "--", "{runner}", "tail"]);
        let variables: Vec<String> = spec.environment.iter().map(|(n, v)| format!("{n}={v}")).collect();
        assert_eq!(variables, ["A=2", "B=3"]);
        assert_eq!(spec.version_command.unwrap(), ["sh", "-c", "echo 7"]);
        assert_eq!(
            table.resolve_spec("mine").unwrap().environment,
            [("A".to_owned(), "1".to_owned())]
        );
        let deviates = |name| {
            let deviations = table.tolerance(name).deviations;
            deviations
                .iter()
                .any(|deviation| deviation.deviates == Deviates::StateAtSignal)
        };
        assert!(deviates("mine") && deviates("mine/one") && deviates("fex-emu") && !deviates("qemu-x86_64"));
    }

    #[test]
    fn what_is_not_there_is_named_with_what_is() {
        let table = table();
        let problem = |name: &str| table.resolve_spec(name).unwrap_err().to_string();
        assert!(
            problem("bochs").contains("known are box64, fex-emu, mine, native, qemu-x86_64, valgrind"),
            "{}",
            problem("bochs")
        );
        assert!(
            problem("mine/three").contains("one, other, two"),
            "{}",
            problem("mine/three")
        );
        assert!(problem("mine/one+other").contains("both set A"));
        assert!(problem("native/one").contains("it has none"));
    }

    #[test]
    fn an_engine_from_a_build_folder_is_like_the_preset_that_it_names() {
        let own = |like: Option<&str>| EngineEntry {
            like: like.map(str::to_owned),
            command: Some("/build/bin/FEX {runner}".into()),
            ..EngineEntry::default()
        };
        let table = EngineTable::new([
            ("built".to_owned(), own(Some("fex-emu"))),
            ("fex-emu".to_owned(), own(None)),
            ("stranger".to_owned(), own(None)),
        ]);
        assert_eq!(
            table.tolerance("built/reduced-x87"),
            Tolerance::fex_reduced_precision()
        );
        // The program is named: that none is on the PATH does not matter.
        for name in ["built/maxinst1", "fex-emu/maxinst1"] {
            let spec = table.resolve_spec(name).unwrap();
            assert_eq!(spec.command, ["/build/bin/FEX", "{runner}"]);
            assert_eq!(spec.environment, [("FEX_MAXINST".to_owned(), "1".to_owned())]);
            assert!(spec.isolated);
        }
        assert_eq!(table.tolerance("stranger"), Tolerance::none());
        let mut identity = EngineIdentity {
            name: "stranger".into(),
            version: String::new(),
            configuration: Vec::new(),
            cpu: super::super::GuestCpu::default(),
            components: Components::ALL,
            host_cpu: super::super::this_cpu().clone(),
            lacking: Vec::new(),
        };
        identity.cpu.hypervisor = "FEXIFEXIEMU".into();
        // What the settings say counts more than what the guest sees.
        assert_eq!(table.tolerance_of(&identity), Tolerance::none());
        identity.name = "FEX".into();
        assert_eq!(table.tolerance_of(&identity), table.tolerance("fex-emu/maxinst1"));
    }

    #[test]
    fn an_entry_is_laid_over_the_preset_of_its_name() {
        let own = EngineEntry {
            deviations: Some(Deviations::None),
            configurations: [("mine".to_owned(), Configuration::default())].into(),
            ..EngineEntry::default()
        };
        let table = EngineTable::new([("fex-emu".to_owned(), own)]);
        let entry = table.find_entry("fex-emu/maxinst1").unwrap();
        assert_eq!(entry.programs, ["FEX", "FEXInterpreter", "FEXLoader"]);
        assert!(
            entry.configurations.contains_key("mine") && entry.configurations.contains_key("multiblock0")
        );
        let only_32 = EngineTable::default().resolve_spec("qemu-i386");
        assert!(matches!(only_32, Err(SpecError::Only32 { engine, .. }) if engine == "qemu-x86_64"));
        let reduced = EngineTable::default().tolerance("fex-emu/reduced-x87");
        assert_eq!(reduced, Tolerance::fex_reduced_precision());
    }
}
