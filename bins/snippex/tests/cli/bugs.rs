//! Bugs: found, listed, known, compared between versions, and reduced by hand.

use serde_json::Value;

use crate::sandbox::{Sandbox, TINY, tiny_program};

/// A sandbox in which the mock's planted bug was found in the tiny program.
fn checked() -> (Sandbox, String) {
    let sandbox = Sandbox::new();
    sandbox.file(TINY, &tiny_program());
    let checked = sandbox.json(&["check", TINY, "-e", "mock", "-j", "1"]);
    let bugs = checked["summary"]["bugs"].as_array().unwrap().clone();
    assert_eq!(bugs.len(), 1, "{bugs:?}");
    let id = bugs[0]["id"].as_str().unwrap().to_owned();
    let named = &checked["blocks"][0]["findings"][0]["bugs"][0];
    assert_eq!(named, &Value::from(id.clone()));
    (sandbox, id)
}

#[test]
fn a_bug_is_listed_shown_and_reduced() {
    let (sandbox, id) = checked();
    assert_eq!(id, "imul.flags");
    let listed = sandbox.json(&["bugs"]);
    let bug = &listed[0];
    assert_eq!(
        (&bug["id"], &bug["title"], &bug["signatures"]),
        (&id.clone().into(), &"IMUL: wrong flags".into(), &1.into())
    );
    let example = &bug["example"];
    assert_eq!(
        (&example["reduced"], &example["confirmations"]),
        (&true.into(), &3.into())
    );
    assert_eq!(example["code"], Value::from(vec!["imul rax, rsi"]));
    assert!(example["state"].as_array().unwrap().len() >= 2, "{example}");
    assert_eq!(bug["engines"][0]["name"], "mock");
    let of_native = sandbox.json(&["bugs", "--emulator", "native"]);
    assert_eq!(of_native.as_array().unwrap().len(), 0);
    let human = sandbox.ok(&["bugs"]).stdout;
    for words in [
        "IMUL: wrong flags",
        &id,
        "imul rax, rsi  (48 0f af c6)",
        "with",
        "rsi =",
        "confirmed",
    ] {
        assert!(human.contains(words), "{words}: {human}");
    }

    // One level down: the form and what differs, with an id of its own.
    let signatures = sandbox.json(&["bugs", "--signatures"]);
    let signature = &signatures[0];
    assert_eq!(
        (&signature["bug"], &signature["instruction"], &signature["kind"]),
        (&id.clone().into(), &"imul r64, r64".into(), &"flag".into())
    );
    assert_eq!(signature["fields"], Value::from(vec!["flags.CF", "flags.OF"]));
    let digits = signature["id"].as_str().unwrap().to_owned();
    assert_eq!(example["signature"], Value::from(digits.clone()));
    let human = sandbox.ok(&["bugs", "--signatures"]).stdout;
    assert!(
        human.contains(&digits) && human.contains("imul r64, r64"),
        "{human}"
    );
    let shown = sandbox.ok(&["bugs", "show", &digits[..6]]).stdout;
    for words in ["imul.flags", "Imul_r64_rm64", "CF is 0, not 1", "snip 1"] {
        assert!(shown.contains(words), "{words}: {shown}");
    }

    let shown = sandbox.ok(&["bugs", "show", &id[..5]]).stdout;
    for words in [
        "confirmed",
        "CF is 0, not 1",
        "imul",
        "snip 1",
        "rsi =",
        "Where it shows",
        &digits,
    ] {
        assert!(shown.contains(words), "{words}: {shown}");
    }
    // The case that is shown can be reduced again, and is plain already.
    let snip = sandbox.json(&["bugs", "show", &id])["snip"]
        .as_str()
        .unwrap()
        .to_owned();
    sandbox.file("case.snip", snip.as_bytes());
    let again = sandbox.json(&["reduce", "case.snip", "-e", "mock"]);
    assert_eq!((&again["id"], &again["snip"]), (&id.clone().into(), &snip.into()));
    let by_number = sandbox.json(&["reduce", "1"]);
    assert_eq!(
        (&by_number["id"], &by_number["instructions_before"]),
        (&id.clone().into(), &3.into())
    );
    // Both names will do for a reproducer.
    for name in [&id, &digits] {
        let written = sandbox.ok(&["repro", name, "--as", "case"]).stdout;
        assert!(written.contains("imul"), "{written}");
    }

    sandbox
        .run(&["bugs", "show", "0"])
        .refused(&["no bug", "snippex bugs"]);
    sandbox.run(&["bugs", "show", "%"]).refused(&["no bug"]);
    sandbox.ok(&["remove", "--run", "1"]);
    assert_eq!(sandbox.json(&["bugs"]).as_array().unwrap().len(), 0);
}

