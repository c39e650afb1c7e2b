//! The settings and the places they come from.

use std::collections::BTreeMap;
use std::path::PathBuf;

use cli_kit::settings::{Layers, Resolved};
use cli_kit::{Failure, paths};
use regress_core::detect::{AbsoluteLimit, Rule, Threshold, Thresholds};
use regress_core::ingest::{self, Tool};
use regress_core::measurement::{Direction, Measure};
use serde::{Deserialize, Serialize};

use crate::args::{FileArgs, JudgeArgs, MeasureArgs, Percent, RUNS, Span};

/// What can be set in files, in the environment and by flags. The commands' own flags come on top.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Settings {
    /// The benchmark command, word by word.
    pub(crate) command: Vec<String>,
    /// Shell command that builds a commit before it is measured.
    pub(crate) build: Option<String>,
    /// Processes to run.
    pub(crate) runs: u32,
    /// Limit for one process.
    pub(crate) timeout: Span,
    /// Limit for an A/B comparison.
    pub(crate) budget: Option<Span>,
    /// Format of the results, where it cannot be told.
    pub(crate) tool: Option<String>,
    /// Globs of result files.
    pub(crate) results: Vec<String>,
    /// Whether the processor time of each process is a measure.
    pub(crate) cpu_time: bool,
    /// The change that counts.
    pub(crate) threshold: Percent,
    /// Shell command that measures again.
    pub(crate) confirm: Option<String>,
    /// The baseline file.
    pub(crate) baseline: PathBuf,
    /// The history file.
    pub(crate) history: PathBuf,
    /// The folder for run files and reports.
    pub(crate) state: PathBuf,
    /// The user's own parts of the environment.
    pub(crate) tags: BTreeMap<String, String>,
    /// Parts of the environment that do not count.
    pub(crate) ignore_parts: Vec<String>,
    /// Which way is better, for measures whose format does not say.
    pub(crate) directions: BTreeMap<String, Direction>,
    /// Rules for some benchmarks.
    pub(crate) rules: Vec<RuleSettings>,
    /// Address of the regressd that results are pushed to.
    pub(crate) service: Option<String>,
}

/// A rule for the benchmarks that match.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct RuleSettings {
    /// A glob over the benchmark's name.
    pub(crate) benchmark: String,
    threshold: Option<Percent>,
    /// Process runs (or runs of history) needed.
    least_runs: Option<usize>,
    enabled: Option<bool>,
    /// An absolute limit with its unit, `2 ms`: for measures of that unit.
    limit: Option<String>,
    /// Whether the benchmark is a control: it shows what the machine does.
    control: Option<bool>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            command: Vec::new(),
            build: None,
            runs: 8,
            timeout: Span(std::time::Duration::from_secs(3600)),
            budget: None,
            tool: None,
            results: Vec::new(),
            cpu_time: false,
            threshold: Percent(5.0),
            confirm: None,
            baseline: "benches/baselines.json".into(),
            history: "benches/history.jsonl".into(),
            state: "target/benchgate".into(),
            tags: BTreeMap::new(),
            ignore_parts: Vec::new(),
            directions: BTreeMap::new(),
            rules: Vec::new(),
            service: None,
        }
    }
}

/// The flags of a command that are settings, too.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Flags<'a> {
    pub(crate) files: Option<&'a FileArgs>,
    pub(crate) measure: Option<&'a MeasureArgs>,
    pub(crate) judge: Option<&'a JudgeArgs>,
    pub(crate) build: Option<&'a str>,
    pub(crate) budget: Option<Span>,
    pub(crate) confirm: Option<&'a str>,
    pub(crate) service: Option<&'a str>,
}

