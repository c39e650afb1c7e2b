//! What a developer with an ARM64 machine does: the program as it is built for ARM64, under qemu-user, with box64 as the emulator
//! that is tested. `SNIPPEX_TEST_ARM64` names the program, `SNIPPEX_TEST_BOX64` one that runs box64: `cargo xtask test --only
//! arm64` builds and fetches them and runs these tests.

use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::sandbox::{BASH, Ended, PROGRAM, Sandbox, elf};
use crate::ssh_server::SshServer;

const NEEDS: &str = "needs an ARM64 build and box64: cargo xtask test --only arm64";
const LFENCE: &str = "lfence";

fn named(variable: &str) -> String {
    std::env::var(variable).expect(NEEDS)
}

/// The entry that makes of box64 the one that the environment names.
fn box64_entry() -> String {
    let program = named("SNIPPEX_TEST_BOX64");
    format!(
        "[engines.box64]\ncommand = \"{program} {{arguments}} {{runner}}\"\nversion = \"{program} --version\"\n"
    )
}

/// An x86-64 machine and an ARM64 machine with box64, each with a database of its own.
struct Machines(Sandbox);

impl Machines {
    fn new() -> Self {
        let sandbox = Sandbox::new();
        let agent = env!("CARGO_BIN_EXE_snippex");
        let host = format!("[hosts.intel]\ncommand = \"env\"\nagent = \"{agent}\"\n");
        sandbox.file("snippex.toml", (box64_entry() + &host).as_bytes());
        // An encoding of LFENCE that every processor takes and box64 does not, then a product.
        sandbox.file(LFENCE, &elf(&[0x0f, 0xae, 0xe9, 0x48, 0x0f, 0xaf, 0xc6, 0xc3]));
        Self(sandbox)
    }

    fn x86_64(&self, arguments: &[&str]) -> Ended {
        let mut command = self.0.command(arguments);
        Ended::of(&command.env("SNIPPEX_DATABASE", "x86.db").output().unwrap())
    }

    fn arm64(&self, arguments: &[&str]) -> Ended {
        Ended::of(&self.arm64_command(arguments).output().unwrap())
    }

    fn arm64_command(&self, arguments: &[&str]) -> Command {
        let program = named("SNIPPEX_TEST_ARM64");
        let words = [&["-cpu", "max", &program], arguments].concat();
        let mut command = self.0.command_of("qemu-aarch64", &words);
        command.env("SNIPPEX_DATABASE", "arm.db");
        command
    }
}

/// What does not depend on time and machine of a summary.
fn verdicts(ended: &Ended) -> Vec<Value> {
    let document: Value =
        serde_json::from_str(&ended.stdout).unwrap_or_else(|error| panic!("{error}: {ended:?}"));
    let names = [
        "runs",
        "completed",
        "faulted",
        "matched",
        "diverged",
        "inconclusive",
        "unsupported",
    ];
    names
        .iter()
        .map(|name| document["summary"][name].clone())
        .collect()
}

/// Names of bugs, with the runs that show them.
fn bugs(ended: &Ended) -> Vec<(String, Value)> {
    let document: Value = serde_json::from_str(&ended.stdout).unwrap();
    let bugs = document.as_array().unwrap().iter();
    bugs.map(|bug| (bug["id"].as_str().unwrap().to_owned(), bug["runs"].clone()))
        .collect()
}

#[test]
#[ignore = "needs an ARM64 build and box64: cargo xtask test --only arm64"]
fn there_is_no_x86_64_processor_and_a_check_says_what_takes_its_place() {
    let machines = Machines::new();
    let listed = machines.arm64(&["engines", "list", "--format", "json"]);
    let listed: Value = serde_json::from_str(&listed.stdout).unwrap();
    let engine = |name: &str| {
        listed
            .as_array()
            .unwrap()
            .iter()
            .find(|engine| engine["name"] == name)
            .unwrap()
    };
    assert_eq!(engine("native")["available"], false);
    assert!(
        engine("native")["problem"]
            .as_str()
            .unwrap()
            .contains("no x86-64 processor")
    );
    assert_eq!(engine("box64")["available"], true);
    for arguments in [
        vec!["check", LFENCE, "-e", "box64"],
        vec!["record", LFENCE, "--to", "x.rec"],
        vec!["bench", LFENCE, "-e", "box64"],
    ] {
        machines.arm64(&arguments).refused(&[
            "no x86-64 processor",
            "snippex record BINARY --to FILE on an x86-64 machine",
            "--reference HOST/native",
            "--reference ENGINE",
        ]);
    }
}

