//! What bash, zsh and fish offer when the Tab key is pressed, asked of the real shells.

use std::process::Command;

use crate::project::Project;

/// What `shell` prints for `script`, with the program first on the PATH.
fn said(project: &Project, shell: &str, script: &str) -> String {
    let program = std::path::Path::new(env!("CARGO_BIN_EXE_benchgate"));
    let folders = std::env::var("PATH").unwrap();
    let path = format!("{}:{folders}", program.parent().unwrap().display());
    let output = Command::new(shell)
        .args(["-c", script])
        .current_dir(project.path(""))
        .env("PATH", path)
        .env("HOME", project.path(""))
        .output()
        .unwrap_or_else(|error| panic!("{shell}: {error}; `cargo xtask test` installs it"));
    assert!(output.status.success(), "{shell}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn bash_completes_commands_and_the_values_of_options() {
    let project = Project::new();
    let offered = |words: &str| {
        let script = format!(
            "source <(benchgate completions bash); COMP_WORDS=({words}); \
             COMP_CWORD=$(( ${{#COMP_WORDS[@]}} - 1 )); \
             _benchgate benchgate \"${{COMP_WORDS[COMP_CWORD]}}\" \"${{COMP_WORDS[COMP_CWORD-1]}}\"; \
             printf '%s\\n' \"${{COMPREPLY[@]}}\""
        );
        said(&project, "bash", &script)
    };
    assert_eq!(offered("benchgate changep"), "changepoints\n");
    assert_eq!(offered("benchgate check --format jun"), "junit\n");
}

#[test]
fn fish_completes_commands_and_the_values_of_options() {
    let project = Project::new();
    let offered = |line: &str| {
        let script = format!("benchgate completions fish | source; complete -C '{line}'");
        let lines = said(&project, "fish", &script);
        let names = lines.lines().filter_map(|line| line.split('\t').next());
        names.map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(offered("benchgate changep"), ["changepoints"]);
    assert_eq!(offered("benchgate check --format jun"), ["junit"]);
}

#[test]
fn zsh_completes_commands_and_options() {
    let project = Project::new();
    // An interactive zsh; `%` marks where its prompt ends.
    let completed = |line: &str| {
        let script = format!(
            "zmodload zsh/zpty; zpty z zsh -f -i; \
             zpty -w z 'PS1=%%; autoload -Uz compinit; compinit -u -D; source <(benchgate completions zsh)'; \
             sleep 1; zpty -n -w z $'{line}\\t'; sleep 1; \
             while zpty -r -t z part; do print -rn -- $part; done; zpty -d z"
        );
        said(&project, "zsh", &script)
    };
    for (line, wanted) in [
        ("benchgate changep", "changepoints"),
        ("benchgate ab --bud", "--budget"),
    ] {
        let text = completed(line);
        assert!(text.contains(wanted), "{text:?}");
        assert!(
            !text.contains("parse error") && !text.contains("bad substitution"),
            "{text:?}"
        );
    }
}
