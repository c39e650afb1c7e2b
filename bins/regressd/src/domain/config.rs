//! What a repository's owner decides: thresholds, components, notifications. The body of `/config/{owner}/{repo}`.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use regress_core::detect::{AbsoluteLimit, Rule, Threshold, Thresholds};
use regress_core::measurement::{Scale, Unit};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{JudgingDefaults, object};

/// What a threshold may be. The attributes of the schema take no constants; a test holds them against these.
pub(super) const PERCENTAGES: RangeInclusive<f64> = 0.0..=10_000.0;
/// How many runs of history may be asked for.
pub(super) const SAMPLES: RangeInclusive<usize> = 1..=1000;
/// Rules, components and branches together.
const MAX_ENTRIES: usize = 1000;

/// A repository's configuration. What is left out comes from the service's settings.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RepoConfig {
    /// Whether the repository's runs are judged at all.
    pub enabled: bool,
    /// Whether the repository is done with: it takes no more uploads, and what it has can still be read.
    pub archived: bool,
    /// Whether everybody may look at the repository's pages and badge.
    pub public: bool,
    /// Changes below this percentage do not matter.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 0, maximum = 10000)]
    pub threshold_percent: Option<f64>,
    /// Runs of history needed for a judgement.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1, maximum = 1000)]
    pub min_samples: Option<usize>,
    /// Branches with a history of their own, beside the default branch; `*` stands for anything.
    pub baseline_branches: Vec<String>,
    /// What differs for single components.
    #[serde(deserialize_with = "object::deserialize_object_map")]
    pub components: BTreeMap<String, ComponentConfig>,
    /// What differs for single benchmarks; the most specific pattern wins, field by field.
    #[serde(deserialize_with = "object::deserialize_object_list")]
    pub rules: Vec<BenchmarkRule>,
    /// What is said where.
    #[serde(deserialize_with = "object::deserialize_object")]
    pub notifications: Notifications,
}

/// What differs for one component.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ComponentConfig {
    /// Its threshold in percent.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 0, maximum = 10000)]
    pub custom_threshold: Option<f64>,
    /// Whether it is judged.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
}

/// What differs for the benchmarks whose name matches.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct BenchmarkRule {
    /// A glob over the full name; `*` also matches `/`.
    pub pattern: String,
    /// Threshold in percent.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 0, maximum = 10000)]
    pub threshold_percent: Option<f64>,
    /// Runs of history needed.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1, maximum = 1000)]
    pub min_samples: Option<usize>,
    /// Whether it is judged.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
    /// A value beyond this is a regression whatever the history says. It applies to measures of `unit` only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<f64>,
    /// The unit of `limit`: `ms`, `MiB`, `allocs/op`. What was stored without one is in nanoseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unit: Option<String>,
    /// Whether it is a control: the code under test has no part in it, so it shows what the machine does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub control: Option<bool>,
}

impl BenchmarkRule {
    fn absolute_limit(&self) -> Option<AbsoluteLimit> {
        let scale = match &self.unit {
            Some(unit) => Scale::parse(unit)?,
            None => Scale::from_base_unit(Unit::Nanoseconds),
        };
        Some(AbsoluteLimit {
            value: self.limit? * scale.factor,
            unit: scale.unit,
        })
    }
}

/// When a pull request gets a comment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum CommentRule {
    /// For every judged run.
    #[default]
    Always,
    /// When something changed, and from then on.
    OnChange,
    /// Never.
    Never,
}

/// What is said on GitHub.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Notifications {
    /// Comments on pull requests.
    pub comment: CommentRule,
    /// A check run on each judged commit.
    pub check_run: bool,
    /// Whether the check run fails on a regression; otherwise it is neutral.
    pub fail_check: bool,
    /// Whether a workflow is asked to run again when a regression is suspected.
    pub confirm: bool,
    /// An issue when a regression persists on a branch with a baseline.
    pub tracking_issue: bool,
}

impl Default for Notifications {
    fn default() -> Self {
        Self {
            comment: CommentRule::Always,
            check_run: true,
            fail_check: true,
            confirm: true,
            tracking_issue: true,
        }
    }
}

