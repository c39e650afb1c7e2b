//! What cannot be used is refused with one line that says what to do, and exit code 2.

use crate::sandbox::{Ended, PROGRAM, Sandbox, default_database, elf, tiny_program};

#[test]
fn files_that_are_no_program() {
    let sandbox = Sandbox::new();
    let program = std::fs::read(PROGRAM).unwrap();
    let empty = sandbox.file("empty", b"");
    let text = sandbox.file("text", b"#!/bin/sh\necho hello\n");
    let cut = sandbox.file("cut", &program[..program.len() / 2]);
    let head = sandbox.file("head", &program[..40]);
    let mut other = program.clone();
    other[18] = 183; // e_machine: AArch64
    let other = sandbox.file("other", &other);
    let mut beyond = program.clone();
    beyond[32..40].copy_from_slice(&(1_u64 << 63).to_le_bytes()); // e_phoff
    let beyond = sandbox.file("beyond", &beyond);
    let hollow = sandbox.file("hollow", &elf(&[])[..]);
    for command in ["check", "extract", "analyze", "bench"] {
        let refused = |path: &str, words: &[&str]| sandbox.run(&[command, path]).refused(words);
        refused(empty.to_str().unwrap(), &["not an ELF or PE file", "hint"]);
        refused(text.to_str().unwrap(), &["not an ELF or PE file", "hint"]);
        refused(cut.to_str().unwrap(), &["truncated", "hint"]);
        refused(head.to_str().unwrap(), &["hint"]);
        refused(hollow.to_str().unwrap(), &["hint"]);
        refused(other.to_str().unwrap(), &["only x86-64", "hint"]);
        refused(beyond.to_str().unwrap(), &["hint"]);
        refused("no-such-file", &["no-such-file", "hint"]);
        refused("/", &["it is a folder", "hint"]);
        refused("/dev/null", &["not a regular file", "hint"]);
    }
    assert!(!default_database(&sandbox).exists(), "nothing was stored");
}

#[test]
fn emulators_that_are_none() {
    let sandbox = Sandbox::new();
    let check = |command: &str| sandbox.run(&["check", PROGRAM, "-n", "5", "--engine-command", command]);
    check("no-such-emulator {runner}").refused(&["no-such-emulator", "installed"]);
    check("echo hello").refused(&["engine echo", "hint"]);
    check("sh -c 'echo this is no answer; sleep 9' x").refused(&["standard output", "this is", "hint"]);
    check("false").refused(&["exited with status 1", "hint"]);
    check("sh -c 'echo out of licences >&2; exit 3' x").refused(&["exited with status 3", "out of licences"]);
    check("sleep 600 #").refused(&["hint"]);
    check("'").refused(&["quote", "--engine-command"]);
    check(" ").refused(&["empty", "--engine-command"]);
    sandbox
        .run(&["check", PROGRAM, "-e", "bochs"])
        .refused(&["bochs", "native", "--engine-command"]);
    let ended = Sandbox::new()
        .command(&["check", PROGRAM, "-e", "qemu-x86_64"])
        .env("PATH", "/nowhere")
        .output();
    Ended::of(&ended.unwrap()).refused(&["qemu-x86_64", "install qemu-user"]);
}

#[test]
fn an_emulator_that_hangs_is_given_up() {
    let sandbox = Sandbox::new();
    let ended = sandbox.run(&[
        "check",
        PROGRAM,
        "-n",
        "5",
        "--engine-command",
        "sh -c 'sleep 600' {runner}",
    ]);
    ended.refused(&["did not answer in time", "hint"]);
}

#[test]
fn databases_that_cannot_be_used() {
    let sandbox = Sandbox::new();
    let text = sandbox.file(
        "text.db",
        b"this is no database, but long enough to be taken for one by somebody",
    );
    let text = text.to_str().unwrap();
    sandbox
        .run(&["extract", PROGRAM, "--database", text])
        .refused(&["not a database", "--database"]);
    sandbox
        .run(&["extract", PROGRAM, "--database", "/proc/x/y.db"])
        .refused(&["/proc/x/y.db", "--database"]);
    sandbox
        .run(&["list", "--database", "none.db"])
        .refused(&["no database", "snippex extract"]);
    assert!(!sandbox.path("none.db").exists());
    sandbox
        .run(&["list", "--database", "mysql://h/d"])
        .refused(&["--database"]);
    sandbox
        .run(&["list", "--database", "postgres://user:secret@127.0.0.1:9/d"])
        .refused(&["cannot be reached"]);
}

#[test]
fn a_file_that_has_changed_is_noticed() {
    let sandbox = Sandbox::new();
    let mut program = std::fs::read(PROGRAM).unwrap();
    let path = sandbox.file("program", &program);
    sandbox.ok(&["extract", path.to_str().unwrap(), "-n", "5"]);
    program.push(0);
    sandbox.file("program", &program);
    sandbox
        .run(&["validate", "all", "-e", "native"])
        .refused(&["has changed", "snippex extract"]);
    std::fs::remove_file(path).unwrap();
    sandbox
        .run(&["validate", "all", "-e", "native"])
        .refused(&["cannot read", "snippex extract"]);
}

