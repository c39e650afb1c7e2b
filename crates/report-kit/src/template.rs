//! Reports from templates (Tera): the built-in ones of a program and the user's own.
//!
//! What a template prints is escaped by the last part of its name: HTML for `.html`, `.htm`, `.xml` and `.svg`, Markdown for
//! `.md`, nothing for the rest. Text that is markup already goes through the filter `safe`.

use std::io::Write;
use std::path::Path;

use tera::{Kwargs, State, Tera, Value};

use crate::escape::{code_block, code_span, escape_html, escape_markdown};
use crate::{format_number, format_percent};

pub use tera::Context;

/// No report is larger: a template that loops must not fill the disk. In bytes.
pub const MAX_REPORT_SIZE: usize = 256 << 20;
/// No template is larger. In bytes.
pub const MAX_TEMPLATE_SIZE: u64 = 4 << 20;

const HTML_SUFFIXES: [&str; 4] = [".html", ".htm", ".xml", ".svg"];
const MARKDOWN_SUFFIXES: [&str; 2] = [".md", ".markdown"];

/// Why a template gave no report.
#[derive(Debug, thiserror::Error)]
pub enum TemplateError {
    /// It cannot be read.
    #[error("the template {0} cannot be read")]
    Read(String, #[source] std::io::Error),
    /// It is too large to be one.
    #[error("{0} is larger than the {MAX_TEMPLATE_SIZE} bytes that a template may have")]
    TooLarge(String),
    /// There is none in the folder.
    #[error("no template is in {0}")]
    Empty(String),
    /// Several are in the folder, and none is the first by its name.
    #[error("{folder} has {count} templates, and none is called report.*: that is the one to begin with")]
    NoEntry {
        /// The folder.
        folder: String,
        /// Templates in it.
        count: usize,
    },
    /// It is wrong, with place and reason.
    #[error("{0}")]
    Template(String),
    /// It prints without end, or nearly.
    #[error("the template has printed {MAX_REPORT_SIZE} bytes and is not at its end")]
    Endless,
}

/// A named template and its text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TemplateSource {
    /// Its name, by which others include it; the last part says how text is escaped.
    pub name: String,
    /// What it says.
    pub text: String,
}

/// The templates at `path`, that to begin with first: one file, or all files of a folder of which `report.*` is the first.
///
/// # Errors
/// When they cannot be read, are too large, or none is the first.
pub fn read_templates(path: &Path) -> Result<Vec<TemplateSource>, TemplateError> {
    let shown = || path.display().to_string();
    let failed = |error| TemplateError::Read(shown(), error);
    if !path.is_dir() {
        return Ok(vec![read_template(path)?]);
    }
    let mut files: Vec<_> = std::fs::read_dir(path)
        .map_err(failed)?
        .collect::<Result<Vec<_>, _>>()
        .map_err(failed)?
        .into_iter()
        .map(|entry| entry.path())
        .filter(|file| file.is_file())
        .collect();
    files.sort();
    let is_first = |file: &Path| file.file_stem().is_some_and(|stem| stem == "report");
    let first = match files.iter().position(|file| is_first(file)) {
        Some(first) => first,
        None if files.len() == 1 => 0,
        None if files.is_empty() => return Err(TemplateError::Empty(shown())),
        None => {
            return Err(TemplateError::NoEntry {
                folder: shown(),
                count: files.len(),
            });
        }
    };
    files.swap(0, first);
    files.iter().map(|file| read_template(file)).collect()
}

fn read_template(file: &Path) -> Result<TemplateSource, TemplateError> {
    let shown = || file.display().to_string();
    let failed = |error| TemplateError::Read(shown(), error);
    if std::fs::metadata(file).map_err(failed)?.len() > MAX_TEMPLATE_SIZE {
        return Err(TemplateError::TooLarge(shown()));
    }
    let name = file
        .file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned();
    let text = std::fs::read_to_string(file).map_err(failed)?;
    Ok(TemplateSource { name, text })
}

/// What the first of `templates` makes of `context`. `fields` says what there is, for an error: most are wrong names.
///
/// # Errors
/// When a template is wrong (the error says where, and which fields there are), or prints without end.
pub fn render_template(
    templates: &[TemplateSource],
    context: &Context,
    fields: &dyn Fn() -> String,
) -> Result<String, TemplateError> {
    let Some(first) = templates.first() else {
        return Err(TemplateError::Empty("the list".to_owned()));
    };
    let is_markdown = MARKDOWN_SUFFIXES
        .iter()
        .any(|suffix| first.name.ends_with(suffix));
    let mut tera = Tera::new();
    if is_markdown {
        tera.autoescape_on(MARKDOWN_SUFFIXES);
        tera.set_escape_fn(|text, out| out.write_all(escape_markdown(text).as_bytes()));
    } else {
        tera.autoescape_on(HTML_SUFFIXES);
        tera.set_escape_fn(|text, out| out.write_all(escape_html(text).as_bytes()));
    }
    register_filters(&mut tera);
    let named = templates
        .iter()
        .map(|template| (template.name.as_str(), template.text.as_str()));
    tera.add_raw_templates(named)
        .map_err(|error| explained(&error, fields))?;
    let mut out = CappedWriter::default();
    match tera.render_to(&first.name, context, &mut out) {
        _ if out.is_over => Err(TemplateError::Endless),
        Ok(()) => Ok(String::from_utf8_lossy(&out.bytes).into_owned()),
        Err(error) => Err(explained(&error, fields)),
    }
}