impl Default for RepoConfig {
    fn default() -> Self {
        Self {
            enabled: true,
            archived: false,
            public: false,
            threshold_percent: None,
            min_samples: None,
            baseline_branches: Vec::new(),
            components: BTreeMap::new(),
            rules: Vec::new(),
            notifications: Notifications::default(),
        }
    }
}

/// Why a configuration cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ConfigError(String);

impl RepoConfig {
    /// Looks at every value.
    ///
    /// # Errors
    /// When one makes no sense; the text names it.
    pub fn validate_values(&self) -> Result<(), ConfigError> {
        let percent = |name: &str, value: Option<f64>| match value {
            Some(value) if !PERCENTAGES.contains(&value) => Err(ConfigError(format!(
                "{name} is {value}; give a percentage from {} to {}",
                PERCENTAGES.start(),
                PERCENTAGES.end()
            ))),
            _ => Ok(()),
        };
        let samples = |name: &str, value: Option<usize>| match value {
            Some(value) if !SAMPLES.contains(&value) => Err(ConfigError(format!(
                "{name} is {value}; give a number from {} to {}",
                SAMPLES.start(),
                SAMPLES.end()
            ))),
            _ => Ok(()),
        };
        percent("threshold_percent", self.threshold_percent)?;
        samples("min_samples", self.min_samples)?;
        if self.rules.len() + self.components.len() + self.baseline_branches.len() > MAX_ENTRIES {
            return Err(ConfigError(format!(
                "there are more than {MAX_ENTRIES} rules, components and branches"
            )));
        }
        for (name, component) in &self.components {
            percent(
                &format!("components.{name}.custom_threshold"),
                component.custom_threshold,
            )?;
        }
        for (index, rule) in self.rules.iter().enumerate() {
            percent(
                &format!("rules[{index}].threshold_percent"),
                rule.threshold_percent,
            )?;
            samples(&format!("rules[{index}].min_samples"), rule.min_samples)?;
            if rule.limit.is_some_and(|limit| !limit.is_finite() || limit < 0.0) {
                return Err(ConfigError(format!(
                    "rules[{index}].limit is not a finite number of at least 0"
                )));
            }
            let unit = rule.unit.as_deref();
            if rule.limit.is_some() && unit.and_then(Scale::parse).is_none() {
                return Err(ConfigError(format!(
                    "rules[{index}].limit needs a unit that is known: add \"unit\": \"ms\", \"MiB\" or \"allocs/op\""
                )));
            }
        }
        self.thresholds(&JudgingDefaults::default(), "")?;
        self.branches()?;
        Ok(())
    }

    /// Whether runs of this component are judged.
    #[must_use]
    pub fn judges(&self, component: &str) -> bool {
        let own = self
            .components
            .get(component)
            .and_then(|component| component.enabled);
        self.enabled && own.unwrap_or(true)
    }

    /// What applies to the benchmarks of a component.
    ///
    /// # Errors
    /// When a pattern is no glob.
    pub fn thresholds(&self, settings: &JudgingDefaults, component: &str) -> Result<Thresholds, ConfigError> {
        let own = self
            .components
            .get(component)
            .and_then(|component| component.custom_threshold);
        let fallback = Threshold {
            percent: own
                .or(self.threshold_percent)
                .unwrap_or(settings.threshold_percent),
            least_runs: self.min_samples.unwrap_or(settings.min_samples),
            ..Threshold::default()
        };
        let rules: Vec<Rule> = self
            .rules
            .iter()
            .map(|rule| Rule {
                pattern: rule.pattern.clone(),
                percent: rule.threshold_percent,
                least_runs: rule.min_samples,
                enabled: rule.enabled,
                limit: rule.absolute_limit(),
                control: rule.control,
            })
            .collect();
        Thresholds::new(fallback, &rules).map_err(|error| ConfigError(error.to_string()))
    }