/// Lays everything over the defaults. clap has read the environment already, so that a flag here may be a variable.
///
/// `project` is the project's settings file.
pub(crate) fn resolve_settings(
    project: Option<&std::path::Path>,
    flags: Flags<'_>,
) -> Result<Resolved<Settings>, Failure> {
    let mut layers = Layers::<Settings>::new()?;
    if let Some(path) = paths::user_settings("benchgate", paths::environment_variable) {
        layers.add_file(&path)?;
    }
    if let Some(path) = project {
        layers.add_file(path)?;
    }
    if let Some(files) = flags.files {
        layers.add_flag("--baseline", "baseline", files.baseline.as_ref())?;
        layers.add_flag("--history", "history", files.history.as_ref())?;
        layers.add_flag("--state", "state", files.state.as_ref())?;
    }
    if let Some(measure) = flags.measure {
        let given = |list: &[String]| (!list.is_empty()).then(|| list.to_vec());
        layers.add_flag("COMMAND", "command", given(&measure.command))?;
        layers.add_flag("--runs", "runs", measure.runs)?;
        layers.add_flag("--timeout", "timeout", measure.timeout)?;
        layers.add_flag("--tool", "tool", measure.tool.as_ref())?;
        layers.add_flag("--results", "results", given(&measure.results))?;
        layers.add_flag("--cpu-time", "cpu-time", measure.cpu_time.then_some(true))?;
        layers.add_flag("--ignore-part", "ignore-parts", given(&measure.ignore_part))?;
        layers.add_flag(
            "--tag",
            "tags",
            (!measure.tag.is_empty())
                .then(|| parse_tags(&measure.tag))
                .transpose()?,
        )?;
        let directions = (!measure.direction.is_empty()).then(|| pairs("--direction", &measure.direction));
        layers.add_flag("--direction", "directions", directions.transpose()?)?;
    }
    layers.add_flag(
        "--threshold",
        "threshold",
        flags.judge.and_then(|judge| judge.threshold),
    )?;
    let rules = flags.judge.map_or(&[][..], |judge| &judge.rule);
    layers.add_flag(
        "--rule",
        "rules",
        (!rules.is_empty()).then(|| typed_rules(rules)).transpose()?,
    )?;
    layers.add_flag("--build", "build", flags.build)?;
    layers.add_flag("--budget", "budget", flags.budget)?;
    layers.add_flag("--confirm", "confirm", flags.confirm)?;
    layers.add_flag("--service", "service", flags.service)?;
    let resolved = layers.resolve_settings()?;
    if !RUNS.contains(&resolved.value.runs) {
        let origin = &resolved.origins["runs"].origin;
        return Err(Failure::new(format!(
            "runs = {} in {origin} is not between {} and {}",
            resolved.value.runs,
            RUNS.start(),
            RUNS.end()
        )));
    }
    resolved.value.thresholds()?;
    resolved.value.ingest_options()?;
    Ok(resolved)
}

/// `name=value` as typed for `--tag`.
pub(crate) fn parse_tags(given: &[String]) -> Result<BTreeMap<String, String>, Failure> {
    pairs("--tag", given)
}

fn pairs(flag: &str, given: &[String]) -> Result<BTreeMap<String, String>, Failure> {
    given
        .iter()
        .map(|pair| match pair.rsplit_once('=') {
            Some((name, value)) if !name.trim().is_empty() => {
                Ok((name.trim().to_owned(), value.trim().to_owned()))
            }
            _ => Err(Failure::new(format!(
                "{flag} {pair:?} is not of the form name=value"
            ))),
        })
        .collect()
}

/// `glob=percent` as typed for `--rule`.
fn typed_rules(given: &[String]) -> Result<Vec<RuleSettings>, Failure> {
    let rule = |(benchmark, percent): (String, String)| {
        let threshold = percent
            .parse::<Percent>()
            .map_err(|why| Failure::new(format!("--rule {benchmark}: {why}")))?;
        Ok(RuleSettings {
            benchmark,
            threshold: Some(threshold),
            ..RuleSettings::default()
        })
    };
    pairs("--rule", given)?.into_iter().map(rule).collect()
}

