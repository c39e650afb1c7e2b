//! What `report` takes, and what commands take that make one at their end.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
#[cfg(feature = "github")]
use clap_complete::ArgValueCandidates;
use snippex_store::RunId;

#[cfg(feature = "github")]
use crate::completing::complete_bugs;

/// `snippex report`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  snippex report html -o report.html         figures, charts, bugs and findings in one file
  snippex report pdf --paper letter -o report.pdf
  snippex report markdown --max-size 65000   for a comment on GitHub
  snippex report template show html > my.html; snippex report --template my.html -o mine.html")]
pub(crate) struct ReportArgs {
    #[command(subcommand)]
    pub(crate) command: Option<ReportCommand>,
    /// Make the report by a Tera template of your own: a file, or a folder with report.*
    #[arg(long, value_name = "FILE|FOLDER")]
    pub(crate) template: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) scope: ReportScopeArgs,
}

/// What a report is about.
#[derive(Debug, Args)]
pub(crate) struct ReportScopeArgs {
    /// Only what this run met
    #[arg(long, value_name = "RUN", value_parser = super::stored::parse_run_id, global = true, help_heading = "Report")]
    pub(crate) run: Option<RunId>,
    /// Only this engine, or its configurations
    #[arg(
        short = 'e',
        long,
        value_name = "ENGINE",
        global = true,
        help_heading = "Report"
    )]
    pub(crate) emulator: Option<String>,
    /// The newest checks that figures are made of
    #[arg(
        long,
        value_name = "N",
        default_value_t = 500,
        global = true,
        help_heading = "Report"
    )]
    pub(crate) checks: u32,
    /// Findings at most, those with the most runs
    #[arg(
        long,
        value_name = "N",
        default_value_t = 20_000,
        global = true,
        help_heading = "Report"
    )]
    pub(crate) findings: usize,
    /// Title of the report
    #[arg(long, value_name = "TEXT", global = true, help_heading = "Report")]
    pub(crate) title: Option<String>,
}

/// Forms of a report.
#[derive(Debug, Subcommand)]
pub(crate) enum ReportCommand {
    /// For browsers: one file that needs no network, with filters and search
    Html,
    /// For GitHub: tables, a diagram, each bug with its case
    Markdown {
        /// Bytes at most: GitHub takes 65536 in a comment and 1048576 in a job summary
        #[arg(long, value_name = "BYTES", default_value_t = snippex_report::report::MAX_SUMMARY_SIZE)]
        max_size: usize,
    },
    /// For printers
    Pdf {
        /// Size of the sheets
        #[arg(long, value_enum, default_value_t = PaperArg::A4)]
        paper: PaperArg,
    },
    /// A row a finding, for spreadsheets
    Csv,
    /// All of it, for programs; `report schema` describes it
    Json,
    /// A badge with the number of new bugs
    Badge {
        /// The drawing, or what shields.io reads as an endpoint
        #[arg(long = "as", value_enum, default_value_t = BadgeForm::Svg)]
        form: BadgeForm,
    },
    /// An issue on GitHub for each new bug: printed, or opened with --create
    #[cfg(feature = "github")]
    Github(GithubArgs),
    /// The built-in templates
    Template {
        #[command(subcommand)]
        command: TemplateCommand,
    },
    /// The JSON schema of what templates and `report json` get
    Schema,
}

/// Which issues, and where.
#[cfg(feature = "github")]
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  snippex report github                          what would be opened
  snippex report github mxcsr-de                 about one bug
  GITHUB_TOKEN=... snippex report github --create --repo OWNER/NAME --max-issues 3

