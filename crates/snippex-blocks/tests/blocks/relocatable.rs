//! Object files, against what the linker makes of them.

use std::path::Path;
use std::process::Command;

use snippex_blocks::binary::{Image, is_object_file, link_object};
use snippex_blocks::extract::extract_blocks;

/// A table of jumps, data of its own, zeros, a table of functions, and what is in other files.
const SOURCE: &str = r#"
extern int outer_value, outer_function(int);
static int counts[64];
static const char *names[] = {"a", "b"};
static int one(int x) { return x * 3 + counts[x & 63]; }
static int two(int x) { return outer_function(x) - outer_value; }
int (*const table[])(int) = {one, two};
const char *name(int x) { return names[x & 1]; }
int pick(int x, int y) {
    switch (x) {
    case 0: return y / 3;
    case 1: return table[y & 1](y);
    case 2: return outer_function(y) + 5;
    case 3: counts[y & 63] = y; return 9;
    case 4: return y ^ 0x55;
    case 5: return y * 77;
    case 6: return outer_value;
    default: return -1;
    }
}
"#;

fn run(command: &mut Command) {
    let output = command.output().expect("a C compiler is needed");
    assert!(output.status.success(), "{command:?}: {output:?}");
}

/// An object file, and a program of it by the system's linker.
fn compile(folder: &Path) -> (Vec<u8>, Vec<u8>) {
    let [source, object, program] = ["x.c", "x.o", "x"].map(|name| folder.join(name));
    std::fs::write(&source, SOURCE).expect("the folder can be written");
    run(Command::new("cc")
        .args(["-O2", "-ffunction-sections", "-fPIC", "-c", "-o"])
        .arg(&object)
        .arg(&source));
    run(Command::new("ld")
        .args(["-e", "pick", "--unresolved-symbols=ignore-all", "-o"])
        .arg(&program)
        .arg(&object));
    [object, program]
        .map(|file| std::fs::read(file).expect("it was made"))
        .into()
}

/// For each function its name and the blocks in it, as instructions and terminator.
fn describe(image: &Image<'_>) -> Vec<(String, Vec<(u32, String)>)> {
    let index = extract_blocks(image);
    let mut found: Vec<(String, Vec<(u32, String)>)> = image
        .symbols()
        .iter()
        .map(|symbol| {
            let range = symbol.address..symbol.address + symbol.size;
            let blocks = index.entries().filter(|block| range.contains(&block.address));
            let shapes = blocks.map(|block| (block.instruction_count, format!("{:?}", block.terminator)));
            (
                String::from_utf8_lossy(symbol.name).into_owned(),
                shapes.collect(),
            )
        })
        .collect();
    found.sort();
    found.dedup();
    found
}

#[test]
fn an_object_file_has_the_blocks_that_the_linked_program_has() {
    let folder = tempfile::tempdir().unwrap();
    let (object, program) = compile(folder.path());
    assert!(is_object_file(&object) && !is_object_file(&program));
    let linked = link_object(&object).unwrap();
    assert_eq!(
        link_object(&object).unwrap(),
        linked,
        "the same to the bit each time"
    );
    let (image, expected) = (Image::parse(&linked).unwrap(), Image::parse(&program).unwrap());
    let found = describe(&image);
    for name in ["name", "one", "pick", "two"] {
        assert!(found.iter().any(|(known, _)| known == name), "{name}");
    }
    assert_eq!(found, describe(&expected));
    let statistics = *extract_blocks(&image).statistics();
    assert_eq!((statistics.jump_tables, statistics.sweep_bytes), (1, 0));
    // Others' linkers read it as well.
    let file = folder.path().join("linked");
    std::fs::write(&file, &linked).unwrap();
    run(Command::new("readelf").args(["--all", "--wide"]).arg(&file));
    run(Command::new("objdump").arg("--disassemble").arg(&file));
}

#[test]
fn damaged_object_files_are_refused_or_read_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let (object, _) = compile(folder.path());
    let mut state = 1_u64;
    let mut next = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize
    };
    let mut linked = 0;
    for round in 0..3000 {
        let mut damaged = object.clone();
        for _ in 0..1 + round % 4 {
            let at = next() % damaged.len();
            damaged[at] = [0, 0xff, next() as u8, damaged[at] ^ 1 << (next() % 8)][next() % 4];
        }
        damaged.truncate(if round % 7 == 0 {
            next() % object.len()
        } else {
            object.len()
        });
        if let Ok(program) = link_object(&damaged) {
            linked += 1;
            assert!(program.len() < 16 * object.len() + 0x10_0000, "{}", program.len());
            if let Ok(image) = Image::parse(&program) {
                let _ = extract_blocks(&image).len();
            }
        }
    }
    assert!(linked > 100, "{linked}");
}
