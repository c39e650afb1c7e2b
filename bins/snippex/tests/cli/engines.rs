//! The table of engines: what is listed, added, removed, and what tests of engines say.

use std::fs;

use serde_json::Value;

use crate::sandbox::{PROGRAM, Sandbox, TINY, needs, tiny_program};

#[test]
fn an_engine_is_added_used_and_removed() {
    needs("qemu-x86_64");
    let sandbox = Sandbox::new();
    sandbox.file("snippex.toml", b"# ours\nstates = 4\n");
    let added = [
        "engines",
        "add",
        "mine",
        "--command",
        "qemu-x86_64 {arguments} {runner}",
        "--configuration",
        "max: -cpu max",
        "--configuration",
        "slow: QEMU_SINGLESTEP=1 QEMU_ONE_INSN_PER_TB=1",
        "--configuration",
        "fast: QEMU_SINGLESTEP=0",
        "--env",
        "QEMU_RAND_SEED=1",
        "--lacks",
        "BMI2",
        "--limit",
        "no AVX-512",
    ];
    sandbox.ok(&added);
    let again = sandbox.run(&added);
    assert!(
        again.code == Some(2) && again.stderr.contains("snippex engines remove mine"),
        "{again:?}"
    );
    let listed = sandbox.json(&["engines", "list"]);
    let mine = listed
        .as_array()
        .unwrap()
        .iter()
        .find(|engine| engine["name"] == "mine")
        .unwrap();
    assert_eq!(
        (&mine["origin"], &mine["available"]),
        (&"settings".into(), &true.into())
    );
    // It says that it is qemu: what snippex knows of that holds for it, too.
    assert_eq!(
        mine["configurations"],
        Value::from(vec!["fast", "max", "one-instruction", "slow"])
    );
    let shown = sandbox.json(&["engines", "show", "mine"]);
    assert_eq!(shown["entry"]["like"], "qemu-x86_64");
    assert!(!shown["deviations"].as_array().unwrap().is_empty(), "{shown}");

    let checked = sandbox.json(&["check", PROGRAM, "-e", "mine/max+slow", "-n", "10"]);
    let engine = &checked["summary"]["engines"][1];
    assert_eq!(engine["name"], "mine/max+slow");
    let configuration = engine["configuration"].to_string();
    assert!(
        configuration.contains("-cpu max") && configuration.contains("QEMU_SINGLESTEP=1"),
        "{engine}"
    );
    for (name, words) in [
        ("mine/slow+fast", "both set QEMU_SINGLESTEP"),
        ("mine/none", "fast, max, one-instruction, slow"),
        (
            "nobody",
            "known are box64, fex-emu, mine, native, qemu-x86_64, valgrind",
        ),
    ] {
        let ended = sandbox.run(&["check", PROGRAM, "-e", name]);
        assert!(
            ended.code == Some(2) && ended.stderr.contains(words),
            "{name}: {ended:?}"
        );
    }
    sandbox.ok(&["engines", "remove", "mine"]);
    assert_eq!(
        fs::read_to_string(sandbox.path("snippex.toml")).unwrap(),
        "# ours\nstates = 4\n"
    );
    let gone = sandbox.run(&["engines", "remove", "qemu-x86_64"]);
    assert!(gone.stderr.contains("presets cannot be removed"), "{gone:?}");
}

#[test]
fn what_an_engine_is_like_is_found_out_or_said() {
    needs("valgrind");
    let sandbox = Sandbox::new();
    let add = |name: &str, command: &str, more: &[&str]| {
        sandbox.ok(&[&["engines", "add", name, "--command", command], more].concat())
    };
    let shown = |name: &str| sandbox.json(&["engines", "show", name]);
    let added = add("built", "valgrind --tool=none -q {runner}", &[]);
    assert!(
        added.stderr.contains("built says that it is valgrind"),
        "{added:?}"
    );
    assert_eq!(shown("built")["entry"]["like"], "valgrind");
    add("fork", "valgrind --tool=none -q {runner}", &["--like", "none"]);
    let fork = shown("fork");
    assert_eq!(fork["entry"]["like"], Value::Null);
    assert_eq!(fork["deviations"], Value::from(Vec::<Value>::new()));
    // The CPU itself is like no emulator, and what is not there cannot be asked.
    add("plain", "env {runner}", &[]);
    assert_eq!(shown("plain")["entry"]["like"], Value::Null);
    let absent = add("absent", "/no/such/emulator {runner}", &[]);
    assert!(absent.stderr.contains("cannot be started now"), "{absent:?}");
}

#[test]
fn what_could_never_start_is_refused_when_it_is_added() {
    let sandbox = Sandbox::new();
    for (name, command, words) in [
        ("mine", "emu 'x", "quote that is not closed"),
        ("mine", "  ", "empty"),
        ("native", "emu", "cannot be the name"),
        ("a/b", "emu", "cannot be the name"),
    ] {
        let ended = sandbox.run(&["engines", "add", name, "--command", command]);
        assert!(
            ended.code == Some(2) && ended.stderr.contains(words),
            "{name} {command}: {ended:?}"
        );
    }
    assert!(!sandbox.path("snippex.toml").exists());
    let file = sandbox.file(
        "snippex.toml",
        b"[engines.mine]\ncommand = 'a {runner}'\ncolour = 'red'\n",
    );
    let ended = sandbox.run(&["engines", "list"]);
    assert!(
        ended.code == Some(2) && ended.stderr.contains("snippex.toml:3: unknown field `colour`"),
        "{ended:?}"
    );
    fs::remove_file(file).unwrap();
}

