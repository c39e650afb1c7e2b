//! The instructions of a Dockerfile, as far as ours use them: enough to run what a build would run without a Docker engine.

use std::collections::BTreeMap;

use crate::Failure;

/// A stage: what follows one `FROM`.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Stage {
    /// The image or the stage it begins with, with arguments put in.
    pub(crate) base: String,
    pub(crate) name: Option<String>,
    pub(crate) steps: Vec<Step>,
}

/// What is done to a stage's files, or decides how.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// A shell command, and the variables of `ARG` and `ENV` at that place.
    Run(String, BTreeMap<String, String>),
    /// The stage that is copied from (`None` for the repository), sources, and the target.
    Copy(Option<String>, Vec<String>, String),
    Workdir(String),
    User(String),
    /// The program that a health check starts.
    Healthcheck(Vec<String>),
    /// The words of `ENTRYPOINT`.
    Entrypoint(Vec<String>),
}

/// Reads a Dockerfile. An instruction that is not known is an error: it would be left out silently.
pub(crate) fn read_dockerfile(text: &str) -> Result<Vec<Stage>, Failure> {
    let mut stages: Vec<Stage> = Vec::new();
    // Arguments before the first FROM are those of FROM lines only.
    let mut global: BTreeMap<String, String> = BTreeMap::new();
    let mut variables: BTreeMap<String, String> = BTreeMap::new();
    for line in logical_lines(text) {
        let (word, rest) = line.split_once(char::is_whitespace).unwrap_or((&line, ""));
        let rest = rest.trim();
        if word == "FROM" {
            let mut words = rest.split_whitespace();
            let base = substitute(words.next().unwrap_or_default(), &global);
            let name = words.skip_while(|word| *word != "AS").nth(1).map(str::to_owned);
            variables = global.clone();
            stages.push(Stage {
                base,
                name,
                steps: Vec::new(),
            });
            continue;
        }
        if word == "ARG" || word == "ENV" {
            let target = if stages.is_empty() {
                &mut global
            } else {
                &mut variables
            };
            for (name, value) in assignments(rest) {
                target.insert(name, value);
            }
            continue;
        }
        let Some(stage) = stages.last_mut() else {
            return Err(format!("{word} before the first FROM"));
        };
        match word {
            "RUN" => stage
                .steps
                .push(Step::Run(without_mounts(rest), variables.clone())),
            "COPY" => stage.steps.push(copy(rest)?),
            "WORKDIR" => stage.steps.push(Step::Workdir(substitute(rest, &variables))),
            "USER" => stage.steps.push(Step::User(rest.to_owned())),
            "ENTRYPOINT" => stage.steps.push(Step::Entrypoint(exec_form(rest)?)),
            "HEALTHCHECK" => {
                if let Some((_, command)) = rest.split_once("CMD ") {
                    stage.steps.push(Step::Healthcheck(exec_form(command)?));
                }
            }
            "CMD" | "LABEL" | "EXPOSE" | "VOLUME" => {}
            other => {
                return Err(format!(
                    "the instruction {other} is not known here: add it to xtask/src/dockerfile.rs"
                ));
            }
        }
    }
    Ok(stages)
}

/// Lines without comments, continued ones joined.
fn logical_lines(text: &str) -> Vec<String> {
    let mut lines = Vec::new();
    let mut open = String::new();
    for line in text.lines().map(str::trim) {
        if line.starts_with('#') || (line.is_empty() && open.is_empty()) {
            continue;
        }
        match line.strip_suffix('\\') {
            Some(part) => {
                open.push_str(part);
                open.push(' ');
            }
            None => lines.push(std::mem::take(&mut open) + line),
        }
    }
    lines
}

/// The shell command of a `RUN`: what is cached between builds changes nothing of what it does.
fn without_mounts(command: &str) -> String {
    let mut rest = command.trim();
    while rest.starts_with("--") {
        rest = rest
            .split_once(char::is_whitespace)
            .map_or("", |(_, rest)| rest.trim());
    }
    rest.to_owned()
}

