//! The two workflows that `init` writes. Code of a fork runs only in the first, which may not write; the second may, and runs
//! none of it.

/// The variable of a repository or organisation with the address of benchgate's source.
pub(super) const SOURCE_VARIABLE: &str = "BENCHGATE_SOURCE";

/// Measures and judges a pull request.
pub(super) fn measuring_workflow(setup: &str, install: Option<&str>) -> String {
    let install = install_steps(install);
    format!(
        "\
# Compares every pull request with its base, on one machine, interleaved.
name: benchmarks
on: pull_request
permissions:
  contents: read
jobs:
  benchgate:
    runs-on: ubuntu-latest
    timeout-minutes: 60
    steps:
      - uses: actions/checkout@v4
        with: {{ fetch-depth: 0 }}
{setup}{install}      - run: >
          benchgate ab --base ${{{{ github.event.pull_request.base.sha }}}}
          --head ${{{{ github.event.pull_request.head.sha }}}} --budget 40m --format github
      - if: always()
        run: benchgate report --format html --output benchmarks.html
      - if: always()
        uses: actions/upload-artifact@v4
        with:
          name: benchgate
          path: |
            benchmarks.html
            target/benchgate/report.json
"
    )
}

/// Comments on the pull request with what the first workflow found; it reads the artifact and nothing else of a fork.
pub(super) fn commenting_workflow(install: Option<&str>) -> String {
    let install = install_steps(install);
    format!(
        "\
# Comments on pull requests, those of forks too. It runs in the repository's own context and executes nothing of them.
name: benchmark comments
on:
  workflow_run: {{ workflows: [benchmarks], types: [completed] }}
permissions:
  actions: read
  pull-requests: write
jobs:
  comment:
    # A workflow that was cancelled has no report.
    if: github.event.workflow_run.event == 'pull_request' && github.event.workflow_run.conclusion != 'cancelled'
    runs-on: ubuntu-latest
    timeout-minutes: 20
    steps:
      - uses: actions/download-artifact@v4
        with:
          name: benchgate
          run-id: ${{{{ github.event.workflow_run.id }}}}
          github-token: ${{{{ github.token }}}}
{install}      - run: benchgate comment target/benchgate/report.json --commit ${{{{ github.event.workflow_run.head_sha }}}}
        env: {{ GITHUB_TOKEN: \"${{{{ github.token }}}}\" }}
"
    )
}

/// Installs benchgate: by the user's command, else from source, which is kept for the next time.
fn install_steps(install: Option<&str>) -> String {
    if let Some(command) = install {
        let lines: Vec<String> = command
            .lines()
            .map(|line| format!("          {line}\n"))
            .collect();
        return format!(
            "      - name: install benchgate\n        run: |\n{}",
            lines.concat()
        );
    }
    format!(
        "\
      - uses: actions/cache@v4
        with:
          path: |
            ~/.cargo/bin/benchgate
            ~/.cargo/.crates.toml
            ~/.cargo/.crates2.json
          key: benchgate-${{{{ runner.os }}}}-${{{{ vars.{SOURCE_VARIABLE} }}}}
      - name: install benchgate
        run: cargo install --locked --git \"$SOURCE\" benchgate
        env: {{ SOURCE: \"${{{{ vars.{SOURCE_VARIABLE} }}}}\" }}
"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_install_benchgate_before_they_call_it() {
        for install in [None, Some("apt-get update\napt-get install benchgate")] {
            for text in [measuring_workflow("", install), commenting_workflow(install)] {
                let installed = text.find("name: install benchgate").unwrap();
                let called = ["benchgate ab --base", "run: benchgate comment"];
                let called = called.iter().filter_map(|call| text.find(call)).min().unwrap();
                assert!(installed < called, "{text}");
                assert!(!text.contains("pull_request_target"), "{text}");
            }
        }
    }

    #[test]
    fn a_command_of_several_lines_stays_within_its_step() {
        let text = commenting_workflow(Some("curl x\nchmod +x y"));
        assert!(
            text.contains("run: |\n          curl x\n          chmod +x y\n      - run: benchgate comment"),
            "{text}"
        );
        assert!(!text.contains(SOURCE_VARIABLE), "{text}");
    }
}
