//! The ends of a block's runs: packed against their starts, and unpacked to what an engine would have left.
//!
//! Here are registers, flags, bases and how the runs ended; memory is in `packed_lines`, vectors are in `packed_vectors`.

use snippex_core::group::Group;
use snippex_core::state::{Components, rflags};
use snippex_runner::layout::{EXIT_FAULT, Fault, RunOutput};

use super::RecordingError;
use super::columns::{self, Shape};
use super::end::End;
use super::packed_lines::{pack_lines, unpack_lines};
use super::packed_vectors::{pack_vectors, unpack_vectors};
use super::streams::{Reader, Streams};
use super::terms::Terms;

/// The flags that most instructions set, which are written apart.
const STATUS: [u64; 6] = [
    rflags::CF,
    rflags::PF,
    rflags::AF,
    rflags::ZF,
    rflags::SF,
    rflags::OF,
];
const STATUS_MASK: u64 = STATUS[0] | STATUS[1] | STATUS[2] | STATUS[3] | STATUS[4] | STATUS[5];
const WHOLE: Shape = Shape { bytes: 8 };

/// What many runs of a block have in common about how they end.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Way {
    exit: u32,
    signal: u32,
    code: i32,
    error: u64,
}

impl Way {
    fn of(output: &RunOutput) -> Self {
        Self {
            exit: output.exit,
            signal: output.fault.signal,
            code: output.fault.code,
            error: output.fault.error,
        }
    }
}

/// Packs the ends of all runs of `group`, which are canonical.
pub(crate) fn pack_ends(group: &Group, ends: &[End], components: Components, streams: &mut Streams) {
    let ways = pack_ways(ends, streams);
    let mut terms = Terms::from_group(group);
    for (run, end) in ends.iter().enumerate() {
        terms.ends[run] = end.output.gpr;
    }
    let changed = (0..16)
        .filter(|&register| {
            let mut runs = ends.iter().zip(&group.starts);
            runs.any(|(end, start)| end.output.gpr[register] != start.gpr[register])
        })
        .fold(0u16, |changed, register| changed | 1 << register);
    terms.set_combinable_registers(changed);
    streams.models.extend(changed.to_le_bytes());
    for register in (0..16).filter(|register| changed & (1 << register) != 0) {
        terms.known = register;
        let values: Vec<u64> = ends.iter().map(|end| end.output.gpr[register]).collect();
        let own = |run: usize| group.starts[run].gpr[register];
        columns::write_column(&values, &own, WHOLE, &terms, streams);
    }
    terms.known = 16;
    pack_flags(group, ends, streams);
    pack_bases(group, ends, &terms, streams);
    if ways.iter().any(|way| way.exit == EXIT_FAULT) {
        for pick in [|fault: &Fault| fault.rip, |fault: &Fault| fault.address] {
            let values: Vec<u64> = ends.iter().map(|end| pick(&end.output.fault)).collect();
            columns::write_column(&values, &|_| 0, WHOLE, &terms, streams);
        }
    }
    pack_lines(group, ends, &terms, streams);
    pack_vectors(group, ends, components, streams);
}

/// Reads what [`pack_ends`] wrote.
pub(crate) fn unpack_ends(
    group: &Group,
    components: Components,
    reader: &mut Reader<'_>,
) -> Result<Vec<End>, RecordingError> {
    let runs = group.starts.len();
    let ways = unpack_ways(runs, reader)?;
    let mut terms = Terms::from_group(group);
    let changed = u16::from_le_bytes([reader.read_byte()?, reader.read_byte()?]);
    for register in 0..16 {
        terms.known = register;
        if changed & (1 << register) == 0 {
            for (end, start) in terms.ends.iter_mut().zip(&group.starts) {
                end[register] = start.gpr[register];
            }
            continue;
        }
        let own = |run: usize| group.starts[run].gpr[register];
        let values = columns::read_column(&own, WHOLE, &terms, runs, reader)?;
        for (end, value) in terms.ends.iter_mut().zip(values) {
            end[register] = value;
        }
    }
    terms.known = 16;
    let flags = unpack_flags(group, reader)?;
    let (fs, gs) = unpack_bases(group, &terms, reader)?;
    let mut faults = [vec![0; runs], vec![0; runs]];
    if ways.iter().any(|way| way.exit == EXIT_FAULT) {
        for column in &mut faults {
            *column = columns::read_column(&|_| 0, WHOLE, &terms, runs, reader)?;
        }
    }
    let lines = unpack_lines(group, &terms, reader)?;
    let vectors = unpack_vectors(group, components, reader)?;
    let parts = ways.into_iter().zip(lines).zip(vectors).enumerate();
    Ok(parts
        .map(|(run, ((way, lines), (stored, vectors)))| End {
            output: RunOutput {
                gpr: terms.ends[run],
                rflags: flags[run],
                fs_base: fs[run],
                gs_base: gs[run],
                exit: way.exit,
                line_count: 0,
                first_line: 0,
                at_rip: 0,
                stored,
                fault: Fault {
                    signal: way.signal,
                    code: way.code,
                    address: faults[1][run],
                    rip: faults[0][run],
                    rflags: if way.exit == EXIT_FAULT { flags[run] } else { 0 },
                    error: way.error,
                },
                stray_lines: 0,
            },
            vectors,
            lines,
        })
        .collect())
}

