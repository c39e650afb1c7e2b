//! Round trips, and what hostile text gets for an answer.

use proptest::prelude::*;

use super::*;
use snippex_core::arbitrary::{arbitrary_cases, arbitrary_observations};

fn snips() -> impl Strategy<Value = Snip> {
    let word = "[!-~]{1,8}( [!-~]{1,8}){0,3}";
    let covered = (0u16..0x40).prop_map(Components);
    (
        arbitrary_cases(),
        prop::option::of((arbitrary_observations(), covered)),
        prop::option::of(word),
        prop::collection::vec(word, 0..3),
        prop::collection::vec("[a-z][a-z0-9_]{0,6}", 0..3),
    )
        .prop_map(|(case, end, title, notes, needs)| Snip {
            title: title.unwrap_or_default(),
            notes,
            needs,
            case,
            end: end.map(|(observation, covered)| SnipExpectation { observation, covered }),
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn what_is_written_is_read_again_to_the_bit(snip in snips()) {
        let text = snip.render_text();
        match Snip::parse(&text) {
            Ok(read) => prop_assert_eq!(read, snip),
            Err(error) => prop_assert!(false, "{}\n{}", error, text),
        }
    }

    #[test]
    fn a_state_near_the_default_is_short_and_comes_back(at in 0usize..16, value in any::<u64>()) {
        let mut snip = parsed("snip 1\nblock 0x1000\n code 90\n");
        snip.case.state.gpr[at] = value;
        let text = snip.render_text();
        prop_assert!(text.lines().count() <= 5, "{}", text);
        prop_assert_eq!(parsed(&text), snip);
    }

    #[test]
    fn noise_is_refused_with_a_line(text in "(snip 1\n)?([ -~\n]{0,200})") {
        if let Err(error) = Snip::parse(&text) {
            prop_assert!(error.line >= 1 && error.line <= text.lines().count() + 1);
        }
    }

    /// A file with a line cut, doubled or damaged is another case or is refused; it is never a panic, and what is
    /// read is written and read again as the same.
    #[test]
    fn damage_is_refused_or_means_something(
        snip in snips(), at in any::<prop::sample::Index>(), what in 0..4, noise in "[ -~]{0,12}",
    ) {
        let text = snip.render_text();
        let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
        let at = at.index(lines.len());
        match what {
            0 => drop(lines.remove(at)),
            1 => lines.insert(at, lines[at].clone()),
            2 => lines[at].push_str(&noise),
            _ => lines[at] = noise,
        }
        if let Ok(read) = Snip::parse(&lines.join("\n")) {
            prop_assert_eq!(Snip::parse(&read.render_text()), Ok(read));
        }
    }
}

fn parsed(text: &str) -> Snip {
    Snip::parse(text).unwrap_or_else(|error| panic!("{error}\n{text}"))
}

fn refused(text: &str) -> String {
    Snip::parse(text).unwrap_err().to_string()
}

const CASE: &str = "\
snip 1
title add rax, rbx # is part of the title
note the carry
needs avx2
block 0x1000                          # runs at 0x2_1d60_1000
  code 48 01 d8                         # add rax, rbx
start
  rax = 0xffff_ffff_ffff_ffff
  rbx = 0x2
  flags = PF DF
  ymm3 = 0x1_0000_0000_0000_0000_0000_0000_0000_0000
  mxcsr = 0x1fc0                        # DAZ
page 0x3_1000_0000 read-write
  0x7fe: 01 02
  0x800: 03
end exit 0x2_1d60_1003
  covers general sse
  rax = 0x1
  flags = CF AF DF
  memory 0x3_1000_0840: ff
";

#[test]
fn a_file_reads_as_people_wrote_it() {
    let snip = parsed(CASE);
    assert_eq!(snip.title, "add rax, rbx # is part of the title");
    assert_eq!(snip.needs, ["avx2"]);
    assert_eq!(snip.case.code_address(), 0x2_1d60_1000);
    assert_eq!(snip.case.state.rflags, 0x606);
    assert_eq!(snip.case.state.vectors[3][16], 1);
    assert_eq!(snip.case.pages[0].content[0x7fe..0x801], [1, 2, 3]);
    let end = snip.end.as_ref().unwrap();
    assert_eq!(end.observation.state.gpr[0], 1);
    assert_eq!(end.observation.state.gpr[3], 2);
    assert_eq!(end.observation.memory[0].bytes[0], 0xff);
    assert_eq!(snip.render_text().replace(' ', ""), CASE.replace(' ', ""));
}

#[test]
fn errors_name_the_line_and_what_to_do() {
    for (text, error) in [
        ("", "line 1: a .snip file begins with `snip 1`"),
        ("elf", "line 1: a .snip file begins with `snip 1`"),
        (
            "snip 2\n",
            "line 1: this is version 2 of the form, and this snippex reads version 1; use a newer one",
        ),
        ("snip 1\n\n", "line 3: `block ADDRESS` is missing"),
        (
            "snip 1\nstart\n",
            "line 2: `start` cannot stand here; expected title, note, needs or block",
        ),
        (
            "snip 1\nblock\n",
            "line 2: the block's address in its file is missing",
        ),
        (
            "snip 1\nblock 12q\n",
            "line 2: `12q` is not a number; write decimal digits, or 0x and hexadecimal ones",
        ),
        (
            "snip 1\nblock 0x1ffffffffffffffff\n",
            "line 2: 0x1ffffffffffffffff has more than 64 bits",
        ),
        ("snip 1\nblock 0 1\n", "line 2: `1` is one word too many"),
        (
            "snip 1\nblock 0\n code 123\n",
            "line 3: `123` is not a byte; write two hexadecimal digits",
        ),
        (
            "snip 1\nblock 0\nstart\n rip = 1\n",
            "line 4: `rip` is no register",
        ),
        (
            "snip 1\nblock 0\nstart\n xmm01 = 1\n",
            "line 4: `xmm01` is no register",
        ),
        (
            "snip 1\nblock 0\nstart\n xmm1 = 1\n ymm1 = 1\n",
            "line 5: `ymm1` is given twice",
        ),
        (
            "snip 1\nblock 0\nstart\n rax =\n",
            "line 4: a value after `=` is missing",
        ),
        (
            "snip 1\nblock 0\nstart\n ftw = 256\n",
            "line 4: 256 has more than 8 bits",
        ),
        (
            "snip 1\nblock 0\nstart\n st0 = 0x1_0000_0000_0000_0000_0000\n",
            "line 4: 0x1_0000_0000_0000_0000_0000 has more than 80 bits",
        ),
        (
            "snip 1\nblock 0\nstart\n flags = CF XF\n",
            "line 4: `XF` is no flag; write CF, PF, AF, ZF, SF, TF, DF, OF, NT, AC, ID or none",
        ),
        (
            "snip 1\nblock 0\npage 0x10\n",
            "line 3: a page begins at a multiple of 0x1000",
        ),
        (
            "snip 1\nblock 0\npage 0x2000\npage 0x1000\n",
            "line 4: pages come in ascending order, each once",
        ),
        (
            "snip 1\nblock 0\npage 0x2000\n 0xfff: 00 00\n",
            "line 4: this reaches beyond the page",
        ),
        (
            "snip 1\nblock 0\npage 0x2000\n 1: 00\n 0: 00 00\n",
            "line 5: the byte at 0x1 is given twice",
        ),
        (
            "snip 1\nblock 0\nend\n",
            "line 3: how it ends: exit, signal, hung or died, is missing",
        ),
        (
            "snip 1\nblock 0\nend signal 300 at 0\n",
            "line 3: 300 has more than 8 bits",
        ),
        (
            "snip 1\nblock 0\nend hung\n memory 0 1\n",
            "line 4: `:` after the address is missing",
        ),
        (
            "snip 1\nblock 0\nend hung\n memory 0xffffffffffffffff: 00 00\n",
            "line 4: this reaches beyond the address space",
        ),
        (
            "snip 1\nblock 0\nend hung\nend hung\n",
            "line 4: `end` cannot stand here; expected a register of this section, or the next of block, start, page, end",
        ),
    ] {
        assert_eq!(refused(text), error, "{text}");
    }
}

#[test]
fn little_text_makes_no_large_case() {
    let mut text = "snip 1\nblock 0\n".to_owned();
    for page in 0..5000 {
        text += &format!("page {:#x}\n", page * 0x1000);
    }
    assert_eq!(refused(&text), "line 4099: more than 4096 pages");
    let code = format!("snip 1\nblock 0\ncode {}\n", "90 ".repeat(20000));
    assert_eq!(
        refused(&format!("{code}{code}")),
        "line 4: `snip` cannot stand here; expected a register of this section, or the next of block, start, page, end"
    );
    assert_eq!(
        refused(&format!(
            "snip 1\nblock 0\n{}",
            format!("code {}\n", "90 ".repeat(20000)).repeat(4)
        )),
        "line 6: more than 65536 bytes of code"
    );
}

#[test]
fn what_is_undefined_is_not_expected() {
    // and rax, rbx leaves AF undefined: whatever this CPU does with it, the file says nothing.
    let snip = parsed("snip 1\nblock 0x1000\n code 48 21 d8\nstart\n flags = AF CF\n");
    let mut state = snip.case.state.clone();
    state.rflags = 0x246;
    let observation = Observation {
        endpoint: snippex_core::observation::Endpoint::Exit {
            target: 0x2_1d60_1003,
        },
        state,
        memory: vec![],
    };
    let end = SnipExpectation::from_observation(&snip.case, observation, Components::ALL);
    assert_eq!(end.observation.state.rflags, 0x256);
}
