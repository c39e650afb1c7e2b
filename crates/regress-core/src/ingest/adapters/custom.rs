//! The custom JSON of github-action-benchmark: `[{"name", "unit", "value", "range", "extra"}]`.
//!
//! Whether bigger is better stands in the action's settings, not in the file: the user names one of the two
//! tools, or the direction follows from each unit where a unit has one.

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::ingest::collector::{CollectedEntry, MeasurementCollector, measure_of_unit};
use crate::ingest::json::{Elements, Number, quote_not_finite};
use crate::ingest::text::{Opened, parse_number};
use crate::ingest::{Adapter, Tool};
use crate::measurement::{Direction, Measure, ProblemKind, Scale, Unit};

pub(super) struct Custom {
    tool: Tool,
    direction: Option<Direction>,
}

/// Told from the contents.
pub(super) static AUTOMATIC: Custom = Custom {
    tool: Tool::Custom,
    direction: None,
};
/// Named by the user.
pub(super) static SMALLER: Custom = Custom {
    tool: Tool::CustomSmallerIsBetter,
    direction: Some(Direction::SmallerIsBetter),
};
/// Named by the user.
pub(super) static BIGGER: Custom = Custom {
    tool: Tool::CustomBiggerIsBetter,
    direction: Some(Direction::BiggerIsBetter),
};

#[derive(Deserialize)]
struct CustomHeader {
    name: String,
}

#[derive(Deserialize)]
struct Item<'a> {
    unit: String,
    value: Number,
    #[serde(borrow)]
    range: Option<&'a RawValue>,
}

impl Adapter for Custom {
    fn tool(&self) -> Tool {
        self.tool
    }

    fn recognises(&self, source: &Opened<'_>) -> bool {
        self.direction.is_none()
            && source.shape.as_ref().is_some_and(|shape| {
                shape.is_array
                    && shape.has_key(1, "name")
                    && shape.has_key(1, "unit")
                    && shape.has_key(1, "value")
            })
    }

    fn read_sources(&self, sources: &[&Opened<'_>], collector: &mut MeasurementCollector<'_>) {
        for source in sources {
            collector.set_source(source.path);
            let text = quote_not_finite(&source.text);
            match serde_json::from_str::<Elements<'_>>(&text) {
                Ok(Elements(items)) => {
                    for (index, item) in items.iter().enumerate() {
                        self.read_item(index, item.get(), collector);
                    }
                }
                Err(error) => collector.reject_source(ProblemKind::Malformed, &error.to_string()),
            }
        }
    }
}

impl Custom {
    fn read_item(&self, index: usize, text: &str, collector: &mut MeasurementCollector<'_>) {
        let name = match serde_json::from_str::<CustomHeader>(text) {
            Ok(head) => head.name,
            Err(error) => {
                return collector.report_entry_problem(
                    &format!("[{index}]"),
                    ProblemKind::Malformed,
                    error.to_string(),
                );
            }
        };
        let item: Item<'_> = match serde_json::from_str(text) {
            Ok(item) => item,
            Err(error) => {
                return collector.report_entry_problem(&name, ProblemKind::Malformed, error.to_string());
            }
        };
        let scale = scale_of(&item.unit);
        let measure = match &scale.unit {
            Unit::Bytes => Measure::MEMORY,
            _ => measure_of_unit(&item.unit),
        };
        collector.push(CollectedEntry {
            direction: self.direction,
            std_dev: item.range.and_then(|range| spread(range, item.value.0)),
            ..CollectedEntry::new(&name, measure, scale, item.value.0)
        });
    }
}

/// Units that people write out in this format, besides the usual ones.
fn scale_of(unit: &str) -> Scale {
    let factor = match unit.trim().to_lowercase().as_str() {
        "kilobytes" => 1e3,
        "megabytes" => 1e6,
        "gigabytes" => 1e9,
        "percent" => {
            return Scale {
                unit: Unit::Ratio,
                factor: 0.01,
            };
        }
        _ => return Scale::parse_or_custom(unit),
    };
    Scale {
        unit: Unit::Bytes,
        factor,
    }
}

/// The half width after `±`, absolute or in percent of the value.
fn spread(range: &RawValue, value: f64) -> Option<f64> {
    let text = range
        .get()
        .trim_matches('"')
        .trim_start_matches(['±', '+', '/', '-', ' '])
        .trim();
    match text.strip_suffix('%') {
        Some(percent) => parse_number(percent).map(|percent| value * percent / 100.0),
        None => parse_number(text),
    }
}