fn pack_ways(ends: &[End], streams: &mut Streams) -> Vec<Way> {
    let mut ways: Vec<Way> = Vec::new();
    let mut of_run = Vec::with_capacity(ends.len());
    for end in ends {
        let way = Way::of(&end.output);
        let known = ways.iter().position(|known| *known == way);
        of_run.push(known.unwrap_or_else(|| {
            ways.push(way);
            ways.len() - 1
        }));
    }
    streams.write_number(ways.len() as u64);
    for way in &ways {
        streams.write_number(way.exit.into());
        streams.write_number(way.signal.into());
        streams.write_number((way.code as u32).into());
        streams.write_number(way.error);
    }
    if ways.len() > 1 {
        of_run.iter().for_each(|&way| streams.write_number(way as u64));
    }
    ways
}

fn unpack_ways(runs: usize, reader: &mut Reader<'_>) -> Result<Vec<Way>, RecordingError> {
    const WORD: usize = 1 << 32;
    let count = reader.number_below(runs + 1)?;
    let mut ways = Vec::with_capacity(count);
    for _ in 0..count {
        ways.push(Way {
            exit: reader.number_below(WORD)? as u32,
            signal: reader.number_below(WORD)? as u32,
            code: reader.number_below(WORD)? as u32 as i32,
            error: reader.read_number()?,
        });
    }
    (0..runs)
        .map(|_| {
            let way = if count > 1 { reader.number_below(count)? } else { 0 };
            ways.get(way)
                .copied()
                .ok_or(RecordingError::Invalid("a run has no end"))
        })
        .collect()
}

fn pack_flags(group: &Group, ends: &[End], streams: &mut Streams) {
    let pairs = || ends.iter().zip(&group.starts);
    if pairs().all(|(end, start)| end.output.rflags == start.rflags) {
        return streams.models.push(0);
    }
    let others = pairs().any(|(end, start)| (end.output.rflags ^ start.rflags) & !STATUS_MASK != 0);
    streams.models.push(if others { 2 } else { 1 });
    for (end, start) in pairs() {
        let bits = STATUS.iter().enumerate();
        let set = bits.filter(|(_, flag)| end.output.rflags & *flag != 0);
        streams
            .flags
            .push(set.fold(0, |byte, (index, _)| byte | 1 << index));
        if others {
            streams.write_sparse_value((end.output.rflags ^ start.rflags) & !STATUS_MASK);
        }
    }
}

fn unpack_flags(group: &Group, reader: &mut Reader<'_>) -> Result<Vec<u64>, RecordingError> {
    let mode = reader.number_below(3)?;
    let of_start = group.starts.iter().map(|start| start.rflags);
    if mode == 0 {
        return Ok(of_start.collect());
    }
    of_start
        .map(|start| {
            let byte = reader.read_flags()?;
            let status = STATUS
                .iter()
                .enumerate()
                .filter(|(index, _)| byte & (1 << index) != 0)
                .fold(0, |status, (_, flag)| status | flag);
            let others = if mode == 2 { reader.read_sparse_value()? } else { 0 };
            Ok((start & !STATUS_MASK ^ others & !STATUS_MASK) | status)
        })
        .collect()
}

fn pack_bases(group: &Group, ends: &[End], terms: &Terms<'_>, streams: &mut Streams) {
    let mut pairs = ends.iter().zip(&group.starts);
    let same =
        pairs.all(|(end, start)| (end.output.fs_base, end.output.gs_base) == (start.fs_base, start.gs_base));
    streams.models.push(u8::from(!same));
    if same {
        return;
    }
    let fs: Vec<u64> = ends.iter().map(|end| end.output.fs_base).collect();
    let gs: Vec<u64> = ends.iter().map(|end| end.output.gs_base).collect();
    columns::write_column(&fs, &|run| group.starts[run].fs_base, WHOLE, terms, streams);
    columns::write_column(&gs, &|run| group.starts[run].gs_base, WHOLE, terms, streams);
}

