//! The ends of a block's runs: packed against their starts, and unpacked to what an engine would have left.
//!
//! Only what is compared is kept. What a run stored though it did not change it counts as not stored, what of a fault only
//! the machine decides is left out, and a page that was out of reach is one that is not there.

use snippex_core::group::{Group, VectorState};
use snippex_core::state::{Components, X87State, rflags};
use snippex_runner::layout::{
    EXIT_FAULT, EXIT_NONE, Fault, LINE, RunOutput, STORED_CONTROL, STORED_X87, VectorFile, WireLine,
};

use super::RecordingError;
use super::columns::{self, Shape};
use super::streams::{Reader, Streams};
use super::terms::{Piece, Terms, page_at, read_initial_memory};
use crate::end_state::{EndState, vector_shape};
use crate::results::EXIT_DIED;

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

/// How one run ended.
#[derive(Clone, Debug)]
pub(crate) struct End {
    pub(crate) output: RunOutput,
    pub(crate) vectors: Option<Box<VectorFile>>,
    pub(crate) lines: Vec<WireLine>,
}

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

/// Whether a run came to an end whose state means something.
pub(crate) fn has_state(exit: u32) -> bool {
    exit == EXIT_FAULT || exit < EXIT_DIED && exit != EXIT_NONE
}

impl End {
    /// What of an end counts. `parked` says whether something else was mapped at the page of the fault.
    pub(crate) fn from_end_state(
        group: &Group,
        run: usize,
        end: EndState<'_>,
        lines: &[WireLine],
        parked: bool,
        components: Components,
    ) -> Self {
        const SIGSEGV: u32 = 11;
        const SEGV_MAPERR: i32 = 1;
        const SEGV_ACCERR: i32 = 2;
        let start = &group.starts[run];
        let mut output = RunOutput {
            line_count: 0,
            first_line: 0,
            at_rip: 0,
            stray_lines: 0,
            ..*end.output
        };
        if output.exit == EXIT_FAULT {
            output.rflags = output.fault.rflags & !rflags::RF;
            output.fault.rflags = output.rflags;
            output.fault.error &= if output.fault.signal == SIGSEGV { 2 } else { 0 };
            let known = page_at(&group.pages, output.fault.address).is_some();
            if output.fault.signal == SIGSEGV && output.fault.code == SEGV_ACCERR && parked && !known {
                output.fault.code = SEGV_MAPERR;
            }
        } else {
            let signal = if output.exit == EXIT_DIED {
                output.fault.signal
            } else {
                0
            };
            output.fault = Fault { signal, ..NO_FAULT };
        }
        if !components.contains(Components::SEGMENT_BASES) {
            (output.fs_base, output.gs_base) = (start.fs_base, start.gs_base);
        }
        if !has_state(output.exit) {
            output = RunOutput {
                gpr: start.gpr,
                rflags: start.rflags,
                fs_base: start.fs_base,
                gs_base: start.gs_base,
                stored: 0,
                ..output
            };
            return Self {
                output,
                vectors: None,
                lines: Vec::new(),
            };
        }
        let before = &group.vector_pool[start.vectors as usize];
        let vectors = changed_vectors(before, end, components, &mut output.stored);
        Self {
            output,
            vectors,
            lines: lines.to_vec(),
        }
    }
}

const NO_FAULT: Fault = Fault {
    signal: 0,
    code: 0,
    address: 0,
    rip: 0,
    rflags: 0,
    error: 0,
};

const NO_VECTORS: VectorFile = VectorFile {
    fx: [0; 512],
    zmm: [[0; 64]; 32],
    opmask: [0; 8],
};

