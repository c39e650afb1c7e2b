//! Both renderings of a state, word for word.

use std::sync::Arc;

use snippex_core::block::{Block, Origin, Terminator};
use snippex_core::case::Placement;
use snippex_core::diff::{Tolerance, compare_observations};
use snippex_core::observation::Endpoint;
use snippex_core::state::rflags;

use super::*;

/// `add rax, rcx; addps xmm1, xmm2; fadd st, st(1)` on two engines that part in each of its results.
fn ends() -> (Case, Observation, Observation) {
    let block = Block {
        address: 0x1000,
        bytes: vec![0x48, 0x01, 0xc8, 0x0f, 0x58, 0xca, 0xd8, 0xc1],
        instruction_count: 3,
        terminator: Terminator::FallThrough,
        successors: vec![],
        origin: Origin::Sweep,
        unrunnable: None,
    };
    let case = Case {
        block: Arc::new(block),
        placement: Placement {
            image_base: 0,
            code_base: 0,
        },
        state: MachineState::default(),
        pages: Arc::new([]),
    };
    let mut expected = Observation {
        endpoint: Endpoint::Exit {
            target: case.block.end_address(),
        },
        state: MachineState::default(),
        memory: vec![],
    };
    expected.state.gpr[0] = 0x1234_5678_9abc_def0;
    expected.state.rflags |= rflags::CF;
    expected.state.vectors[1][..8].copy_from_slice(&[0, 0, 0x80, 0x3f, 0, 0, 0xc0, 0x7f]);
    let mut actual = expected.clone();
    actual.state.gpr[0] ^= 0xf000;
    actual.state.rflags ^= rflags::CF | rflags::ZF;
    actual.state.vectors[1][0] = 1;
    actual.state.mxcsr |= 0x20;
    (case, expected, actual)
}

fn rendered(color: bool, flag_detail: bool) -> String {
    let (case, expected, actual) = ends();
    let comparison = compare_observations(&case, &expected, &actual, Components::ALL, &Tolerance::none());
    let view = View {
        case: &case,
        ends: vec![("native".to_owned(), &expected), ("qemu".to_owned(), &actual)],
        covered: Components::ALL,
        comparison: Some(&comparison),
        all: false,
        masked: false,
        flag_detail,
        memory: MemoryOptions::default(),
        color,
        width: Some(80),
    };
    view.render_text()
}

#[test]
fn with_colour_differing_digits_are_marked_in_place() {
    let text = rendered(true, false);
    insta::assert_snapshot!(text.replace('\u{1b}', "\\e"));
    assert!(!text.contains('^'), "{text}");
}

#[test]
fn without_colour_a_line_below_marks_them() {
    let text = anstream::adapter::strip_str(&rendered(false, false)).to_string();
    insta::assert_snapshot!(text);
    assert!(
        text.contains('^') && text.lines().all(|line| line.chars().count() <= 80),
        "{text}"
    );
}

#[test]
fn flags_stand_one_by_one_with_what_they_mean() {
    insta::assert_snapshot!(anstream::adapter::strip_str(&rendered(false, true)).to_string());
}