fn unpack_bases(
    group: &Group,
    terms: &Terms<'_>,
    reader: &mut Reader<'_>,
) -> Result<(Vec<u64>, Vec<u64>), RecordingError> {
    let (fs, gs) = (
        |run: usize| group.starts[run].fs_base,
        |run: usize| group.starts[run].gs_base,
    );
    let runs = group.starts.len();
    if reader.number_below(2)? == 0 {
        return Ok(((0..runs).map(fs).collect(), (0..runs).map(gs).collect()));
    }
    Ok((
        columns::read_column(&fs, WHOLE, terms, runs, reader)?,
        columns::read_column(&gs, WHOLE, terms, runs, reader)?,
    ))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use iced_x86::code_asm::*;
    use proptest::prelude::*;
    use snippex_core::address_space::{CODE_DISTANCE, place_image};
    use snippex_core::block::{Block, Origin, Terminator};
    use snippex_core::seed::Style;

    use snippex_runner::layout::{LINE, WireLine};

    use super::super::end::NO_VECTORS;
    use super::super::packed_lines::line_before;
    use super::*;
    use crate::discovery::CaseMaker;
    use crate::end_state::EndState;
    use crate::engine::{Engine, EngineSpec, RunnerEngine};
    use crate::memory_source::MemorySource;
    use crate::results::EXIT_DIED;

    /// A block that moves, computes, loads, stores and may fault, and its group.
    fn group() -> Group {
        let mut a = CodeAssembler::new(64).unwrap();
        a.mov(qword_ptr(rdi + 8), rax).unwrap();
        a.movzx(ecx, byte_ptr(rsi)).unwrap();
        a.lea(rdx, qword_ptr(rax + rcx * 4 + 3)).unwrap();
        a.push(rdx).unwrap();
        let bytes = a.assemble(0x1000).unwrap();
        let block = Block {
            address: 0x1000,
            instruction_count: 4,
            terminator: Terminator::FallThrough,
            successors: vec![0x1000 + bytes.len() as u64],
            bytes,
            origin: Origin::Entry,
            unrunnable: None,
        };
        let placement = place_image(&(0..CODE_DISTANCE), true).unwrap();
        let mut engine = RunnerEngine::start(EngineSpec::native()).unwrap();
        let maker = CaseMaker::new(MemorySource::new(None, placement, 1), placement, 1, 8);
        let mut maker = maker.in_style(Style::Compiled);
        let mut groups = maker
            .make_groups(&[Arc::new(block)], &mut engine as &mut dyn Engine)
            .unwrap();
        groups.remove(0)
    }

    prop_compose! {
        fn any_end()(
            gpr in any::<[u64; 16]>(),
            keep in any::<u16>(),
            words in any::<[u64; 6]>(),
            exit in prop_oneof![Just(0), Just(1), Just(EXIT_FAULT), Just(EXIT_DIED)],
            stored in any::<u64>(),
            byte in any::<u8>(),
            line in 0..128usize,
        ) -> (u16, End) {
            let [rflags, fs_base, gs_base, address, rip, error] = words;
            let signal = if exit == EXIT_FAULT { 11 } else { 0 };
            let fault = Fault { signal, code: 1, address, rip, rflags, error: error & 2 };
            let output = RunOutput {
                gpr, rflags, fs_base, gs_base, exit, line_count: 0, first_line: 0, at_rip: 0, stored, fault, stray_lines: 0,
            };
            let mut vectors = NO_VECTORS;
            vectors.fx.fill(byte);
            vectors.zmm[3] = [byte; 64];
            vectors.zmm[17][5] = byte;
            vectors.opmask[2] = address;
            let lines = vec![WireLine { address: line as u64, bytes: [byte; LINE] }];
            (keep, End { output, vectors: Some(Box::new(vectors)), lines })
        }
    }

    /// The ends that `found` are when they are those of `group`: some registers as at the start.
    fn canonical(group: &Group, found: &[(u16, End)], components: Components) -> Vec<End> {
        let one = |(run, (keep, end)): (usize, &(u16, End))| {
            let mut output = end.output;
            for register in (0..16).filter(|register| keep & (1 << register) != 0) {
                output.gpr[register] = group.starts[run].gpr[register];
            }
            let page = &group.pages[end.lines[0].address as usize % group.pages.len()];
            let address = page.address + end.lines[0].address % 64 * LINE as u64;
            let lines = [WireLine {
                address,
                ..end.lines[0]
            }];
            let lines = if line_before(group, address) == lines[0].bytes {
                &lines[..0]
            } else {
                &lines[..]
            };
            let state = EndState {
                output: &output,
                vectors: end.vectors.as_deref().unwrap(),
            };
            End::from_end_state(group, run, state, lines, false, components)
        };
        found.iter().enumerate().map(one).collect()
    }

    fn text(ends: &[End]) -> Vec<String> {
        ends.iter().map(|end| format!("{end:?}")).collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn any_ends_come_back_and_forged_streams_are_read_or_refused(
            found in prop::collection::vec(any_end(), 8),
            at in any::<prop::sample::Index>(),
            value in any::<u8>(),
            stream in 0..4usize,
        ) {
            let group = group();
            let components = [Components::ALL, Components::ALL.difference(Components::AVX512), Components::GENERAL];
            for components in components {
                let ends = canonical(&group, &found, components);
                let mut streams = Streams::default();
                pack_ends(&group, &ends, components, &mut streams);
                let mut reader = Reader::new(streams.parts());
                let read = unpack_ends(&group, components, &mut reader).unwrap();
                prop_assert!(reader.is_empty());
                prop_assert_eq!(text(&read), text(&ends));
                let mut parts = streams.parts().map(<[u8]>::to_vec);
                if !parts[stream].is_empty() {
                    let at = at.index(parts[stream].len());
                    parts[stream][at] = value;
                }
                let forged = [&parts[0][..], &parts[1], &parts[2], &parts[3]];
                let _ = unpack_ends(&group, components, &mut Reader::new(forged));
            }
        }
    }
}
