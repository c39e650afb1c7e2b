//! Making a case plain without changing what it does: the same end in everything that changes, and the same differences.

use std::error::Error;
use std::sync::Arc;

use super::choice::{Both, Candidate};
use snippex_core::address_space::STACK;
use snippex_core::case::{Case, PAGE_SIZE, Page};
use snippex_core::observation::Endpoint;
use snippex_core::state::{MXCSR_INITIAL, MachineState, RSP, X87State, rflags};

/// Smallest piece of memory that is emptied.
const PIECE: usize = 8;

/// `candidate` with all plain that can be.
pub(crate) fn simplify_candidate(
    candidate: Candidate,
    engines: &mut Both,
) -> Result<Candidate, Box<dyn Error>> {
    let mut best = candidate;
    for change in registers() {
        attempt(&mut best, engines, |case| change(&mut case.state))?;
    }
    for index in (0..best.case.pages.len()).rev() {
        attempt(&mut best, engines, |case| {
            let mut pages = case.pages.to_vec();
            pages.remove(index);
            case.pages = pages.into();
        })?;
    }
    for index in 0..best.case.pages.len() {
        empty(&mut best, engines, index, 0, PAGE_SIZE)?;
    }
    Ok(best)
}

type Change = Box<dyn Fn(&mut MachineState)>;

/// From much at once to little.
fn registers() -> Vec<Change> {
    let mut changes: Vec<Change> = vec![
        Box::new(|state| state.vectors = [[0; 64]; 32]),
        Box::new(|state| state.opmask = [0; 8]),
        Box::new(|state| state.x87 = X87State::INITIAL),
        Box::new(|state| state.mxcsr = MXCSR_INITIAL),
        Box::new(|state| state.rflags = rflags::INITIAL),
        Box::new(|state| (state.fs_base, state.gs_base) = (0, 0)),
        Box::new(|state| state.gpr = [0; 16]),
        Box::new(|state| state.gpr[RSP] = STACK + 0x800),
    ];
    for register in 0..32 {
        changes.push(Box::new(move |state| state.vectors[register] = [0; 64]));
        changes.push(Box::new(move |state| state.vectors[register][32..].fill(0)));
        changes.push(Box::new(move |state| state.vectors[register][16..].fill(0)));
        changes.push(Box::new(move |state| state.vectors[register][8..].fill(0)));
    }
    for register in (0..16).filter(|register| *register != RSP) {
        changes.push(Box::new(move |state| state.gpr[register] = 0));
        changes.push(Box::new(move |state| state.gpr[register] &= 0xff));
        changes.push(Box::new(move |state| state.gpr[register] &= 0xffff_ffff));
    }
    changes.push(Box::new(|state| state.gpr[RSP] = 0));
    for register in 0..8 {
        changes.push(Box::new(move |state| state.opmask[register] = 0));
        changes.push(Box::new(move |state| state.x87.st[register] = [0; 10]));
    }
    for (_, flag) in rflags::NAMES {
        if flag != rflags::IF {
            changes.push(Box::new(move |state| state.rflags &= !flag));
        }
    }
    changes.push(Box::new(|state| state.x87.control = X87State::INITIAL.control));
    changes.push(Box::new(|state| state.x87.status &= 7 << 11));
    changes
}

/// Empties a piece of a page, or its halves.
fn empty(
    best: &mut Candidate,
    engines: &mut Both,
    index: usize,
    start: usize,
    size: usize,
) -> Result<(), Box<dyn Error>> {
    let page = &best.case.pages[index];
    if page.content[start..start + size].iter().all(|byte| *byte == 0) {
        return Ok(());
    }
    let done = attempt(best, engines, |case| {
        let mut pages = case.pages.to_vec();
        let mut content = *pages[index].content;
        content[start..start + size].fill(0);
        pages[index] = Page {
            content: Arc::new(content),
            ..pages[index].clone()
        };
        case.pages = pages.into();
    })?;
    if !done && size > PIECE {
        empty(best, engines, index, start, size / 2)?;
        empty(best, engines, index, start + size / 2, size / 2)?;
    }
    Ok(())
}

/// Keeps a change if it does not change what the case shows.
fn attempt(
    best: &mut Candidate,
    engines: &mut Both,
    change: impl FnOnce(&mut Case),
) -> Result<bool, Box<dyn Error>> {
    let mut case = best.case.clone();
    change(&mut case);
    if case == best.case {
        return Ok(false);
    }
    let Some(changed) = engines.compare_case(case)? else {
        return Ok(false);
    };
    let same = shows(&changed) == shows(best);
    if same {
        *best = changed;
    }
    Ok(same)
}

/// All that changes with the values it gets, and what differs.
fn shows(candidate: &Candidate) -> String {
    let (before, after) = (&candidate.case.state, &candidate.end.state);
    let mut text = match candidate.end.endpoint {
        Endpoint::Signal(signal) => format!("{} {:x}", signal.number, signal.rip),
        endpoint => format!("{endpoint:x?}"),
    };
    let mut add = |name: &str, index: usize, differs: bool, value: String| {
        if differs {
            text += &format!(" {name}{index} {value}");
        }
    };
    for index in 0..16 {
        let (a, b) = (before.gpr[index], after.gpr[index]);
        add("r", index, a != b, format!("{b:x}"));
    }
    for index in 0..32 {
        let (a, b) = (&before.vectors[index], &after.vectors[index]);
        add("v", index, a != b, format!("{b:x?}"));
    }
    for index in 0..8 {
        let (a, b) = (before.opmask[index], after.opmask[index]);
        add("k", index, a != b, format!("{b:x}"));
        let (a, b) = (&before.x87.st[index], &after.x87.st[index]);
        add("st", index, a != b, format!("{b:x?}"));
    }
    add(
        "f",
        0,
        before.rflags != after.rflags,
        format!("{:x}", before.rflags ^ after.rflags),
    );
    add(
        "m",
        0,
        before.mxcsr != after.mxcsr,
        format!("{:x}", before.mxcsr ^ after.mxcsr),
    );
    let (a, b) = (before.x87.status, after.x87.status);
    add("fsw", 0, a != b, format!("{:x}", a ^ b));
    for line in &candidate.end.memory {
        let base = PAGE_SIZE as u64;
        let page = candidate
            .case
            .pages
            .iter()
            .find(|page| page.address == line.address & !(base - 1));
        let start = (line.address & (base - 1)) as usize;
        for (offset, byte) in line.bytes.iter().enumerate() {
            let before = page.map_or(0, |page| page.content[start + offset]);
            add("b", start + offset, before != *byte, format!("{byte:x}"));
        }
    }
    let differences = candidate
        .divergence
        .iter()
        .flat_map(|divergence| &divergence.differences);
    let names: Vec<&str> = differences.map(|difference| difference.name.as_str()).collect();
    format!("{text} differs {names:?}")
}
