//! An upload, from its text to what is stored: checked, ingested, given numbers.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use regress_core::environment::Environment;
use regress_core::ingest::{self, IngestOptions, ResultSource, Tool};
use regress_core::measurement::{Measurement, ProcessRun, RunFile};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};
use utoipa::ToSchema;

use crate::database::streams::SeriesName;
use crate::domain::{BranchName, CommitSha, Component, RepoName, Results, RunKey, SeriesId, object};
use crate::problem::Problem;
use crate::series_directory::Names;

/// Measurements of one upload at most.
const MAX_MEASUREMENTS: usize = 100_000;
/// Problems of one upload that are kept.
const MAX_PROBLEMS: usize = 100;

/// The body of `POST /analyze`.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct AnalyzeRequest {
    /// `owner/name`.
    #[schema(value_type = String, example = "octo/hello")]
    pub(super) repository: RepoName,
    /// The branch that was measured.
    #[schema(value_type = String, example = "main", min_length = 1, max_length = 255, pattern = r"^[^\x00-\x1f\x7f-\x9f]+$")]
    pub(super) branch: BranchName,
    /// The commit that was measured.
    #[schema(value_type = String, example = "0123456789abcdef0123456789abcdef01234567")]
    pub(super) commit: CommitSha,
    /// The head of the pull request that was measured, where `commit` is the commit that GitHub makes to merge it
    /// (`GITHUB_SHA` of a workflow for `pull_request`): checks and comments go to it.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    pub(super) head_commit: Option<CommitSha>,
    /// When the commit was made, for example what `git show -s --format=%cI` says: then the run stands there in the history
    /// of its branch, so that what was measured before can be sent later and in any order. Without it, the run stands where
    /// it arrives; so does an old commit that is measured again.
    #[serde(default)]
    #[schema(value_type = Option<String>, format = DateTime, example = "2026-11-28T12:00:00Z")]
    pub(super) commit_time: Option<jiff::Timestamp>,
    /// The pull request it belongs to. Without it, the one whose merge the branch names (`12/merge`), else the one
    /// with this head commit, if there is one.
    #[serde(default)]
    pub(super) pull_request: Option<u32>,
    /// The branch whose history the run is judged by. Without it: the base of the pull request, else the branch itself
    /// if it has a history of its own, else the default branch.
    #[serde(default)]
    #[schema(value_type = Option<String>, min_length = 1, max_length = 255, pattern = r"^[^\x00-\x1f\x7f-\x9f]+$")]
    pub(super) target_branch: Option<BranchName>,
    /// Where it was measured: only runs of equal environments are compared.
    #[serde(default, deserialize_with = "object::deserialize_optional_object")]
    pub(super) environment: Option<EnvironmentInput>,
    /// The part of the repository that was measured; `default` if there are no parts.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    pub(super) component: Option<Component>,
    /// What tells this upload from others of the same commit; sending it again changes nothing. Without it, the
    /// contents do.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    pub(super) run_id: Option<RunKey>,
    /// The number of the workflow run that measured (`GITHUB_RUN_ID`): it is asked to run again when a regression is
    /// suspected.
    #[serde(default)]
    pub(super) workflow_run: Option<u64>,
    /// The benchmark tool, if its name is known: `criterion`, `go`, `hyperfine` and so on. Else it is told from the
    /// contents.
    #[serde(default)]
    pub(super) tool: Option<String>,
    /// The output of the benchmark tool.
    #[serde(deserialize_with = "object::deserialize_object_list")]
    #[schema(min_items = 1)]
    pub(super) results: Vec<ResultFile>,
    /// The base commit, measured in the same job in turn with the run: then the two are compared directly.
    #[serde(default, deserialize_with = "object::deserialize_optional_object_list")]
    pub(super) base: Option<Vec<ResultFile>>,
}

/// A file of results, or the captured output of a tool.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ResultFile {
    /// Its path; only Criterion's files need it.
    #[serde(default)]
    pub(super) path: Option<String>,
    /// Its contents.
    #[serde(default)]
    pub(super) text: Option<String>,
    /// Its contents, for files that are JSON.
    #[serde(default)]
    #[schema(value_type = Option<Object>)]
    pub(super) json: Option<Box<RawValue>>,
}