/// What templates format with: `grouped` (1,234), `percent` (a share), `code` and `fence` (Markdown), `cell` (code in a
/// cell of a Markdown table), `json`.
fn register_filters(tera: &mut Tera) {
    tera.register_filter("grouped", |count: u64, _: Kwargs, _: &State<'_>| {
        format_number(count)
    });
    tera.register_filter("percent", |share: f64, _: Kwargs, _: &State<'_>| {
        share_in_percent(share)
    });
    tera.register_filter("code", |text: &str, _: Kwargs, _: &State<'_>| {
        Value::safe_string(&code_span(text))
    });
    tera.register_filter("cell", |text: &str, _: Kwargs, _: &State<'_>| {
        Value::safe_string(&code_span(text).replace('|', "\\|"))
    });
    tera.register_filter("fence", |text: &str, _: Kwargs, _: &State<'_>| {
        Value::safe_string(&code_block("", text))
    });
    tera.register_filter("json", |value: Value, _: Kwargs, _: &State<'_>| {
        serde_json::to_string(&value).unwrap_or_default()
    });
}

/// A share from 0 to 1 as `99.95 %`: what is not all does not look like all.
fn share_in_percent(share: f64) -> String {
    const WHOLE: u64 = 1_000_000_000;
    format_percent((share.clamp(0.0, 1.0) * WHOLE as f64) as u64, WHOLE)
}

/// A template's error with what there is.
fn explained(error: &tera::Error, fields: &dyn Fn() -> String) -> TemplateError {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    TemplateError::Template(format!("{text}\n{}", fields()))
}

/// The names of the fields of `data`, apart by commas; empty for what has none.
#[must_use]
pub fn field_names(data: &impl serde::Serialize) -> String {
    match serde_json::to_value(data) {
        Ok(serde_json::Value::Object(fields)) => fields.keys().cloned().collect::<Vec<_>>().join(", "),
        _ => String::new(),
    }
}

/// Takes as many bytes as a report may have.
#[derive(Default)]
struct CappedWriter {
    bytes: Vec<u8>,
    is_over: bool,
}

impl Write for CappedWriter {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        if self.bytes.len() + bytes.len() > MAX_REPORT_SIZE {
            self.is_over = true;
            return Err(std::io::Error::other("the report is too large"));
        }
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn render(name: &str, text: &str) -> Result<String, TemplateError> {
        let report = serde_json::json!({"title": "a <b> | `c`", "findings": []});
        let mut context = Context::new();
        context.insert("report", &report);
        let template = TemplateSource {
            name: name.to_owned(),
            text: text.to_owned(),
        };
        render_template(&[template], &context, &|| {
            format!("there is {}", field_names(&report))
        })
    }

    #[test]
    fn text_is_escaped_by_the_name_of_the_template() {
        let title = "{{ report.title }}";
        assert_eq!(render("x.html", title).unwrap_or_default(), "a &lt;b&gt; | `c`");
        assert_eq!(
            render("x.md", title).unwrap_or_default(),
            "a &lt;b&gt; \\| \\`c\\`"
        );
        assert_eq!(render("x.txt", title).unwrap_or_default(), "a <b> | `c`");
        assert_eq!(
            render("x.md", "{{ report.title | code }}").unwrap_or_default(),
            "`` a <b> | `c` ``"
        );
    }

    #[test]
    fn an_error_says_the_line_and_what_there_is() {
        let error = render("x.html", "line\n{{ report.titel }}").map_err(|error| error.to_string());
        let text = error.expect_err("there is no such field");
        assert!(
            text.contains("2:") && text.contains("titel") && text.contains("findings"),
            "{text}"
        );
        let text = render("x.html", "{% for x in %}")
            .expect_err("not a template")
            .to_string();
        assert!(text.contains("1:"), "{text}");
    }

    #[test]
    fn a_template_without_end_is_stopped() {
        let text = "{% for a in range(end=100000) %}{% for b in range(end=100000) %}0123456789{% endfor %}{% endfor %}";
        assert!(matches!(render("x.txt", text), Err(TemplateError::Endless)));
    }

    #[test]
    fn figures_are_formatted() {
        let text = "{{ 1234567 | grouped }} {{ 0.9999999 | percent }} {{ 1.0 | percent }}";
        assert_eq!(
            render("x.txt", text).unwrap_or_default(),
            "1,234,567 > 99.9 % 100.0 %"
        );
    }
}