#[test]
#[ignore = "needs an ARM64 build and box64: cargo xtask test --only arm64"]
fn a_recording_gives_the_verdicts_and_bugs_that_the_processor_gives() {
    let machines = Machines::new();
    let check = [
        "check",
        LFENCE,
        "-e",
        "box64",
        "--states",
        "16",
        "--no-reduce",
        "--format",
        "json",
    ];
    let direct = machines.x86_64(&[&check[..], &["--record", "fence.rec"]].concat());
    assert_eq!(direct.code, Some(1), "{direct:?}");
    let replayed = machines.arm64(&["replay", "fence.rec", "-e", "box64", "--format", "json"]);
    let against = machines.arm64(&[&check[..], &["--reference", "fence.rec"]].concat());
    for ended in [&replayed, &against] {
        assert_eq!(
            (ended.code, verdicts(ended)),
            (Some(1), verdicts(&direct)),
            "{ended:?}"
        );
    }
    let listed = ["bugs", "--format", "json"];
    let there = bugs(&machines.arm64(&listed));
    assert_eq!(there.len(), 1, "{there:?}");
    assert_eq!(
        there.iter().map(|(name, _)| name).collect::<Vec<_>>(),
        bugs(&machines.x86_64(&listed))
            .iter()
            .map(|(name, _)| name)
            .collect::<Vec<_>>()
    );
    // What was recorded cannot be made plainer without a processor; one that is far away will do.
    machines
        .arm64(&["reduce", "1", "--reference", "fence.rec"])
        .refused(&["cannot be run on both engines", "--reference HOST/native"]);
    let reduced = machines.arm64(&["reduce", "1", "--reference", "intel/native"]);
    assert_eq!(reduced.code, Some(1), "{reduced:?}");
    assert!(reduced.stdout.contains("lfence"), "{reduced:?}");
    let written = machines.arm64(&["repro", "1", "--as", "c"]);
    assert_eq!(written.code, Some(0), "{written:?}");
    assert!(written.stdout.contains("int main"), "{written:?}");
    machines
        .arm64(&["repro", "1", "--as", "c", "--try"])
        .refused(&["this machine has none", "on an x86-64 machine"]);
}

#[test]
#[ignore = "needs an ARM64 build and box64: cargo xtask test --only arm64"]
fn cases_and_their_ends_run_there_too() {
    let machines = Machines::new();
    let cases = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures/cases/known");
    let ended = machines.arm64(&["conformance", cases, "-e", "qemu-x86_64"]);
    // Each is a bug of qemu-user 7.2; newer ones have fewer.
    assert!(matches!(ended.code, Some(0 | 1)), "{ended:?}");
    assert!(ended.stdout.contains("18 conformance tests"), "{ended:?}");
    let case = format!("{cases}/fcomi-flags.snip");
    let text = std::fs::read_to_string(&case).unwrap();
    let end = text.lines().position(|line| line.starts_with("end")).unwrap();
    let start: String = text.lines().take(end).map(|line| format!("{line}\n")).collect();
    machines.0.file("start.snip", start.as_bytes());
    machines
        .arm64(&["repro", "start.snip", "--as", "case"])
        .refused(&["no x86-64 processor"]);
    let far = machines.arm64(&[
        "repro",
        "start.snip",
        "--as",
        "case",
        "--reference",
        "intel/native",
    ]);
    let here = machines.x86_64(&["repro", "start.snip", "--as", "case"]);
    assert_eq!(far.code, Some(0), "{far:?}");
    let body = |ended: &Ended| -> Vec<String> {
        let lines = ended.stdout.lines().filter(|line| !line.starts_with('#'));
        lines.map(str::to_owned).collect()
    };
    assert_eq!(body(&far), body(&here));
}

#[test]
#[ignore = "needs an ARM64 build and box64: cargo xtask test --only arm64"]
fn a_jit_is_compared_with_an_interpreter_and_several_engines_share_a_table() {
    let machines = Machines::new();
    let wanted = [
        "check",
        LFENCE,
        "--states",
        "16",
        "--no-reduce",
        "--no-cache",
        "--format",
        "json",
    ];
    let jit = ["-e", "box64", "--reference", "box64/interpreter"];
    let ended = machines.arm64(&[&wanted[..], &jit].concat());
    // Both raise SIGILL.
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let document: Value = serde_json::from_str(&ended.stdout).unwrap();
    assert!(document["summary"]["matched"].as_u64().unwrap() > 0, "{ended:?}");
    let several = [
        "-e",
        "box64",
        "-e",
        "box64/interpreter",
        "-e",
        "qemu-x86_64",
        "--reference",
        "intel/native",
    ];
    let table = machines.arm64(&[&wanted[..], &several].concat());
    assert_eq!(table.code, Some(1), "{table:?}");
    let table: Value = serde_json::from_str(&table.stdout).unwrap();
    let bugs = table["bugs"].as_array().unwrap().iter();
    let shown: Vec<Vec<&String>> = bugs
        .map(|bug| bug["runs"].as_object().unwrap().keys().collect())
        .collect();
    assert_eq!(shown, [["box64", "box64/interpreter"]]);
}

