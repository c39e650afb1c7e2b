//! Figures in the text format of Prometheus, for its textfile collector:
//! <https://prometheus.io/docs/instrumenting/exposition_formats/>.

use std::fmt::Write as _;

/// What a family of samples is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MetricKind {
    /// A value that goes up and down.
    Gauge,
    /// A value that only goes up.
    Counter,
}

/// Text that grows family by family.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Exposition {
    text: String,
}

impl Exposition {
    /// Adds a family: its name, what it says (a sentence with the unit), and its samples, each with labels. One without
    /// samples is left out.
    pub fn add_metric_family<'l>(
        &mut self,
        name: &str,
        help: &str,
        kind: MetricKind,
        samples: impl IntoIterator<Item = (Vec<(&'static str, &'l str)>, f64)>,
    ) {
        let mut samples = samples.into_iter().peekable();
        if samples.peek().is_none() {
            return;
        }
        let kind = match kind {
            MetricKind::Gauge => "gauge",
            MetricKind::Counter => "counter",
        };
        let help = help.replace('\\', "\\\\").replace('\n', "\\n");
        self.line(format_args!("# HELP {name} {help}"));
        self.line(format_args!("# TYPE {name} {kind}"));
        for (labels, value) in samples {
            let labels: Vec<String> = labels
                .iter()
                .map(|(name, value)| format!("{name}=\"{}\"", escaped(value)))
                .collect();
            let labels = if labels.is_empty() {
                String::new()
            } else {
                format!("{{{}}}", labels.join(","))
            };
            self.line(format_args!("{name}{labels} {value}"));
        }
    }

    fn line(&mut self, words: std::fmt::Arguments<'_>) {
        writeln!(self.text, "{words}").expect("writing to a string cannot fail");
    }

    /// All of it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

/// The value of a label.
fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn families_have_help_type_and_escaped_labels() {
        let mut exposition = Exposition::default();
        let samples = [
            (vec![("engine", "a \"b\" \\ c\nd"), ("version", "")], 1.5),
            (Vec::new(), 3.0),
        ];
        exposition.add_metric_family("x_ratio", "A share\nof all.", MetricKind::Gauge, samples);
        exposition.add_metric_family("y_total", "None.", MetricKind::Counter, []);
        assert_eq!(
            exposition.as_str(),
            "# HELP x_ratio A share\\nof all.\n# TYPE x_ratio gauge\n\
             x_ratio{engine=\"a \\\"b\\\" \\\\ c\\nd\",version=\"\"} 1.5\nx_ratio 3\n"
        );
    }
}
