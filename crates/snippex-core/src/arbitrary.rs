//! Strategies of proptest for the nouns: what codecs and text forms have to bring back to the bit.
//!
//! Values are arbitrary, not plausible; start states that make sense are made by [`crate::seed`]. Only tests see this
//! module: those of this crate, and those of crates that ask for the feature `proptest`.

use std::sync::Arc;

use proptest::prelude::*;

use crate::block::{Block, Origin, Terminator, Unrunnable};
use crate::case::{Case, PAGE_SIZE, Page, PageAccess, Placement};
use crate::observation::{ChangedLine, Endpoint, LINE_SIZE, Observation, Signal};
use crate::state::{MachineState, X87State};

/// Machine states of any content, reserved bits included.
pub fn arbitrary_states() -> impl Strategy<Value = MachineState> {
    let x87 = (any::<[u16; 2]>(), any::<u8>(), any::<[[u8; 10]; 8]>());
    let general = (
        any::<[u64; 16]>(),
        any::<[u64; 3]>(),
        any::<u32>(),
        any::<[u64; 8]>(),
    );
    (general, x87, prop::collection::vec(any::<[u8; 32]>(), 64)).prop_map(
        |((gpr, [rflags, fs_base, gs_base], mxcsr, opmask), ([control, status], tags, st), halves)| {
            let mut vectors = [[0; 64]; 32];
            for (vector, pair) in vectors.iter_mut().zip(halves.chunks_exact(2)) {
                vector.copy_from_slice(&pair.concat());
            }
            let x87 = X87State {
                control,
                status,
                tags,
                st,
            };
            MachineState {
                gpr,
                rflags,
                fs_base,
                gs_base,
                x87,
                mxcsr,
                vectors,
                opmask,
            }
        },
    )
}

fn blocks() -> impl Strategy<Value = Block> {
    let terminators = prop::sample::select(vec![Terminator::FallThrough, Terminator::Jcc, Terminator::Trap]);
    let origins = prop::sample::select(vec![Origin::Entry, Origin::JumpTable, Origin::Sweep]);
    let unrunnable = prop::option::of(prop::sample::select(vec![
        Unrunnable::Syscall,
        Unrunnable::Invalid,
    ]));
    let successors = prop::collection::vec(any::<u64>(), 0..3);
    (
        any::<u64>(),
        prop::collection::vec(any::<u8>(), 0..64),
        any::<u32>(),
        terminators,
        successors,
        origins,
        unrunnable,
    )
        .prop_map(
            |(address, bytes, instruction_count, terminator, successors, origin, unrunnable)| Block {
                address,
                bytes,
                instruction_count,
                terminator,
                successors,
                origin,
                unrunnable,
            },
        )
}

fn pages() -> impl Strategy<Value = Vec<Page>> {
    prop::collection::btree_map(0..u64::MAX / 4096, (any::<bool>(), any::<u8>()), 0..4).prop_map(|pages| {
        let page = |(number, (write, fill)): (u64, (bool, u8))| Page {
            address: number * PAGE_SIZE as u64,
            access: if write {
                PageAccess::ReadWrite
            } else {
                PageAccess::Read
            },
            content: Arc::new([fill; PAGE_SIZE]),
        };
        pages.into_iter().map(page).collect()
    })
}

/// Cases of any content: neither need the block decode nor the pages fit its accesses.
pub fn arbitrary_cases() -> impl Strategy<Value = Case> {
    (blocks(), any::<[u64; 2]>(), arbitrary_states(), pages()).prop_map(
        |(block, [image_base, code_base], state, pages)| Case {
            block: Arc::new(block),
            placement: Placement {
                image_base,
                code_base,
            },
            state,
            pages: pages.into(),
        },
    )
}

fn endpoints() -> impl Strategy<Value = Endpoint> {
    let signal = |(number, code, rip, address, write)| {
        Endpoint::Signal(Signal {
            number,
            code,
            rip,
            address,
            write,
        })
    };
    prop_oneof![
        any::<u64>().prop_map(|target| Endpoint::Exit { target }),
        (
            any::<u8>(),
            any::<i32>(),
            any::<u64>(),
            any::<u64>(),
            any::<bool>()
        )
            .prop_map(signal),
        Just(Endpoint::Hung),
        any::<Option<i32>>().prop_map(|signal| Endpoint::EngineDied { signal }),
    ]
}

/// Observations of any content, with memory in the order of addresses.
pub fn arbitrary_observations() -> impl Strategy<Value = Observation> {
    let memory = prop::collection::btree_map(0..u64::MAX / 64, any::<u8>(), 0..5).prop_map(|lines| {
        let line = |(number, fill): (u64, u8)| ChangedLine {
            address: number * LINE_SIZE as u64,
            bytes: [fill; LINE_SIZE],
        };
        lines.into_iter().map(line).collect()
    });
    (endpoints(), arbitrary_states(), memory).prop_map(|(endpoint, state, memory)| Observation {
        endpoint,
        state,
        memory,
    })
}