/// What of x87 and vectors is not as before the run, in a file that is empty apart from it; `stored` says which.
fn changed_vectors(
    before: &VectorState,
    end: EndState<'_>,
    components: Components,
    stored: &mut u64,
) -> Option<Box<VectorFile>> {
    let found = *stored;
    *stored = 0;
    let mut kept: Option<Box<VectorFile>> = None;
    let file = end.vectors;
    if found & STORED_X87 != 0 && !end.same_x87(before) {
        *stored |= STORED_X87;
        let fx = &mut kept.get_or_insert_with(|| Box::new(NO_VECTORS)).fx;
        fx[..5].copy_from_slice(&file.fx[..5]);
        for register in (32..160).step_by(16) {
            fx[register..register + 10].copy_from_slice(&file.fx[register..register + 10]);
        }
    }
    let opmasks = components.contains(Components::AVX512);
    let mxcsr = &file.fx[24..28];
    if found & STORED_CONTROL != 0
        && (mxcsr != before.mxcsr.to_le_bytes() || opmasks && file.opmask != before.opmask)
    {
        *stored |= STORED_CONTROL;
        let kept = kept.get_or_insert_with(|| Box::new(NO_VECTORS));
        kept.fx[24..28].copy_from_slice(mxcsr);
        if opmasks {
            kept.opmask = file.opmask;
        }
    }
    let (registers, width) = vector_shape(components);
    for register in (0..registers).filter(|register| found & (1 << register) != 0) {
        if file.zmm[register][..width] != before.vectors[register][..width] {
            *stored |= 1 << register;
            kept.get_or_insert_with(|| Box::new(NO_VECTORS)).zmm[register][..width]
                .copy_from_slice(&file.zmm[register][..width]);
        }
    }
    kept
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

/// The line at `address` before the run.
fn line_before(group: &Group, address: u64) -> [u8; LINE] {
    let offset = (address % snippex_core::case::PAGE) as usize;
    page_at(&group.pages, address).map_or([0; LINE], |page| {
        page.content[offset..offset + LINE]
            .try_into()
            .expect("lines do not cross pages")
    })
}

/// The value of a piece of memory after the run that changed `lines`.
fn value_after(group: &Group, lines: &[WireLine], address: u64, size: usize) -> u64 {
    let mut bytes = read_initial_memory(&group.pages, address, size).to_le_bytes();
    for line in lines {
        for (index, byte) in bytes[..size].iter_mut().enumerate() {
            let offset = address.wrapping_add(index as u64).wrapping_sub(line.address);
            if offset < LINE as u64 {
                *byte = line.bytes[offset as usize];
            }
        }
    }
    u64::from_le_bytes(bytes)
}

/// The lines that are changed when `pieces` hold `values` in `run`.
fn lines_of_pieces(group: &Group, pieces: &[Piece], values: &[Vec<u64>], run: usize) -> Vec<WireLine> {
    const WITHIN: u64 = LINE as u64 - 1;
    let mut lines: Vec<WireLine> = Vec::with_capacity(pieces.len());
    for (piece, values) in pieces.iter().zip(values) {
        let bytes = values[run].to_le_bytes();
        for (index, &byte) in bytes[..piece.size].iter().enumerate() {
            let at = piece.addresses[run].wrapping_add(index as u64);
            let address = at & !WITHIN;
            if page_at(&group.pages, address).is_none() {
                continue;
            }
            let known = lines.iter().position(|line| line.address == address);
            let line = known.unwrap_or_else(|| {
                lines.push(WireLine {
                    address,
                    bytes: line_before(group, address),
                });
                lines.len() - 1
            });
            lines[line].bytes[(at & WITHIN) as usize] = byte;
        }
    }
    lines.retain(|line| line.bytes != line_before(group, line.address));
    lines.sort_unstable_by_key(|line| line.address);
    lines
}

fn pack_lines(group: &Group, ends: &[End], terms: &Terms<'_>, streams: &mut Streams) {
    let any = ends.iter().any(|end| !end.lines.is_empty());
    streams.models.push(u8::from(any));
    if !any {
        return;
    }
    let mut columns = Vec::with_capacity(terms.stores.len());
    for piece in &terms.stores {
        let before: Vec<u64> = (piece.addresses.iter())
            .map(|&address| read_initial_memory(&group.pages, address, piece.size))
            .collect();
        let after = ends.iter().zip(&piece.addresses);
        let after: Vec<u64> = after
            .map(|(end, &address)| value_after(group, &end.lines, address, piece.size))
            .collect();
        let shape = Shape { bytes: piece.size };
        columns::write_column(&after, &|run| before[run], shape, terms, streams);
        columns.push(after);
    }
    let odd: Vec<bool> = ends
        .iter()
        .enumerate()
        .map(|(run, end)| {
            let made = lines_of_pieces(group, &terms.stores, &columns, run);
            let made = made.iter().map(|line| (line.address, line.bytes));
            !made.eq(end.lines.iter().map(|line| (line.address, line.bytes)))
        })
        .collect();
    let any_odd = odd.iter().any(|odd| *odd);
    streams.models.push(u8::from(any_odd));
    if !any_odd {
        return;
    }
    streams.write_bits(odd.iter().copied());
    for (end, _) in ends.iter().zip(&odd).filter(|(_, odd)| **odd) {
        streams.write_number(end.lines.len() as u64);
        let mut last = 0;
        for line in &end.lines {
            streams.write_number(line.address.wrapping_sub(last) / LINE as u64);
            last = line.address;
            let before = line_before(group, line.address);
            for (after, before) in line.bytes.chunks(8).zip(before.chunks(8)) {
                let differ: Vec<u8> = after.iter().zip(before).map(|(a, b)| a ^ b).collect();
                streams.sparse_bytes(&differ);
            }
        }
    }
}

fn unpack_lines(
    group: &Group,
    terms: &Terms<'_>,
    reader: &mut Reader<'_>,
) -> Result<Vec<Vec<WireLine>>, RecordingError> {
    let runs = group.starts.len();
    if reader.number_below(2)? == 0 {
        return Ok(vec![Vec::new(); runs]);
    }
    let mut columns = Vec::with_capacity(terms.stores.len());
    for piece in &terms.stores {
        let before = |run: usize| read_initial_memory(&group.pages, piece.addresses[run], piece.size);
        let shape = Shape { bytes: piece.size };
        columns.push(columns::read_column(&before, shape, terms, runs, reader)?);
    }
    let odd: Vec<bool> = match reader.number_below(2)? {
        0 => vec![false; runs],
        _ => reader.read_bits(runs)?.collect(),
    };
    odd.iter()
        .enumerate()
        .map(|(run, odd)| match odd {
            true => unpack_odd_lines(group, reader),
            false => Ok(lines_of_pieces(group, &terms.stores, &columns, run)),
        })
        .collect()
}

fn unpack_odd_lines(group: &Group, reader: &mut Reader<'_>) -> Result<Vec<WireLine>, RecordingError> {
    let most = group.pages.len() * snippex_core::case::PAGE_SIZE / LINE;
    let mut lines = Vec::new();
    let mut address = 0u64;
    for index in 0..reader.number_below(most + 1)? {
        let distance = reader.read_number()?;
        if distance == 0 && index > 0 {
            return Err(RecordingError::Invalid("lines of memory are not in order"));
        }
        address = address.wrapping_add(distance.wrapping_mul(LINE as u64));
        let mut bytes = line_before(group, address);
        for part in bytes.chunks_mut(8) {
            let differ = reader.read_sparse_value()?.to_le_bytes();
            part.iter_mut()
                .zip(differ)
                .for_each(|(byte, differs)| *byte ^= differs);
        }
        lines.push(WireLine { address, bytes });
    }
    match lines.is_sorted_by(|a, b| a.address < b.address) {
        true => Ok(lines),
        false => Err(RecordingError::Invalid("lines of memory are not in order")),
    }
}

/// The x87 state as FXSAVE lays it out, of what is compared.
fn x87_bytes(x87: &X87State) -> [u8; 160] {
    let mut fx = [0; 160];
    fx[..2].copy_from_slice(&x87.control.to_le_bytes());
    fx[2..4].copy_from_slice(&x87.status.to_le_bytes());
    fx[4] = x87.tags;
    for (register, bytes) in x87.st.iter().enumerate() {
        fx[32 + 16 * register..][..10].copy_from_slice(bytes);
    }
    fx
}

/// Whether `stored` has bit `index`.
fn is_stored(stored: u64, index: usize) -> bool {
    stored & (1 << index) != 0
}

fn pack_vectors(group: &Group, ends: &[End], components: Components, streams: &mut Streams) {
    let any = ends.iter().fold(0, |any, end| any | end.output.stored);
    streams.write_number(any);
    if any == 0 {
        return;
    }
    let all = ends.iter().fold(u64::MAX, |all, end| all & end.output.stored);
    streams.models.push(u8::from(any == all));
    let (_, width) = vector_shape(components);
    let mut differ = |after: &[u8], before: &[u8]| {
        for (after, before) in after.chunks(8).zip(before.chunks(8)) {
            let bytes: Vec<u8> = after.iter().zip(before).map(|(a, b)| a ^ b).collect();
            streams.sparse_bytes(&bytes);
        }
    };
    for (end, start) in ends.iter().zip(&group.starts) {
        let stored = end.output.stored;
        if any != all {
            differ(&stored.to_le_bytes(), &[0; 8]);
        }
        let Some(file) = &end.vectors else {
            continue;
        };
        let before = &group.vector_pool[start.vectors as usize];
        for register in (0..32).filter(|&register| is_stored(stored, register)) {
            differ(&file.zmm[register][..width], &before.vectors[register][..width]);
        }
        if stored & STORED_X87 != 0 {
            differ(&file.fx[..8], &x87_bytes(&before.x87)[..8]);
            differ(&file.fx[32..160], &x87_bytes(&before.x87)[32..]);
        }
        if stored & STORED_CONTROL != 0 {
            differ(&file.fx[24..28], &before.mxcsr.to_le_bytes());
            if components.contains(Components::AVX512) {
                for (after, before) in file.opmask.iter().zip(before.opmask) {
                    differ(&after.to_le_bytes(), &before.to_le_bytes());
                }
            }
        }
    }
}

type Vectors = (u64, Option<Box<VectorFile>>);

fn unpack_vectors(
    group: &Group,
    components: Components,
    reader: &mut Reader<'_>,
) -> Result<Vec<Vectors>, RecordingError> {
    let (registers, width) = vector_shape(components);
    let known = ((1u64 << registers) - 1) | STORED_X87 | STORED_CONTROL;
    let any = reader.read_number()?;
    if any & !known != 0 {
        return Err(RecordingError::Invalid("a register is not there"));
    }
    if any == 0 {
        return Ok(group.starts.iter().map(|_| (0, None)).collect());
    }
    let same = reader.number_below(2)? == 1;
    let mut all = Vec::with_capacity(group.starts.len());
    for start in &group.starts {
        let stored = if same {
            any
        } else {
            reader.read_sparse_value()? & any
        };
        if stored == 0 {
            all.push((0, None));
            continue;
        }
        let before = &group.vector_pool[start.vectors as usize];
        let mut file = Box::new(NO_VECTORS);
        let mut differ = |after: &mut [u8], before: &[u8]| -> Result<(), RecordingError> {
            for (after, before) in after.chunks_mut(8).zip(before.chunks(8)) {
                reader.sparse_bytes(after)?;
                after.iter_mut().zip(before).for_each(|(a, b)| *a ^= b);
            }
            Ok(())
        };
        for register in (0..registers).filter(|&register| is_stored(stored, register)) {
            differ(
                &mut file.zmm[register][..width],
                &before.vectors[register][..width],
            )?;
        }
        if stored & STORED_X87 != 0 {
            differ(&mut file.fx[..8], &x87_bytes(&before.x87)[..8])?;
            differ(&mut file.fx[32..160], &x87_bytes(&before.x87)[32..])?;
        }
        if stored & STORED_CONTROL != 0 {
            differ(&mut file.fx[24..28], &before.mxcsr.to_le_bytes())?;
            if components.contains(Components::AVX512) {
                for (after, before) in file.opmask.iter_mut().zip(before.opmask) {
                    let mut bytes = [0; 8];
                    differ(&mut bytes, &before.to_le_bytes())?;
                    *after = u64::from_le_bytes(bytes);
                }
            }
        }
        all.push((stored, Some(file)));
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use iced_x86::code_asm::*;
    use proptest::prelude::*;
    use snippex_core::address_space::{CODE_DISTANCE, place_image};
    use snippex_core::block::{Block, Origin, Terminator};
    use snippex_core::seed::Style;

    use super::*;
    use crate::discovery::CaseMaker;
    use crate::engine::{Engine, EngineSpec, RunnerEngine};
    use crate::memory_source::MemorySource;

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
