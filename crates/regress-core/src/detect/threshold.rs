//! Which change of which benchmark matters: rules with globs, the most specific one wins, field by field.

use globset::{GlobBuilder, GlobMatcher};

/// What the user says about the benchmarks whose name matches. Fields left out come from less specific rules.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Rule {
    /// A glob over the benchmark's full name; `*` also matches `/`.
    pub pattern: String,
    /// A change of more percent than this matters.
    pub percent: Option<f64>,
    /// Process runs a side (or runs of history) needed for a judgement.
    pub least_runs: Option<usize>,
    /// Whether the benchmark is judged at all.
    pub enabled: Option<bool>,
    /// A value beyond this, in the base unit and in the worse direction, is a regression whatever the history says.
    pub limit: Option<f64>,
}

/// What applies to one benchmark.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Threshold {
    /// A change of more percent than this matters.
    pub percent: f64,
    /// Process runs a side needed for a judgement.
    pub least_runs: usize,
    /// Whether the benchmark is judged at all.
    pub enabled: bool,
    /// The absolute limit, in the base unit.
    pub limit: Option<f64>,
}

impl Default for Threshold {
    /// 5 %, four process runs, enabled, no absolute limit.
    fn default() -> Self {
        Self {
            percent: 5.0,
            least_runs: super::two_sample::MIN_RUNS,
            enabled: true,
            limit: None,
        }
    }
}

impl Threshold {
    /// The ratio of costs above which a benchmark is slower by more than the threshold.
    #[must_use]
    pub fn ratio(&self) -> f64 {
        1.0 + self.percent / 100.0
    }
}

/// Why rules cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum RuleError {
    /// The pattern is not a glob.
    #[error("rule for {pattern:?} has a pattern that is not a glob; use *, ?, [abc] or {{a,b}}")]
    Pattern {
        /// The pattern as given.
        pattern: String,
        /// What is wrong with it.
        #[source]
        source: globset::Error,
    },
    /// The percentage is negative or not a number.
    #[error("rule for {pattern:?} has a threshold of {percent} %; give zero or a positive number")]
    Percent {
        /// The pattern of the rule.
        pattern: String,
        /// The percentage as given.
        percent: f64,
    },
}

/// The rules of a project, ready to match.
#[derive(Debug, Clone, Default)]
pub struct Thresholds {
    fallback: Threshold,
    /// The least specific rule first.
    rules: Vec<(GlobMatcher, Rule)>,
}

impl Thresholds {
    /// Compiles `rules` over `fallback`. Of two rules the one with more literal characters is more specific; of equals
    /// the later one.
    ///
    /// # Errors
    /// A pattern that is not a glob, or a percentage that is negative or not a number.
    pub fn new(fallback: Threshold, rules: &[Rule]) -> Result<Self, RuleError> {
        let mut compiled = Vec::with_capacity(rules.len());
        for rule in rules {
            if let Some(percent) = rule
                .percent
                .filter(|percent| !(*percent >= 0.0 && percent.is_finite()))
            {
                return Err(RuleError::Percent {
                    pattern: rule.pattern.clone(),
                    percent,
                });
            }
            let glob = GlobBuilder::new(&rule.pattern)
                .literal_separator(false)
                .build()
                .map_err(|source| RuleError::Pattern {
                    pattern: rule.pattern.clone(),
                    source,
                })?;
            compiled.push((glob.compile_matcher(), rule.clone()));
        }
        compiled.sort_by_key(|(_, rule)| literal_characters(&rule.pattern));
        Ok(Self {
            fallback,
            rules: compiled,
        })
    }

    /// What applies to the benchmark of this full name.
    #[must_use]
    pub fn of(&self, benchmark: &str) -> Threshold {
        let mut threshold = self.fallback;
        for (_, rule) in self.rules.iter().filter(|(glob, _)| glob.is_match(benchmark)) {
            threshold.percent = rule.percent.unwrap_or(threshold.percent);
            threshold.least_runs = rule.least_runs.unwrap_or(threshold.least_runs);
            threshold.enabled = rule.enabled.unwrap_or(threshold.enabled);
            threshold.limit = rule.limit.or(threshold.limit);
        }
        threshold
    }
}

fn literal_characters(pattern: &str) -> usize {
    pattern
        .chars()
        .filter(|character| !"*?[]{},\\".contains(*character))
        .count()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(pattern: &str) -> Rule {
        Rule {
            pattern: pattern.into(),
            ..Rule::default()
        }
    }

    #[test]
    fn the_most_specific_rule_wins_field_by_field() {
        let rules = [
            Rule {
                percent: Some(2.0),
                ..rule("parse/json/*")
            },
            Rule {
                percent: Some(20.0),
                least_runs: Some(8),
                ..rule("parse/*")
            },
            Rule {
                enabled: Some(false),
                ..rule("*flaky*")
            },
            Rule {
                limit: Some(1e6),
                ..rule("parse/json/large")
            },
        ];
        let thresholds = Thresholds::new(Threshold::default(), &rules).unwrap();
        let large = thresholds.of("parse/json/large");
        assert_eq!(
            (large.percent, large.least_runs, large.limit, large.enabled),
            (2.0, 8, Some(1e6), true)
        );
        assert_eq!(thresholds.of("parse/yaml").percent, 20.0);
        assert!(!thresholds.of("net/flaky/x").enabled);
        assert_eq!(thresholds.of("other"), Threshold::default());
    }

    #[test]
    fn rules_that_cannot_work_are_refused() {
        let bad = Thresholds::new(Threshold::default(), &[rule("a[")]);
        assert!(bad.unwrap_err().to_string().contains("\"a[\""));
        let negative = Rule {
            percent: Some(-1.0),
            ..rule("*")
        };
        assert!(Thresholds::new(Threshold::default(), &[negative]).is_err());
    }
}