    /// Whether a branch has a history of its own.
    #[must_use]
    pub fn has_baseline(&self, branch: &str, default_branch: Option<&str>) -> bool {
        let usual = |branch: &str| matches!(branch, "main" | "master" | "trunk");
        default_branch.map_or_else(|| usual(branch), |default| default == branch)
            || self
                .branches()
                .is_ok_and(|rules| rules.for_benchmark(branch, &Unit::Ratio).enabled)
    }

    /// The patterns of branches, as rules of which only `enabled` counts: one kind of glob in the whole program.
    fn branches(&self) -> Result<Thresholds, ConfigError> {
        let rule = |pattern: &String| Rule {
            pattern: pattern.clone(),
            enabled: Some(true),
            ..Rule::default()
        };
        let rules: Vec<Rule> = self.baseline_branches.iter().map(rule).collect();
        let nothing = Threshold {
            enabled: false,
            ..Threshold::default()
        };
        Thresholds::new(nothing, &rules).map_err(|error| ConfigError(error.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(json: &str) -> Result<RepoConfig, String> {
        let config: RepoConfig = serde_json::from_str(json).map_err(|error| error.to_string())?;
        config.validate_values().map_err(|error| error.to_string())?;
        Ok(config)
    }

    #[test]
    fn a_component_has_its_own_threshold() {
        let config = config(
            r#"{"threshold_percent": 3, "components": {"parser": {"custom_threshold": 8}, "old": {"enabled": false}}}"#,
        )
        .unwrap();
        let percent = |component| {
            config
                .thresholds(&JudgingDefaults::default(), component)
                .unwrap()
                .for_benchmark("x", &Unit::Bytes)
                .percent
        };
        assert_eq!((percent("parser"), percent("lexer")), (8.0, 3.0));
        assert!(config.judges("parser") && !config.judges("old"));
    }

    #[test]
    fn nonsense_is_refused_by_name() {
        for (json, name) in [
            (r#"{"threshold_percent": -1}"#, "threshold_percent"),
            (r#"{"min_samples": 0}"#, "min_samples"),
            (
                r#"{"components": {"a": {"custom_threshold": 1e9}}}"#,
                "components.a.custom_threshold",
            ),
            (r#"{"rules": [{"pattern": "[", "enabled": true}]}"#, "["),
            (
                r#"{"rules": [{"pattern": "*", "limit": 5}]}"#,
                "rules[0].limit needs a unit",
            ),
            (
                r#"{"rules": [{"pattern": "*", "limit": 5, "unit": "parsec"}]}"#,
                "rules[0].limit needs a unit",
            ),
            (r#"{"colour": 1}"#, "colour"),
        ] {
            let error = config(json).unwrap_err();
            assert!(error.contains(name), "{error}");
        }
    }

    #[test]
    fn the_schema_has_the_ranges_that_are_checked() {
        use utoipa::PartialSchema as _;
        let of = |schema: serde_json::Result<serde_json::Value>, field: &str| {
            let schema = schema.unwrap();
            let field = &schema["properties"][field];
            (
                field["minimum"].as_f64().unwrap(),
                field["maximum"].as_f64().unwrap(),
            )
        };
        let percentages = (*PERCENTAGES.start(), *PERCENTAGES.end());
        let samples = (*SAMPLES.start() as f64, *SAMPLES.end() as f64);
        let repository = || serde_json::to_value(RepoConfig::schema());
        let rule = || serde_json::to_value(BenchmarkRule::schema());
        let component = serde_json::to_value(ComponentConfig::schema());
        assert_eq!(of(repository(), "threshold_percent"), percentages);
        assert_eq!(of(rule(), "threshold_percent"), percentages);
        assert_eq!(of(component, "custom_threshold"), percentages);
        assert_eq!(of(repository(), "min_samples"), samples);
        assert_eq!(of(rule(), "min_samples"), samples);
    }

    #[test]
    fn branches_with_a_history_are_told_by_pattern() {
        let config = config(r#"{"baseline_branches": ["release/*"]}"#).unwrap();
        assert!(config.has_baseline("release/1", None) && config.has_baseline("main", None));
        assert!(!config.has_baseline("feature", None) && !config.has_baseline("main", Some("develop")));
    }
}
