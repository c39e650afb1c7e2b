//! Which change of which benchmark matters: rules with globs, the most specific one wins, field by field.

use globset::{GlobBuilder, GlobMatcher};

use crate::measurement::{Scale, Unit};

/// An absolute limit with its unit: it applies to measures of that unit, and to no other.
#[derive(Debug, Clone, PartialEq)]
pub struct AbsoluteLimit {
    /// The limit, in `unit`.
    pub value: f64,
    /// The base unit of the measures that it applies to.
    pub unit: Unit,
}

impl AbsoluteLimit {
    /// Reads `2 ms`, `5 MiB` or `1000 ops/s`. `None` without a unit that is known, or unless the number is finite and not
    /// negative.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let end = text.find(|c: char| !c.is_ascii_digit() && c != '.');
        let (number, unit) = text.split_at(end?);
        let scale = Scale::parse(unit)?;
        let value = number.parse::<f64>().ok()? * scale.factor;
        value.is_finite().then_some(Self {
            value,
            unit: scale.unit,
        })
    }
}

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
    /// A value beyond this, in the worse direction, is a regression whatever the history says.
    pub limit: Option<AbsoluteLimit>,
    /// Whether the code under test has no part in the benchmark, so that it shows what the machine does.
    pub control: Option<bool>,
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
    /// The absolute limit, in the base unit of the measure.
    pub limit: Option<f64>,
    /// Whether the benchmark shows what the machine does, and is no subject of judgement itself.
    pub control: bool,
}

impl Default for Threshold {
    /// 5 %, four process runs, enabled, no absolute limit.
    fn default() -> Self {
        Self {
            percent: 5.0,
            least_runs: super::two_sample::MIN_RUNS,
            enabled: true,
            limit: None,
            control: false,
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

    /// What applies to the benchmark of this full name, where its values have this unit.
    #[must_use]
    pub fn for_benchmark(&self, benchmark: &str, unit: &Unit) -> Threshold {
        let mut threshold = self.fallback;
        for (_, rule) in self.rules.iter().filter(|(glob, _)| glob.is_match(benchmark)) {
            threshold.percent = rule.percent.unwrap_or(threshold.percent);
            threshold.least_runs = rule.least_runs.unwrap_or(threshold.least_runs);
            threshold.enabled = rule.enabled.unwrap_or(threshold.enabled);
            let limit = rule.limit.as_ref().filter(|limit| limit.unit == *unit);
            threshold.limit = limit.map(|limit| limit.value).or(threshold.limit);
            threshold.control = rule.control.unwrap_or(threshold.control);
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
                limit: AbsoluteLimit::parse("1 ms"),
                ..rule("parse/json/large")
            },
        ];
        let thresholds = Thresholds::new(Threshold::default(), &rules).unwrap();
        let large = thresholds.for_benchmark("parse/json/large", &Unit::Nanoseconds);
        assert_eq!(
            (large.percent, large.least_runs, large.limit, large.enabled),
            (2.0, 8, Some(1e6), true)
        );
        assert_eq!(
            thresholds.for_benchmark("parse/yaml", &Unit::Nanoseconds).percent,
            20.0
        );
        assert!(
            !thresholds
                .for_benchmark("net/flaky/x", &Unit::Nanoseconds)
                .enabled
        );
        assert_eq!(
            thresholds.for_benchmark("other", &Unit::Nanoseconds),
            Threshold::default()
        );
    }

    #[test]
    fn a_limit_applies_to_measures_of_its_unit_only() {
        let rules = [Rule {
            limit: AbsoluteLimit::parse("2 ms"),
            ..rule("*Parse*")
        }];
        let thresholds = Thresholds::new(Threshold::default(), &rules).unwrap();
        let limit = |unit| thresholds.for_benchmark("m.BenchmarkParse", &unit).limit;
        assert_eq!(limit(Unit::Nanoseconds), Some(2e6));
        assert_eq!((limit(Unit::Bytes), limit(Unit::Count)), (None, None));
        for text in ["2000000", "much", "-2 ms", "2 parsecs"] {
            assert_eq!(AbsoluteLimit::parse(text), None, "{text}");
        }
        let zero = AbsoluteLimit::parse("0 allocs/op").unwrap();
        assert_eq!((zero.value, zero.unit), (0.0, Unit::Count));
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