An issue is opened once for each bug and engine: our issues are listed by their label and known by the fingerprint in their
text. A new version of the engine is a comment; one that was closed as fixed and shows again is a new issue that names the old
one. Ask the people of the repository whether they want issues that a program has written.")]
pub(crate) struct GithubArgs {
    /// Bugs by name; without any all that are not known
    #[arg(value_name = "BUG", add = ArgValueCandidates::new(complete_bugs))]
    pub(crate) bugs: Vec<String>,
    /// Open the issues instead of printing them
    #[arg(long, requires = "repo")]
    pub(crate) create: bool,
    /// The repository, which has to be named each time
    #[arg(long, value_name = "OWNER/NAME", value_parser = repository)]
    pub(crate) repo: Option<String>,
    /// Issues at most
    #[arg(long, value_name = "N", default_value_t = 10)]
    pub(crate) max_issues: usize,
    /// A label besides `snippex`; may be given several times
    #[arg(long = "label", value_name = "NAME")]
    pub(crate) labels: Vec<String>,
    /// Who is to look after them; may be given several times
    #[arg(long = "assignee", value_name = "LOGIN")]
    pub(crate) assignees: Vec<String>,
    /// Open an issue although one of somebody else has the instruction in its title
    #[arg(long)]
    pub(crate) ignore_similar: bool,
    /// How long to wait for GitHub's limits and failures, everything together
    #[arg(long, value_name = "SECONDS", default_value_t = 600)]
    pub(crate) max_wait: u64,
    /// How long GitHub may take to list an issue that it has made
    #[arg(long, value_name = "SECONDS", default_value_t = 30)]
    pub(crate) settling: u64,
    /// Address of the API
    #[arg(
        long,
        value_name = "URL",
        env = "GITHUB_API_URL",
        default_value = "https://api.github.com"
    )]
    pub(crate) api: String,
    /// A token that may write issues
    #[arg(long, value_name = "TOKEN", env = "GITHUB_TOKEN", hide_env_values = true)]
    pub(crate) token: Option<String>,
}

#[cfg(feature = "github")]
fn repository(text: &str) -> Result<String, &'static str> {
    let plain = |part: &str| {
        !part.is_empty()
            && part
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
    };
    match text.split_once('/') {
        Some((owner, name)) if plain(owner) && plain(name) => Ok(text.to_owned()),
        _ => Err("write OWNER/NAME"),
    }
}

/// What to do with templates.
#[derive(Debug, Subcommand)]
pub(crate) enum TemplateCommand {
    /// Print one, as a start for your own
    Show {
        /// Which
        #[arg(value_enum)]
        template: BuiltInTemplate,
    },
}

/// The built-in templates.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum BuiltInTemplate {
    /// That of `report html`
    Html,
    /// That of `report markdown`
    Markdown,
}

/// Sizes of sheets.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum PaperArg {
    /// 210 mm by 297 mm
    A4,
    /// 8.5 by 11 inches
    Letter,
    /// 8.5 by 14 inches
    Legal,
}

/// Forms of a badge.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum BadgeForm {
    /// A drawing
    Svg,
    /// JSON for shields.io
    Endpoint,
}

/// Reports that a check makes at its end.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct ExportArgs {
    /// Also write a report for browsers
    #[arg(long, value_name = "FILE", help_heading = "Reports")]
    pub(crate) export_html: Option<PathBuf>,
    /// Also write a report as Markdown
    #[arg(long, value_name = "FILE", help_heading = "Reports")]
    pub(crate) export_markdown: Option<PathBuf>,
    /// Also write a report for printers
    #[arg(long, value_name = "FILE", help_heading = "Reports")]
    pub(crate) export_pdf: Option<PathBuf>,
    /// Also write the findings as a table
    #[arg(long, value_name = "FILE", help_heading = "Reports")]
    pub(crate) export_csv: Option<PathBuf>,
    /// Also write a report for programs
    #[arg(long, value_name = "FILE", help_heading = "Reports")]
    pub(crate) export_json: Option<PathBuf>,
}

impl ExportArgs {
    /// Whether any report is to be written.
    pub(crate) fn is_asked(&self) -> bool {
        self.files().next().is_some()
    }

    /// The files that are to be written.
    pub(crate) fn files(&self) -> impl Iterator<Item = &PathBuf> {
        let all = [
            &self.export_html,
            &self.export_markdown,
            &self.export_pdf,
            &self.export_csv,
            &self.export_json,
        ];
        all.into_iter().flatten()
    }
}