impl Settings {
    /// The rules, ready to match.
    pub(crate) fn thresholds(&self) -> Result<Thresholds, Failure> {
        let rules = self
            .rules
            .iter()
            .map(RuleSettings::rule)
            .collect::<Result<Vec<_>, _>>()?;
        let fallback = Threshold {
            percent: self.threshold.0,
            ..Threshold::default()
        };
        Thresholds::new(fallback, &rules)
            .map_err(|error| Failure::with_cause("cannot use the rules of benchgate.toml", &error))
    }

    /// How results are to be read.
    pub(crate) fn ingest_options(&self) -> Result<ingest::IngestOptions, Failure> {
        let tool = self.tool.as_deref().map(str::parse::<Tool>).transpose();
        let tool = tool.map_err(|error| Failure::with_cause("cannot use the tool given", &error))?;
        let direction = |(name, direction): (&String, &Direction)| Ok((Measure::new(name)?, *direction));
        let directions = self.directions.iter().map(direction).collect::<Result<_, _>>();
        let directions = directions.map_err(|error: regress_core::measurement::NameError| {
            Failure::with_cause("cannot use a measure of [directions] in benchgate.toml", &error)
        })?;
        Ok(ingest::IngestOptions {
            tool,
            directions,
            ..ingest::IngestOptions::default()
        })
    }
}

impl RuleSettings {
    fn rule(&self) -> Result<Rule, Failure> {
        let limit = self.limit.as_deref().map(|text| {
            AbsoluteLimit::parse(text).ok_or_else(|| {
                Failure::new(format!(
                    "rule for {:?} has the limit {text:?}, which is not a number with a unit",
                    self.benchmark
                ))
                .hint("write for example \"2 ms\", \"5 MiB\" or \"1000 ops/s\"")
            })
        });
        Ok(Rule {
            pattern: self.benchmark.clone(),
            percent: self.threshold.map(|percent| percent.0),
            least_runs: self.least_runs,
            enabled: self.enabled,
            limit: limit.transpose()?,
            control: self.control,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use regress_core::measurement::Unit;

    #[test]
    fn a_project_file_sets_rules() {
        let text = r#"
            command = ["cargo", "bench"]
            threshold = "10 %"
            timeout = "5m"
            [tags]
            runner = "bench-1"
            [directions]
            score = "bigger-is-better"
            [[rules]]
            benchmark = "parse/*"
            threshold = 2.5
            limit = "2 ms"
        "#;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("benchgate.toml");
        std::fs::write(&path, text).unwrap();
        let settings = resolve_settings(Some(&path), Flags::default()).unwrap().value;
        let parse = settings
            .thresholds()
            .unwrap()
            .for_benchmark("parse/x", &Unit::Nanoseconds);
        assert_eq!((parse.percent, parse.limit), (2.5, Some(2e6)));
        assert_eq!(
            settings
                .thresholds()
                .unwrap()
                .for_benchmark("parse/x", &Unit::Bytes)
                .limit,
            None
        );
        assert_eq!(
            settings
                .thresholds()
                .unwrap()
                .for_benchmark("sort", &Unit::Bytes)
                .percent,
            10.0
        );
        assert_eq!(settings.timeout.0.as_secs(), 300);
    }

    #[test]
    fn mistakes_are_named_with_their_line() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("benchgate.toml");
        for (text, expected) in [
            (
                "runs = 3\ntreshold = 5\n",
                "benchgate.toml:2: unknown field `treshold`",
            ),
            ("[[rules]]\nbenchmark = 'a'\nlimit = 'much'\n", "\"much\""),
            ("[[rules]]\nbenchmark = 'a['\n", "a["),
            ("tool = 'unheard'\n", "unknown tool \"unheard\""),
            ("runs = 0\n", "not between 1 and 1000"),
        ] {
            std::fs::write(&path, text).unwrap();
            let failure = resolve_settings(Some(&path), Flags::default()).unwrap_err();
            assert!(failure.to_string().contains(expected), "{failure}");
        }
    }
}