#[test]
fn fex_is_shown_with_its_matrix_where_it_is_not_installed() {
    let sandbox = Sandbox::new();
    let shown = sandbox.json(&["engines", "show", "fex-emu/reduced-x87"]);
    let configurations = shown["entry"]["configurations"].as_object().unwrap();
    for name in ["maxinst1", "multiblock0", "no-flagm", "reduced-x87", "smc-full"] {
        assert!(configurations.contains_key(name), "{name}");
    }
    let deviations = shown["deviations"].to_string();
    assert!(
        deviations.contains("fex-no-sigfpe") && deviations.contains("fex-reduced-precision"),
        "{deviations}"
    );
}

#[test]
fn a_test_of_an_engine_says_in_words_what_it_can_do() {
    needs("qemu-x86_64");
    needs("valgrind");
    let sandbox = Sandbox::new();
    let can = |engine: &str, what: &str| {
        let tested = sandbox.json(&["engines", "test", engine]);
        assert_eq!(tested["conforms"], true, "{tested}");
        let abilities = tested["abilities"].as_array().unwrap();
        let ability = abilities
            .iter()
            .find(|ability| ability["what"].as_str().unwrap().contains(what))
            .unwrap();
        ability["can"].as_bool().unwrap()
    };
    assert!(can("native", "unmasked SSE exception raises SIGFPE"));
    assert!(!can("qemu-x86_64", "unmasked SSE exception raises SIGFPE"));
    assert!(can("qemu-x86_64/one-instruction", "changes itself"));
    assert!(!can("valgrind", "x87 registers keep 64 bits"));
    let words = sandbox.ok(&["engines", "test", "valgrind"]).stdout;
    for part in ["It can:", "It cannot:", "Known limits:", "valgrind-mxcsr"] {
        assert!(words.contains(part), "{part}: {words}");
    }
    let missing = sandbox.run(&["engines", "test", "fex-emu"]);
    assert!(
        missing.code == Some(2) && missing.stderr.contains("FEX or FEXInterpreter or FEXLoader"),
        "{missing:?}"
    );
}

#[test]
fn valgrind_runs_blocks_like_any_engine() {
    needs("valgrind");
    let sandbox = Sandbox::new();
    let document = sandbox.json(&["check", PROGRAM, "-e", "valgrind", "-n", "60", "--states", "16"]);
    let summary = &document["summary"];
    let matched = summary["matched"].as_u64().unwrap();
    assert!(matched * 10 > summary["runs"].as_u64().unwrap() * 9, "{summary}");
}

#[test]
fn several_engines_are_one_table_that_says_which_have_a_bug() {
    let sandbox = Sandbox::new();
    sandbox.file(TINY, &tiny_program());
    let both = ["check", TINY, "-e", "mock", "-e", "native", "--no-reduce"];
    let compared = sandbox.run(&[&both[..], &["--format", "json"]].concat());
    assert_eq!(compared.code, Some(1), "{compared:?}");
    let answer: Value = serde_json::from_str(&compared.stdout).unwrap();
    let bugs = answer["bugs"].as_array().unwrap();
    assert!(!bugs.is_empty(), "{answer}");
    for bug in bugs {
        let runs = bug["runs"].as_object().unwrap();
        assert!(runs.contains_key("mock") && !runs.contains_key("native"), "{bug}");
    }
    let names: Vec<&Value> = answer["checks"]
        .as_array()
        .unwrap()
        .iter()
        .map(|check| &check["engines"][1]["name"])
        .collect();
    assert_eq!(names, ["mock", "native"]);
    let table = sandbox.run(&both).stdout;
    assert!(table.contains("Runs in which each bug shows"), "{table}");
    for wrong in [
        ["check", TINY, "-e", "mock", "-e", "mock"],
        ["bench", TINY, "-e", "mock", "-e", "native"],
    ] {
        let refused = sandbox.run(&wrong);
        assert_eq!(refused.code, Some(2), "{refused:?}");
    }
}

#[test]
fn an_engine_that_fails_the_engine_check_is_refused_unless_told_to_go_on() {
    needs("valgrind");
    let sandbox = Sandbox::new();
    sandbox.file(TINY, &tiny_program());
    // Without the deviations that valgrind documents it fails.
    let settings = b"[engines.strict]\ncommand = 'valgrind --tool=none -q --smc-check=all {runner}'\n";
    sandbox.file("snippex.toml", settings);
    let check = ["check", TINY, "-e", "strict", "-n", "1", "--no-reduce"];
    let refused = sandbox.run(&check);
    assert_eq!(refused.code, Some(2), "{refused:?}");
    for part in ["strict fails the engine check", "--untrusted"] {
        assert!(refused.stderr.contains(part), "{refused:?}");
    }
    let told = sandbox.run(&[&check[..], &["--untrusted"]].concat());
    assert!(matches!(told.code, Some(0 | 1)), "{told:?}");
    assert!(told.stderr.contains("warning: engine strict fails"), "{told:?}");
}

#[test]
fn different_engines_do_not_share_a_check() {
    let sandbox = Sandbox::new();
    let ended = sandbox.run(&["check", PROGRAM, "-e", "mock,native"]);
    ended.refused(&["mock and native are different engines", "-e mock -e native"]);
}
