//! What bash, zsh and fish offer when the Tab key is pressed, asked of the real shells.

use std::process::Command;

use super::sandbox::{Sandbox, TINY, tiny_program};

/// What `shell` prints for `script`, with the program first on the PATH.
fn said(sandbox: &Sandbox, shell: &str, script: &str) -> String {
    let program = std::path::Path::new(env!("CARGO_BIN_EXE_snippex"));
    let folders = std::env::var("PATH").unwrap();
    let path = format!("{}:{folders}", program.parent().unwrap().display());
    let output = Command::new(shell)
        .args(["-c", script])
        .current_dir(sandbox.path(""))
        .env("PATH", path)
        .env("HOME", sandbox.path(""))
        .env_remove("SNIPPEX_DATABASE")
        .output()
        .unwrap_or_else(|error| panic!("{shell}: {error}; `cargo xtask test` installs it"));
    assert!(output.status.success(), "{shell}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// The candidates that bash has for the last of `words`.
fn bash(sandbox: &Sandbox, words: &str) -> Vec<String> {
    let script = format!(
        "source <(snippex completions bash); COMP_WORDS=({words}); COMP_CWORD=$(( ${{#COMP_WORDS[@]}} - 1 )); \
         COMP_LINE='{words}'; COMP_POINT=${{#COMP_LINE}}; COMP_TYPE=9; \
         $(complete -p snippex | sed 's/.*-F \\([^ ]*\\).*/\\1/') snippex \"${{COMP_WORDS[COMP_CWORD]}}\" ''; \
         printf '%s\\n' \"${{COMPREPLY[@]}}\""
    );
    said(sandbox, "bash", &script)
        .lines()
        .map(str::to_owned)
        .collect()
}

fn fish(sandbox: &Sandbox, line: &str) -> Vec<String> {
    let script = format!("snippex completions fish | source; complete -C '{line}'");
    let lines = said(sandbox, "fish", &script);
    lines
        .lines()
        .filter_map(|line| line.split('\t').next().map(str::to_owned))
        .collect()
}

/// What an interactive zsh prints after `line` and a Tab, as far as `wanted`, or for ten seconds. `%` marks where its prompt
/// ends. What is typed is echoed, so that the word that says that it is ready is typed in two parts.
fn zsh(sandbox: &Sandbox, line: &str, wanted: &str) -> String {
    let script = format!(
        "zmodload zsh/zpty; zpty z zsh -f -i; \
         wait_for() {{ all=''; repeat 100; do while zpty -r -t z part; do all+=$part; done; \
         [[ $all == *$1* ]] && break; sleep 0.1; done }}; \
         zpty -w z 'PS1=%%; autoload -Uz compinit; compinit -u -D; source <(snippex completions zsh); print READ\"\"Y'; \
         wait_for READY; zpty -n -w z $'{line}\\t'; wait_for '{wanted}'; print -rn -- $all; zpty -d z"
    );
    said(sandbox, "zsh", &script)
}

#[test]
fn commands_and_engines_complete_by_name_in_bash() {
    let sandbox = Sandbox::new();
    assert_eq!(
        bash(&sandbox, "snippex conf"),
        ["conformance", "config"].map(String::from)
    );
    let engines = bash(&sandbox, "snippex check /bin/ls --emulator fex-emu/max");
    assert!(
        !engines.is_empty() && engines.iter().all(|name| name.starts_with("fex-emu/max")),
        "{engines:?}"
    );
}

#[test]
fn an_engine_of_the_settings_and_a_stored_binary_complete_in_fish() {
    let sandbox = Sandbox::new();
    sandbox.ok(&["engines", "add", "mine", "--command", "env {runner}"]);
    sandbox.ok(&["extract", "/bin/true"]);
    assert_eq!(fish(&sandbox, "snippex engines show mi"), ["mine"]);
    assert_eq!(fish(&sandbox, "snippex list --binary tr"), ["true"]);
}

#[test]
fn bugs_complete_by_their_name() {
    let sandbox = Sandbox::new();
    sandbox.file(TINY, &tiny_program());
    let checked = sandbox.run(&["check", TINY, "-e", "mock"]);
    assert_eq!(
        checked.code,
        Some(1),
        "the mock's planted bug is found: {checked:?}"
    );
    let mut names = fish(&sandbox, "snippex bugs show ");
    names.retain(|name| !name.starts_with("--"));
    assert!(!names.is_empty(), "no bug is offered");
    for name in names {
        sandbox.ok(&["bugs", "show", &name]);
    }
}

#[test]
fn zsh_completes_commands_whose_options_have_braces_in_their_help() {
    let sandbox = Sandbox::new();
    let line = zsh(&sandbox, "snippex engines add mine --comm", "--command");
    assert!(line.contains("--command"), "{line:?}");
    assert!(
        !line.contains("parse error") && !line.contains("bad substitution"),
        "{line:?}"
    );
}
