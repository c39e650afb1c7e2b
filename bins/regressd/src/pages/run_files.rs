//! The report on a run as a file: PDF, CSV, Markdown, JSON, or by a template of the operator's.

use std::path::Path as FilePath;

use axum::extract::{OriginalUri, Path, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use regress_report::benchmarks::{Report, csv, markdown, pdf, template};
use regress_report::pages::Link;
use report_kit::pdf::PaperSize;
use report_kit::template::read_templates;

use super::reader::PageReader;
use super::run::{find_requested_run, load_report};
use super::shell;
use crate::access::Access;
use crate::domain::RunId;
use crate::problem::Problem;
use crate::settings::Reports;
use crate::state::AppState;

/// Names of the built-in files and what they are called.
const FILES: [(&str, &str); 4] = [
    ("report.pdf", "PDF"),
    ("report.csv", "CSV"),
    ("report.md", "Markdown"),
    ("report.json", "JSON"),
];

/// GitHub takes job summaries of up to 1 MiB.
const MARKDOWN_SIZE: usize = 1_000_000;

/// The files of a judged run, for its page.
pub(super) fn links_of_run(settings: &Reports, run: RunId) -> Vec<Link> {
    let link = |label: &str, file: &str| Link::new(label, format!("/runs/{}/{file}", run.0));
    let built_in = FILES.iter().map(|(file, label)| link(label, file));
    let own = template_names(settings);
    built_in
        .chain(own.iter().map(|name| link(name, &percent_encode(name))))
        .collect()
}

/// A name of a file as part of an address (RFC 3986, section 2.3).
fn percent_encode(name: &str) -> String {
    let mut encoded = String::with_capacity(name.len());
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded += &format!("%{byte:02X}");
        }
    }
    encoded
}

/// Serves a file of a run.
pub(super) async fn serve_run_file(
    State(state): State<AppState>,
    access: Result<Access, Problem>,
    OriginalUri(uri): OriginalUri,
    Path((number, file)): Path<(String, String)>,
) -> Response {
    let reader = match PageReader::from_access(access) {
        Ok(reader) => reader,
        Err(response) => return *response,
    };
    let (known, run) = match find_requested_run(&state, &reader, &number, uri.path()).await {
        Ok(found) => found,
        Err(response) => return *response,
    };
    match load_report(&state, &known, run).await {
        Ok(Some((report, _))) => {
            let settings = state.settings.load_full();
            // A PDF of thousands of benchmarks, or a template that loops, takes seconds.
            let made =
                tokio::task::spawn_blocking(move || make_file(&file, &report, &settings.reports)).await;
            match made {
                Ok(Ok(Some(response))) => response,
                Ok(Ok(None)) => shell::not_found_page(),
                Ok(Err(problem)) => shell::trouble_page(&problem),
                Err(error) => shell::trouble_page(&failed(&error)),
            }
        }
        Ok(None) => reader.refusal_response(uri.path()),
        Err(problem) => shell::trouble_page(&problem),
    }
}

/// The file of this name; `None` when there is none.
fn make_file(file: &str, report: &Report, settings: &Reports) -> Result<Option<Response>, Problem> {
    let answer =
        |kind: &'static str, bytes: Vec<u8>| Some(([(header::CONTENT_TYPE, kind)], bytes).into_response());
    Ok(match file {
        "report.pdf" => {
            let made_by = concat!("regressd ", env!("CARGO_PKG_VERSION"));
            let document =
                pdf::render_pdf(report, made_by, PaperSize::default()).map_err(|error| failed(&error))?;
            answer("application/pdf", document.bytes)
        }
        "report.csv" => answer("text/csv; charset=utf-8", csv::render_csv(report).into_bytes()),
        "report.md" => {
            let text = markdown::render_markdown(report, MARKDOWN_SIZE);
            answer("text/markdown; charset=utf-8", text.into_bytes())
        }
        "report.json" => answer("application/json", report.to_json().into_bytes()),
        name if template_names(settings).iter().any(|one| one == name) => {
            let folder = settings.templates.as_deref().unwrap_or(FilePath::new("."));
            // What is wrong is the operator's business; readers may be strangers.
            let failed = |error: &dyn std::error::Error| {
                tracing::error!(template = name, %error, "a template of reports.templates cannot be used");
                let detail = format!("the template {name} cannot be used; the log says why");
                Problem::new(StatusCode::INTERNAL_SERVER_ERROR, detail)
            };
            let templates = read_templates(&folder.join(name)).map_err(|error| failed(&error))?;
            let text = template::render_template(&templates, report).map_err(|error| failed(&error))?;
            // What an operator's template writes is not trusted with the readers' sessions: a file to be saved.
            let mut response = answer("application/octet-stream", text.into_bytes());
            if let Some(response) = &mut response {
                let disposition = header::HeaderValue::from_static("attachment");
                response
                    .headers_mut()
                    .insert(header::CONTENT_DISPOSITION, disposition);
            }
            response
        }
        _ => None,
    })
}

/// Names of the operator's templates: plain names of files in the folder, those first that sort first.
fn template_names(settings: &Reports) -> Vec<String> {
    let Some(folder) = &settings.templates else {
        return Vec::new();
    };
    let files = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut names: Vec<String> = files
        .filter(|file| file.path().is_file())
        .filter_map(|file| file.file_name().into_string().ok())
        .filter(|name| !name.starts_with('.') && FILES.iter().all(|(built_in, _)| built_in != name))
        .collect();
    names.sort();
    names
}

fn failed(error: &dyn std::error::Error) -> Problem {
    Problem::new(
        StatusCode::INTERNAL_SERVER_ERROR,
        format!("the file cannot be made: {error}"),
    )
}
