//! Programs inside images: listed, checked, found again.

use std::path::Path;
use std::process::Command;

use crate::sandbox::{PROGRAM, Sandbox, tiny_program};

/// An archive with two programs, one of them twice, and what else lies beside programs.
fn archive(sandbox: &Sandbox) -> String {
    let root = sandbox.path("root");
    for folder in ["usr/bin", "usr/lib", "etc"] {
        std::fs::create_dir_all(root.join(folder)).unwrap();
    }
    std::fs::write(root.join("usr/bin/tiny"), tiny_program()).unwrap();
    std::fs::copy(PROGRAM, root.join("usr/bin/true")).unwrap();
    std::fs::copy(PROGRAM, root.join("usr/bin/yes")).unwrap();
    std::fs::write(root.join("usr/bin/script"), "#!/bin/sh\n").unwrap();
    let mut arm = std::fs::read(PROGRAM).unwrap();
    arm[18] = 183; // e_machine: AArch64
    std::fs::write(root.join("usr/lib/arm.so"), arm).unwrap();
    std::fs::write(root.join("etc/os-release"), "PRETTY_NAME=\"A system\"\n").unwrap();
    let target = sandbox.path("image.tar.gz");
    let made = Command::new("sh")
        .args([
            "-c",
            "chmod +x root/usr/bin/*; ln -s usr/bin root/bin; tar -C root -czf image.tar.gz .",
        ])
        .current_dir(root.parent().unwrap_or(Path::new(".")))
        .status();
    assert!(made.unwrap().success());
    target.to_str().unwrap().to_owned()
}

#[test]
fn programs_of_an_archive_are_listed_and_shown() {
    let sandbox = Sandbox::new();
    let image = archive(&sandbox);
    let listed = sandbox.json(&["sources", "list", &image]);
    let names = |listed: &serde_json::Value| -> Vec<String> {
        let programs = listed[0]["programs"].as_array().unwrap().iter();
        programs
            .map(|program| program["name"].as_str().unwrap().replace(&image, "IMAGE"))
            .collect()
    };
    assert_eq!(
        names(&listed),
        ["IMAGE:/usr/bin/tiny", "IMAGE:/usr/bin/true", "IMAGE:/usr/bin/yes"]
    );
    let all = sandbox.json(&["sources", "list", &format!("{image}:/usr/lib/*"), "--all"]);
    assert_eq!(names(&all), ["IMAGE:/usr/lib/arm.so"]);
    let shown = sandbox.json(&["sources", "show", &image]);
    assert_eq!(shown[0]["systems"][0]["name"], "A system");
    assert_eq!(
        shown[0]["programs"],
        serde_json::json!({"aarch64": 1, "x86-64": 3})
    );
    assert_eq!(shown[0]["layer"]["inner"][0]["format"], "tar");
    let text = sandbox.ok(&["sources", "show", &image]).stdout;
    assert!(
        text.contains("programs and libraries: 1 aarch64, 3 x86-64"),
        "{text}"
    );
    let diagram = sandbox.ok(&["sources", "show", &image, "--mermaid"]).stdout;
    assert!(diagram.starts_with("```mermaid\nflowchart TD\n"), "{diagram}");
}

#[test]
fn one_broken_image_is_a_line_and_not_the_end() {
    let sandbox = Sandbox::new();
    let image = archive(&sandbox);
    let broken = sandbox.file("broken.qcow2", b"QFI\xfb and no more");
    let ended = sandbox.run(&["sources", "list", broken.to_str().unwrap(), &image]);
    assert_eq!(ended.code, Some(2), "{ended:?}");
    assert!(ended.stderr.contains("broken.qcow2"), "{ended:?}");
    assert!(ended.stdout.contains("/usr/bin/tiny"), "{ended:?}");
    let newest = sandbox.run(&[
        "sources",
        "list",
        broken.to_str().unwrap(),
        &image,
        "--newest",
        "1",
    ]);
    assert_eq!(newest.code, Some(2), "{newest:?}");
    assert!(newest.stdout.contains("0 programs"), "{newest:?}");
}