fn copy(rest: &str) -> Result<Step, Failure> {
    let mut from = None;
    let mut words = Vec::new();
    for word in rest.split_whitespace() {
        match word.strip_prefix("--from=") {
            Some(stage) => from = Some(stage.to_owned()),
            None => words.push(word.to_owned()),
        }
    }
    let target = words.pop().filter(|_| !words.is_empty());
    let target = target.ok_or_else(|| format!("COPY {rest}: it names no source or no target"))?;
    Ok(Step::Copy(from, words, target))
}

/// `["a", "b"]` as words. Ours quote plain words only.
fn exec_form(text: &str) -> Result<Vec<String>, Failure> {
    let inner = text
        .trim()
        .strip_prefix('[')
        .and_then(|text| text.strip_suffix(']'));
    let inner = inner.ok_or_else(|| format!("{text} is not in the form [\"word\", ...]"))?;
    Ok(inner
        .split(',')
        .map(|word| word.trim().trim_matches('"').to_owned())
        .collect())
}

/// `A=b C="d e"`, and a name alone, which has no value.
fn assignments(text: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut rest = text.trim();
    while !rest.is_empty() {
        let end = rest
            .find(|c: char| c == '=' || c.is_whitespace())
            .unwrap_or(rest.len());
        let (name, after) = rest.split_at(end);
        let (value, after) = match after.strip_prefix('=') {
            None => ("", after),
            Some(after) => match after.strip_prefix('"') {
                Some(quoted) => quoted.split_once('"').unwrap_or((quoted, "")),
                None => after.split_at(after.find(char::is_whitespace).unwrap_or(after.len())),
            },
        };
        found.push((name.to_owned(), value.to_owned()));
        rest = after.trim_start();
    }
    found
}

/// Puts values into `${NAME}`.
fn substitute(text: &str, variables: &BTreeMap<String, String>) -> String {
    variables.iter().fold(text.to_owned(), |text, (name, value)| {
        text.replace(&format!("${{{name}}}"), value)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stages_are_read_with_their_variables() {
        let text = "# x\nARG BASE=debian:bookworm-slim\nFROM rust:1 AS build\nARG P=dist\nRUN --mount=type=cache,target=/a \\\n    # why\n    \
                    make \"$P\" \\\n    && true\nFROM ${BASE}\nENV A=b \\\n    C=\"d e\"\nCOPY --from=build /out/x /bin/x\nWORKDIR /w\nUSER 7\n\
                    HEALTHCHECK --interval=5s \\\n  CMD [\"curl\", \"-f\"]\nENTRYPOINT [\"x\"]\n";
        let stages = read_dockerfile(text).unwrap();
        assert_eq!(stages.len(), 2);
        assert_eq!(
            (stages[0].base.as_str(), stages[0].name.as_deref()),
            ("rust:1", Some("build"))
        );
        let Step::Run(command, variables) = &stages[0].steps[0] else {
            panic!("{stages:?}");
        };
        assert_eq!(
            command.split_whitespace().collect::<Vec<_>>(),
            ["make", "\"$P\"", "&&", "true"]
        );
        assert_eq!(variables["P"], "dist");
        assert_eq!(stages[1].base, "debian:bookworm-slim");
        let words = |words: &[&str]| words.iter().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(
            stages[1].steps,
            [
                Step::Copy(Some("build".into()), words(&["/out/x"]), "/bin/x".into()),
                Step::Workdir("/w".into()),
                Step::User("7".into()),
                Step::Healthcheck(words(&["curl", "-f"])),
                Step::Entrypoint(words(&["x"])),
            ]
        );
        assert_eq!(
            assignments("A=b C=\"d e\" F"),
            [
                ("A".into(), "b".into()),
                ("C".into(), "d e".into()),
                ("F".into(), String::new())
            ]
        );
    }

    #[test]
    fn what_is_not_understood_is_refused() {
        assert!(
            read_dockerfile("RUN x")
                .unwrap_err()
                .contains("before the first FROM")
        );
        assert!(
            read_dockerfile("FROM a\nONBUILD RUN x")
                .unwrap_err()
                .contains("ONBUILD")
        );
        assert!(
            read_dockerfile("FROM a\nENTRYPOINT x")
                .unwrap_err()
                .contains("not in the form")
        );
        assert!(
            read_dockerfile("FROM a\nCOPY x")
                .unwrap_err()
                .contains("no source or no target")
        );
    }
}