/// An environment. Parts that are not given are unknown, and equal to unknown ones only.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct EnvironmentInput {
    /// A name for all of it: `ci-large`.
    pub(super) name: Option<String>,
    /// Operating system.
    pub(super) os: Option<String>,
    /// Instruction set.
    pub(super) arch: Option<String>,
    /// Processor model.
    pub(super) cpu: Option<String>,
    /// Logical cores.
    pub(super) cores: Option<u32>,
    /// Memory in MiB.
    pub(super) memory_mib: Option<u64>,
    /// Kernel release.
    pub(super) kernel: Option<String>,
    /// Compiler with version.
    pub(super) compiler: Option<String>,
    /// Parts of the user's own.
    pub(super) tags: BTreeMap<String, String>,
}

/// An upload that was understood.
#[derive(Debug)]
pub(super) struct Upload {
    pub(super) environment: Environment,
    pub(super) component: Component,
    pub(super) key: RunKey,
    pub(super) values: Values,
    pub(super) base: Option<Values>,
    pub(super) problems: Vec<String>,
}

/// The values of each series, one a process run, with the series still by name.
#[derive(Debug, Default)]
pub(super) struct Values {
    pub(super) names: Vec<Arc<SeriesName>>,
    pub(super) values: Vec<Vec<f64>>,
}

impl Values {
    /// The values under the numbers of their series.
    pub(super) fn results_by_series(&self, numbers: &[SeriesId]) -> Results {
        Results(numbers.iter().copied().zip(self.values.iter().cloned()).collect())
    }

    /// What the numbers stand for.
    pub(super) fn names_by_series(&self, numbers: &[SeriesId]) -> Names {
        numbers.iter().copied().zip(self.names.iter().cloned()).collect()
    }
}

/// Ingests the results and checks the rest.
pub(super) fn read_upload(request: &AnalyzeRequest) -> Result<Upload, Problem> {
    let tool = request.tool.as_deref().map(str::parse::<Tool>).transpose();
    let tool = tool.map_err(|error| Problem::unprocessable(error.to_string()))?;
    let mut problems = Vec::new();
    let values = ingest(&request.results, tool, "results", &mut problems)?;
    let base = request
        .base
        .as_ref()
        .map(|files| ingest(files, tool, "base", &mut problems))
        .transpose()?;
    let key = match &request.run_id {
        Some(key) => key.clone(),
        None => content_key(request)?,
    };
    let component = match &request.component {
        Some(component) => component.clone(),
        None => Component::new("default").map_err(|error| Problem::unprocessable(error.to_string()))?,
    };
    Ok(Upload {
        environment: environment(request)?,
        component,
        key,
        values,
        base,
        problems,
    })
}

fn contents(file: &ResultFile) -> Result<&[u8], Problem> {
    match (&file.text, &file.json) {
        (Some(text), None) => Ok(text.as_bytes()),
        (None, Some(json)) => Ok(json.get().as_bytes()),
        _ => Err(Problem::unprocessable(
            "each file of results has either text or json",
        )),
    }
}

fn ingest(
    files: &[ResultFile],
    tool: Option<Tool>,
    field: &str,
    problems: &mut Vec<String>,
) -> Result<Values, Problem> {
    let sources: Result<Vec<ResultSource<'_>>, Problem> = files
        .iter()
        .map(|file| {
            Ok(ResultSource {
                path: file.path.as_deref().unwrap_or(field),
                bytes: contents(file)?,
            })
        })
        .collect();
    let mut options = IngestOptions {
        tool,
        ..IngestOptions::default()
    };
    options.limits.measurements = MAX_MEASUREMENTS;
    options.limits.problems = MAX_PROBLEMS;
    let sources = sources?;
    let ingested =
        processes_apart(&sources, &options).unwrap_or_else(|| ingest::ingest_results(&sources, &options));
    problems.extend(ingested.problems().map(ToString::to_string).take(MAX_PROBLEMS));
    if ingested.is_empty() {
        let why = problems.first().map_or("there is no file", String::as_str);
        return Err(Problem::unprocessable(format!(
            "{field} holds no measurement: {why}"
        )));
    }
    Ok(values(&ingested.processes, problems))
}