#[test]
fn known_bugs_stay_listed_apart_and_fail_no_run() {
    let (sandbox, id) = checked();
    sandbox.ok(&[
        "bugs",
        "known",
        "add",
        &id,
        "--issue",
        "https://example.org/1",
        "--note",
        "planted",
    ]);
    let ended = sandbox.ok(&["check", TINY, "-e", "mock"]);
    for words in ["Known", "https://example.org/1", "1 known"] {
        assert!(ended.stdout.contains(words), "{words}: {ended:?}");
    }
    assert_eq!(sandbox.json(&["bugs"])[0]["known"]["note"], "planted");
    // The list does not contradict itself; what is right in one command is done.
    let twice = sandbox.run(&[
        "bugs",
        "known",
        "add",
        &id,
        "ffffff",
        "--issue",
        "https://example.org/2",
    ]);
    assert_eq!(twice.code, Some(2), "{twice:?}");
    for words in [
        "is known as https://example.org/1 on every engine",
        "--replace",
        "no bug ffffff",
    ] {
        assert!(twice.stderr.contains(words), "{words}: {twice:?}");
    }
    sandbox.ok(&[
        "bugs",
        "known",
        "add",
        &id,
        "--issue",
        "https://example.org/2",
        "--replace",
    ]);
    assert_eq!(
        sandbox.json(&["bugs", "known", "list"])[0]["issue"],
        "https://example.org/2"
    );
    // Nor do a bug and its signatures, or all engines and one.
    let digits = sandbox.json(&["bugs", "--signatures"])[0]["id"]
        .as_str()
        .unwrap()
        .to_owned();
    let part = [
        "bugs",
        "known",
        "add",
        &digits,
        "--issue",
        "https://example.org/3",
    ];
    sandbox
        .run(&part)
        .refused(&["imul.flags", "is known as https://example.org/2", "--replace"]);
    let narrow = [
        "bugs",
        "known",
        "add",
        &id,
        "--issue",
        "https://example.org/3",
        "-e",
        "mock",
        "--replace",
    ];
    sandbox
        .run(&narrow)
        .refused(&["on every engine", "known remove imul.flags"]);
    sandbox.ok(&[&part[..], &["--replace"]].concat());
    sandbox.ok(&["bugs", "known", "remove", &id]);
    // A bug is known when all its signatures are.
    assert_eq!(
        sandbox.json(&["bugs"])[0]["known"]["issue"],
        "https://example.org/3"
    );
    sandbox.ok(&["check", TINY, "-e", "mock"]);
    sandbox.ok(&["bugs", "known", "remove", &digits]);
    sandbox.ok(&["bugs", "known", "add", &id, "--issue", "x"]);
    // Known for another engine is not known for this one.
    sandbox.ok(&["bugs", "known", "remove", &id]);
    sandbox.ok(&["bugs", "known", "add", &id, "--issue", "x", "-e", "mock"]);
    sandbox.ok(&["bugs", "known", "remove", &id, "-e", "mock"]);
    sandbox
        .run(&["bugs", "known", "remove", &id])
        .refused(&["known list"]);
    assert_eq!(sandbox.run(&["check", TINY, "-e", "mock"]).code, Some(1));
}

#[test]
fn bugs_of_two_engines_are_compared() {
    let (sandbox, id) = checked();
    sandbox.ok(&["check", TINY, "-e", "native"]);
    let cleared = sandbox.json(&["bugs", "diff", "altered", "#1"]);
    assert_eq!(
        (&cleared["fixed"][0]["id"], &cleared["in_both"]),
        (&id.clone().into(), &0.into())
    );
    assert_eq!(
        (&cleared["shrinking"], &cleared["growing"]),
        (
            &Value::from(Vec::<Value>::new()),
            &Value::from(Vec::<Value>::new())
        )
    );
    let cleared = sandbox.json(&["bugs", "diff", "altered", "#1", "--signatures"]);
    assert_eq!(cleared["fixed"][0]["bug"], Value::from(id.clone()));
    let broken = sandbox.run(&["bugs", "diff", "#1", "altered"]);
    assert_eq!(broken.code, Some(1), "{broken:?}");
    assert!(broken.stdout.contains(&id), "{broken:?}");
    sandbox
        .run(&["bugs", "diff", "#1", "7.2"])
        .refused(&["no run", "there are: #1"]);
    sandbox.run(&["bugs", "diff", "#1", "#1"]).refused(&["both name"]);
}

#[test]
fn what_cannot_be_reduced_is_told_and_the_rest_goes_on() {
    let (sandbox, id) = checked();
    sandbox
        .run(&["reduce", "1", "-e", "native"])
        .refused(&["divergence 1 does not diverge on native", "was found on mock"]);
    sandbox.run(&["reduce", "77"]).refused(&["77"]);
    sandbox
        .run(&["reduce", "no such file"])
        .refused(&["cannot read no such file", "--divergences"]);
    sandbox.file("bad.snip", b"snip 1\nblock 0x1000\n  code 4g\n");
    sandbox
        .run(&["reduce", "bad.snip"])
        .refused(&["bad.snip", "line 3", "docs/snip.md"]);
    let mixed = sandbox.run(&["reduce", "77", "1", "no such file"]);
    assert_eq!(mixed.code, Some(2), "{mixed:?}");
    assert!(mixed.stdout.contains(&id), "{mixed:?}");
    assert!(
        mixed.stderr.contains("77") && mixed.stderr.contains("no such file"),
        "{mixed:?}"
    );
}

#[test]
fn without_reduction_bugs_are_stored_as_they_were_met() {
    let sandbox = Sandbox::new();
    sandbox.file(TINY, &tiny_program());
    let checked = sandbox.json(&["check", TINY, "-e", "mock", "--no-reduce"]);
    let bug = &checked["summary"]["bugs"][0];
    assert_eq!(
        (&bug["id"], &bug["example"]["reduced"]),
        (&"imul.flags".into(), &false.into())
    );
    assert_eq!(bug["example"]["code"].as_array().unwrap().len(), 3, "{bug}");
    // A later check does what this one left out.
    let checked = sandbox.json(&["check", TINY, "-e", "mock"]);
    assert_eq!(checked["summary"]["bugs"][0]["example"]["reduced"], true);
    // And one after that has nothing left to reduce, but lists the bug all the same.
    let checked = sandbox.json(&["check", TINY, "-e", "mock"]);
    assert_eq!(checked["summary"]["bugs"][0]["example"]["reduced"], true);
}