#[test]
fn programs_of_an_archive_are_checked_once_and_found_again() {
    let sandbox = Sandbox::new();
    let image = archive(&sandbox);
    let pattern = format!("{image}:/usr/bin/*");
    let checked = sandbox.run(&[
        "check", &pattern, "-e", "mock", "--states", "4", "--format", "json",
    ]);
    let document: serde_json::Value = serde_json::from_str(&checked.stdout).unwrap();
    let targets = document["summary"]["binaries"].as_array().unwrap();
    let paths: Vec<&str> = targets.iter().map(|target| target.as_str().unwrap()).collect();
    let stored = |path: &str| format!("{image}/{path}");
    assert_eq!(paths, [stored("/usr/bin/tiny"), stored("/usr/bin/true")]);
    assert!(
        checked
            .stderr
            .contains("/usr/bin/yes is left out: it is the same as"),
        "{checked:?}"
    );
    // What the database keeps is found again, for which the program is read out of the image.
    sandbox.ok(&["validate", "1-3", "-e", "native", "--states", "4"]);
    // It is a name like any other, as is one through a link.
    sandbox.ok(&["extract", &stored("/usr/bin/tiny"), "--dry-run"]);
    sandbox.ok(&["extract", &format!("{image}:/bin/tiny"), "--dry-run"]);
    sandbox
        .run(&["analyze", &pattern])
        .refused(&["names 4 files", "name one of"]);
    sandbox
        .run(&["check", &format!("{image}:/nothing")])
        .refused(&["there is no /nothing", "sources list"]);
}

#[test]
fn a_check_goes_on_past_what_it_cannot_use() {
    let sandbox = Sandbox::new();
    let tiny = sandbox.file("tiny", &tiny_program());
    let script = sandbox.file("script", b"#!/bin/sh\n");
    let cut = sandbox.file("cut", &tiny_program()[..90]);
    let check = |others: &[&str]| {
        let arguments = [
            &["check", tiny.to_str().unwrap(), "-e", "native", "--states", "4"],
            others,
        ]
        .concat();
        sandbox.run(&arguments)
    };
    let beside_script = check(&[script.to_str().unwrap()]);
    assert_eq!(beside_script.code, Some(0), "{beside_script:?}");
    assert!(
        beside_script.stderr.contains("it is a script"),
        "{beside_script:?}"
    );
    let beside_cut = check(&[cut.to_str().unwrap(), "no-such-file"]);
    assert_eq!(beside_cut.code, Some(2), "{beside_cut:?}");
    assert!(
        beside_cut.stderr.contains("truncated") && beside_cut.stderr.contains("no-such-file"),
        "{beside_cut:?}"
    );
    assert!(beside_cut.stdout.contains("no divergence"), "{beside_cut:?}");
}

#[test]
fn object_files_and_members_of_static_libraries_are_programs() {
    let sandbox = Sandbox::new();
    let source = "static int counts[9]; extern int outer(int);\n\
                  int pick(int x) { switch (x) { case 0: return 5; case 1: return counts[3]; case 2: return x * 7;\n\
                  case 3: return outer(x) - 1; case 4: return 1; case 5: return x ^ 3; default: return -x; } }\n";
    let file = sandbox.file("pick.c", source.as_bytes());
    let made = Command::new("sh")
        .args(["-c", "cc -O2 -c pick.c && ar rcs libpick.a pick.o"])
        .current_dir(file.parent().unwrap())
        .status();
    assert!(made.unwrap().success());
    let object = sandbox.path("pick.o");
    let object = object.to_str().unwrap();
    let extracted = sandbox.json(&["extract", object]);
    assert_eq!(extracted["statistics"]["sweep_bytes"], 0);
    let members = format!("{}:/*.o", sandbox.path("libpick.a").display());
    let checked = sandbox.json(&["check", &members, "-e", "native"]);
    let summary = &checked["summary"];
    assert_eq!(
        (&summary["diverged"], &summary["complete"]),
        (&0.into(), &true.into())
    );
    assert!(summary["completed"].as_u64() > Some(300), "{summary}");
    // What is stored is found again.
    sandbox.ok(&["simulate", "1", "-e", "native"]);
    let refused = sandbox.run(&["extract", sandbox.path("libpick.a").to_str().unwrap()]);
    assert!(
        refused.stderr.contains("name its members: LIBRARY:/*.o"),
        "{refused:?}"
    );
}