#[test]
fn settings_that_are_wrong_are_named_with_their_place() {
    let sandbox = Sandbox::new();
    sandbox.file("snippex.toml", b"states = 8\n\nstats = 3\n");
    sandbox
        .run(&["config", "show"])
        .refused(&["snippex.toml:3", "stats"]);
    sandbox.file("snippex.toml", b"states = 0\n");
    sandbox
        .run(&["config", "show"])
        .refused(&["states = 0", "snippex.toml:1"]);
    sandbox.file("snippex.toml", b"states = 8\n");
    let shown = sandbox
        .command(&["config", "show", "--database", "x.db"])
        .env("SNIPPEX_THREADS", "3")
        .output()
        .unwrap();
    let shown = Ended::of(&shown).stdout;
    for words in [
        "flag --database",
        "environment SNIPPEX_THREADS",
        "snippex.toml:1",
        "default",
    ] {
        assert!(shown.contains(words), "{words}: {shown}");
    }
}

#[test]
fn numbers_that_do_not_exist() {
    let sandbox = Sandbox::new();
    sandbox.ok(&["extract", PROGRAM, "-n", "5"]);
    sandbox
        .run(&["disasm", "9"])
        .refused(&["no block 9", "snippex list"]);
    sandbox
        .run(&["compare", "1", "2"])
        .refused(&["no observation 1", "snippex simulate"]);
    sandbox
        .run(&["compare", "--divergence", "1"])
        .refused(&["no divergence 1", "snippex list --divergences"]);
    sandbox
        .run(&["remove", "--run", "1"])
        .refused(&["no run 1", "snippex list --runs"]);
    sandbox.run(&["remove", "77"]).refused(&["no block 77"]);
    sandbox
        .run(&["list", "--binary", "nobody"])
        .refused(&["nobody", "--binaries"]);
    for selection in ["0", "5-3", "x", "1,,2"] {
        assert_eq!(sandbox.run(&["disasm", selection]).code, Some(2));
    }
}

#[test]
fn a_folder_for_temporary_files_that_takes_none_is_named() {
    let sandbox = Sandbox::new();
    let missing = sandbox.path("gone");
    let mut command = sandbox.command(&["engines", "test", "native"]);
    let ended = command.env("TMPDIR", &missing).output().unwrap();
    let folder = missing.display().to_string();
    Ended::of(&ended).refused(&["prepare engine native", &folder, "No such file", "TMPDIR"]);

    let folder = sandbox.path("full");
    std::fs::create_dir(&folder).unwrap();
    let mut shell = std::process::Command::new("sh");
    // Files of at most one block, and an error instead of a signal for what is beyond.
    let limited = "ulimit -f 1; trap '' XFSZ; exec \"$0\" engines test native";
    shell.args(["-c", limited, env!("CARGO_BIN_EXE_snippex")]);
    let ended = shell
        .env("HOME", sandbox.path(""))
        .env("TMPDIR", &folder)
        .output()
        .unwrap();
    let file = format!("cannot write {}/snippex-", folder.display());
    Ended::of(&ended).refused(&[&file, "/runner: ", "make room in", "TMPDIR"]);
}

#[test]
fn a_list_needs_no_second_word() {
    let sandbox = Sandbox::new();
    sandbox.ok(&["extract", PROGRAM, "-n", "5"]);
    for list in [
        &["engines", "list"][..],
        &["config", "show"],
        &["bugs", "known", "list"],
    ] {
        let (short, whole) = (sandbox.ok(&list[..list.len() - 1]), sandbox.ok(list));
        assert_eq!((short.stdout, short.stderr), (whole.stdout, whole.stderr));
    }
}

#[test]
fn a_program_that_unpacks_another_is_named() {
    let sandbox = Sandbox::new();
    let mut program = tiny_program();
    program[0x200..0x204].copy_from_slice(b"UPX!");
    let program = sandbox.file("packed", &program);
    let ended = sandbox.ok(&["extract", program.to_str().unwrap()]);
    assert!(ended.stderr.contains("packed by UPX"), "{ended:?}");
    assert!(ended.stderr.contains("`upx -d FILE`"), "{ended:?}");
}

#[test]
fn a_program_of_many_gigabytes_is_refused_unread() {
    let sandbox = Sandbox::new();
    let program = sandbox.file("huge", &tiny_program());
    std::fs::File::options()
        .write(true)
        .open(&program)
        .and_then(|file| file.set_len(20 << 30))
        .unwrap();
    let ended = sandbox.run(&["extract", program.to_str().unwrap()]);
    ended.refused(&["21474836480 bytes", "at most 4294967296"]);
}