#[test]
#[ignore = "needs an ARM64 build and box64: cargo xtask test --only arm64"]
fn box64_behind_ssh_is_what_box64_is_here() {
    let server = SshServer::start(None, &box64_entry());
    server
        .sandbox()
        .file(LFENCE, &elf(&[0x0f, 0xae, 0xe9, 0x48, 0x0f, 0xaf, 0xc6, 0xc3]));
    for program in [LFENCE, PROGRAM] {
        let verdicts_of = |engine: &str| {
            let arguments = [
                "check",
                program,
                "-e",
                engine,
                "--states",
                "16",
                "-n",
                "200",
                "--no-reduce",
                "--no-cache",
                "--format",
                "json",
            ];
            let ended = Ended::of(&server.command(&arguments).output().unwrap());
            assert!(matches!(ended.code, Some(0 | 1)), "{ended:?}");
            (ended.code, verdicts(&ended))
        };
        assert_eq!(verdicts_of("pi/box64"), verdicts_of("box64"), "{program}");
    }
}

/// A whole ARM64 machine, as `SNIPPEX_TEST_GUEST`, settings of ssh, knows it.
struct Guest {
    sandbox: Sandbox,
}

impl Guest {
    fn new() -> Self {
        let sandbox = Sandbox::new();
        let shim = sandbox.path("bin/ssh");
        std::fs::create_dir(sandbox.path("bin")).unwrap();
        let script = format!(
            "#!/bin/sh\nexec /usr/bin/ssh -F '{}' \"$@\"\n",
            named("SNIPPEX_TEST_GUEST")
        );
        std::fs::write(&shim, script).unwrap();
        std::fs::set_permissions(&shim, std::fs::Permissions::from_mode(0o755)).unwrap();
        Self { sandbox }
    }

    fn run(&self, arguments: &[&str]) -> Ended {
        let path = format!(
            "{}:{}",
            self.sandbox.path("bin").display(),
            std::env::var("PATH").unwrap()
        );
        let mut command = self.sandbox.command(arguments);
        Ended::of(&command.env("PATH", path).output().unwrap())
    }

    /// Puts a file into the home folder there.
    fn send(&self, content: &[u8], name: &str) {
        let mut copy = Command::new(self.sandbox.path("bin/ssh"));
        let mut child = copy
            .args(["guest", &format!("cat >{name}")])
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(content).unwrap();
        assert!(child.wait().unwrap().success());
    }

    /// What a user types there.
    fn type_there(&self, line: &str) -> Ended {
        let ssh = self.sandbox.path("bin/ssh");
        Ended::of(&Command::new(ssh).args(["guest", line]).output().unwrap())
    }
}

#[test]
#[ignore = "needs an ARM64 build and box64: cargo xtask test --only arm64"]
fn a_real_arm64_machine_is_driven_over_ssh_and_used_by_itself() {
    let guest = Guest::new();
    let agent = named("SNIPPEX_TEST_ARM64_STRIPPED");
    // An emulated machine takes its time.
    let entry =
        format!("[hosts.guest]\nssh = \"guest\"\nagent = \"{agent}\"\nstart_patience = 300\nsilence = 60\n");
    guest.sandbox.file("snippex.toml", entry.as_bytes());
    let setup = guest.run(&["hosts", "setup", "guest"]);
    assert_eq!(setup.code, Some(0), "{setup:?}");
    assert!(
        setup.stdout.contains("aarch64") && setup.stdout.contains("no x86-64 processor"),
        "{setup:?}"
    );
    let tested = guest.run(&["engines", "test", "guest/box64"]);
    assert_eq!(tested.code, Some(0), "{tested:?}");
    let check = [
        "check",
        BASH,
        "-e",
        "guest/box64",
        "-n",
        "300",
        "--states",
        "16",
        "--no-reduce",
        "--no-cache",
        "--format",
        "json",
        "--record",
        "bash.rec",
    ];
    let far = guest.run(&check);
    assert!(matches!(far.code, Some(0 | 1)), "{far:?}");
    let [runs, .., unsupported] = &verdicts(&far)[..] else {
        panic!("{far:?}");
    };
    let unsupported: u64 = unsupported.as_object().map_or_else(
        || unsupported.as_u64().unwrap(),
        |reasons| reasons.values().filter_map(Value::as_u64).sum(),
    );
    assert!(unsupported * 20 <= runs.as_u64().unwrap(), "{far:?}");
    // The same there, without this machine: the agent is the whole program.
    let program = guest
        .type_there("ls -t ~/.cache/snippex/agent/* | head -n 1")
        .stdout;
    let program = program.trim();
    let recording = std::fs::read(guest.sandbox.path("bash.rec")).unwrap();
    guest.send(&recording, "bash.rec");
    let replayed = guest.type_there(&format!("{program} replay bash.rec -e box64 --format json"));
    assert_eq!(
        (replayed.code, verdicts(&replayed)),
        (far.code, verdicts(&far)),
        "{replayed:?}"
    );
    let listed = guest.type_there(&format!("{program} engines list"));
    assert!(listed.stderr.contains("no x86-64 processor"), "{listed:?}");
}