/// Several files that hold the same benchmarks are the output of as many processes. `None` if they are no such files:
/// those of a Criterion tree belong together, and packages have benchmarks of their own.
fn processes_apart(sources: &[ResultSource<'_>], options: &IngestOptions) -> Option<ingest::Ingested> {
    if sources.len() < 2 {
        return None;
    }
    let mut all = ingest::Ingested::default();
    let (mut seen, mut repeated) = (BTreeSet::new(), false);
    for source in sources {
        let one = ingest::ingest_results(std::slice::from_ref(source), options);
        if one.is_empty() {
            return None;
        }
        let measured = one.processes.iter().flat_map(|process| &process.measurements);
        let keys: BTreeSet<_> = measured.map(Measurement::series_key).collect();
        repeated |= keys.iter().any(|key| seen.contains(key));
        seen.extend(keys);
        all.processes.extend(one.processes);
        all.tools.extend(one.tools);
    }
    let count: usize = all
        .processes
        .iter()
        .map(|process| process.measurements.len())
        .sum();
    (repeated && count <= options.limits.measurements).then_some(all)
}

/// The values by series; a series whose unit changes between process runs keeps those of its first.
fn values(processes: &[ProcessRun], problems: &mut Vec<String>) -> Values {
    let mut values = Values::default();
    let mut places: HashMap<(String, String), usize> = HashMap::new();
    for measurement in processes.iter().flat_map(|process| &process.measurements) {
        let name = SeriesName {
            benchmark: measurement.benchmark.as_str().to_owned(),
            measure: measurement.measure.as_str().to_owned(),
            unit: measurement.unit.symbol().to_owned(),
            direction: measurement.direction,
        };
        let key = (name.benchmark.clone(), name.measure.clone());
        let place = *places.entry(key).or_insert_with(|| {
            values.names.push(Arc::new(name.clone()));
            values.values.push(Vec::new());
            values.names.len() - 1
        });
        if *values.names[place] == name {
            values.values[place].push(measurement.value);
        } else {
            problems.push(format!(
                "{}: its unit or direction changes within the upload",
                name.benchmark
            ));
        }
    }
    values
}

/// The environment that was given, or else that of a run file of benchgate.
fn environment(request: &AnalyzeRequest) -> Result<Environment, Problem> {
    let Some(given) = request.environment.clone() else {
        let file = request.results.first().map(contents).transpose()?;
        let run_file = file.and_then(|bytes| RunFile::from_json(bytes).ok());
        return Ok(run_file.map(|file| file.environment).unwrap_or_default());
    };
    let mut tags = given.tags;
    tags.extend(given.name.map(|name| ("name".to_owned(), name)));
    let environment = Environment {
        os: given.os,
        arch: given.arch,
        cpu: given.cpu,
        cores: given.cores,
        memory_mib: given.memory_mib,
        kernel: given.kernel,
        compiler: given.compiler,
        tags,
    };
    if environment.canonical_text().len() > 4096 {
        return Err(Problem::unprocessable(
            "the environment is longer than 4096 bytes",
        ));
    }
    if environment.canonical_text().chars().any(char::is_control) {
        return Err(Problem::unprocessable("the environment holds control characters"));
    }
    Ok(environment)
}

/// A run id from the contents: the same upload sent twice has the same.
fn content_key(request: &AnalyzeRequest) -> Result<RunKey, Problem> {
    let mut hash = Sha256::new();
    let base = request.base.iter().flatten();
    for file in request.results.iter().chain(base) {
        let bytes = contents(file)?;
        hash.update(bytes.len().to_le_bytes());
        hash.update(bytes);
    }
    let text = hex::encode(&hash.finalize()[..16]);
    RunKey::new(&format!("sha256:{text}")).map_err(|error| Problem::unprocessable(error.to_string()))
}
