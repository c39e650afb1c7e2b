//! One value of every run of a block, written as what it is made of.
//!
//! Blocks move, add and load more than they compute: most values at the end are one at the start, perhaps with a constant
//! added, or a combination of two. Which it is follows from two runs and is written once a block; it need not be right: runs
//! that it does not give are written in full. Nothing here knows an instruction.

use super::RecordingError;
use super::streams::{Reader, Streams};
use super::terms::Terms;

/// Most formulas of a column: paths through a block that end in different ways.
const MAX_STEPS: usize = 4;
/// Formulas that are tried on all runs.
const MAX_TRIED: usize = 6;

/// How a value is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Formula {
    /// One of the `OPERATION_*` below.
    operation: u8,
    /// Cut to 32 bits.
    narrow: bool,
    first: u8,
    second: u8,
    constant: u64,
}

/// A constant.
const CONSTANT: u8 = 0;
/// A term and a constant.
const PLUS: u8 = 1;
/// The lowest 8 or 16 bits of a term, or 8, 16 or 32 of them with the sign.
const EXTENDED: [u8; 5] = [2, 3, 4, 5, 6];
/// A term, another one times 1, 2, 4 or 8, and a constant.
const SUM: [u8; 4] = [7, 8, 9, 10];
const DIFFERENCE: u8 = 11;
const XOR: u8 = 12;
const AND: u8 = 13;
const OR: u8 = 14;
/// A term shifted left or right, the latter without and with the sign, by the constant.
const SHIFTED: [u8; 3] = [15, 16, 17];

impl Formula {
    fn value(&self, terms: &Terms<'_>, run: usize) -> u64 {
        let first = || terms.value(self.first.into(), run);
        let second = || terms.value(self.second.into(), run);
        let value = match self.operation {
            CONSTANT => self.constant,
            PLUS => first().wrapping_add(self.constant),
            2..=6 => extend(self.operation, first()),
            7..=10 => first()
                .wrapping_add(second() << (self.operation - SUM[0]))
                .wrapping_add(self.constant),
            DIFFERENCE => first().wrapping_sub(second()),
            XOR => first() ^ second(),
            AND => first() & second(),
            OR => first() | second(),
            _ => shift(self.operation, self.narrow, first(), self.constant),
        };
        if self.narrow { value & 0xffff_ffff } else { value }
    }

    fn names_first(&self) -> bool {
        self.operation != CONSTANT
    }

    fn names_second(&self) -> bool {
        (SUM[0]..=OR).contains(&self.operation)
    }

    fn has_constant(&self) -> bool {
        self.operation <= PLUS || SUM.contains(&self.operation) || self.operation > OR
    }

    fn write(&self, streams: &mut Streams) {
        streams.models.push(self.operation << 1 | u8::from(self.narrow));
        if self.names_first() {
            streams.models.push(self.first);
        }
        if self.names_second() {
            streams.models.push(self.second);
        }
        if self.has_constant() {
            // Constants are small in both directions.
            let signed = self.constant as i64;
            streams.write_number((signed << 1 ^ signed >> 63) as u64);
        }
    }

    fn read(reader: &mut Reader<'_>, terms: &Terms<'_>) -> Result<Self, RecordingError> {
        let code = reader.number_below(2 * (usize::from(SHIFTED[2]) + 1))?;
        let mut formula = Self {
            operation: (code >> 1) as u8,
            narrow: code & 1 != 0,
            first: 0,
            second: 0,
            constant: 0,
        };
        let mut term = || {
            let term = reader.number_below(0x80)?;
            match terms.contains_term(term) {
                true => Ok(term as u8),
                false => Err(RecordingError::Invalid("a value is made of what is not there")),
            }
        };
        if formula.names_first() {
            formula.first = term()?;
        }
        if formula.names_second() {
            formula.second = term()?;
        }
        if formula.has_constant() {
            let number = reader.read_number()?;
            formula.constant = number >> 1 ^ (number & 1).wrapping_neg();
        }
        Ok(formula)
    }
}

fn extend(operation: u8, value: u64) -> u64 {
    match operation {
        2 => value & 0xff,
        3 => value & 0xffff,
        4 => value as u8 as i8 as u64,
        5 => value as u16 as i16 as u64,
        _ => value as u32 as i32 as u64,
    }
}

fn shift(operation: u8, narrow: bool, value: u64, by: u64) -> u64 {
    let by = (by & 63) as u32;
    match (operation - SHIFTED[0], narrow) {
        (0, _) => value << by,
        (1, false) => value >> by,
        (1, true) => u64::from((value as u32) >> (by & 31)),
        (_, false) => (value as i64 >> by) as u64,
        (_, true) => u64::from((value as u32 as i32 >> (by & 31)) as u32),
    }
}

/// What all values of a column are like.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shape {
    /// Bytes of a value: those beyond are 0.
    pub(super) bytes: usize,
}

impl Shape {
    fn mask(self) -> u64 {
        u64::MAX >> (64 - 8 * self.bytes)
    }
}

/// Writes `values`; `own` is what each most likely is or shares bytes with.
pub(super) fn write_column(
    values: &[u64],
    own: &dyn Fn(usize) -> u64,
    shape: Shape,
    terms: &Terms<'_>,
    streams: &mut Streams,
) {
    let mut open: Vec<usize> = (0..values.len()).collect();
    let mut steps: Vec<(Formula, Vec<bool>)> = Vec::new();
    while steps.len() < MAX_STEPS && open.len() > 1 {
        let Some((formula, covered)) = best(values, &open, shape, terms) else {
            break;
        };
        let mut index = 0;
        open.retain(|_| {
            index += 1;
            !covered[index - 1]
        });
        steps.push((formula, covered));
    }
    streams.models.push(steps.len() as u8);
    for (formula, covered) in &steps {
        formula.write(streams);
        let all = covered.iter().all(|covered| *covered);
        streams.models.push(u8::from(all));
        if !all {
            streams.write_bits(covered.iter().copied());
        }
    }
    if open.is_empty() {
        return;
    }
    let bytes = |value: u64| 8 - (value.to_le_bytes().iter().filter(|byte| **byte == 0).count());
    let (mut plain, mut shared) = (0, 0);
    for &run in &open {
        plain += bytes(values[run]);
        shared += bytes(values[run] ^ own(run));
    }
    let from_own = shared < plain;
    streams.models.push(u8::from(from_own));
    for &run in &open {
        streams.write_sparse_value(values[run] ^ if from_own { own(run) } else { 0 });
    }
}

/// Reads what [`write_column`] wrote.
pub(super) fn read_column(
    own: &dyn Fn(usize) -> u64,
    shape: Shape,
    terms: &Terms<'_>,
    runs: usize,
    reader: &mut Reader<'_>,
) -> Result<Vec<u64>, RecordingError> {
    let mut values = vec![0; runs];
    let mut open: Vec<usize> = (0..runs).collect();
    for _ in 0..reader.number_below(MAX_STEPS + 1)? {
        let formula = Formula::read(reader, terms)?;
        let left = match reader.number_below(2)? {
            1 => {
                for &run in &open {
                    values[run] = formula.value(terms, run) & shape.mask();
                }
                Vec::new()
            }
            _ => {
                let mut left = Vec::new();
                for (&run, covered) in open.iter().zip(reader.read_bits(open.len())?) {
                    if covered {
                        values[run] = formula.value(terms, run) & shape.mask();
                    } else {
                        left.push(run);
                    }
                }
                left
            }
        };
        open = left;
    }
    if !open.is_empty() {
        let from_own = reader.number_below(2)? == 1;
        for &run in &open {
            values[run] = reader.read_sparse_value()? ^ if from_own { own(run) } else { 0 };
        }
    }
    Ok(values)
}

/// The formula that gives most of the `open` values, and which of them; `None` when none gives two.
fn best(values: &[u64], open: &[usize], shape: Shape, terms: &Terms<'_>) -> Option<(Formula, Vec<bool>)> {
    let mut best: Option<(usize, Formula, Vec<bool>)> = None;
    let samples = [(open[0], open[1]), (open[open.len() / 2], open[open.len() - 1])];
    let distinct = if open.len() > 3 { 2 } else { 1 };
    for &(a, b) in &samples[..distinct] {
        let mut tried = 0;
        candidates(values, (a, b), shape, terms, &mut |formula| {
            let covered: Vec<bool> = open
                .iter()
                .map(|&run| formula.value(terms, run) & shape.mask() == values[run])
                .collect();
            let count = covered.iter().filter(|covered| **covered).count();
            if count > best.as_ref().map_or(1, |(most, ..)| *most) {
                best = Some((count, formula, covered));
            }
            tried += 1;
            count == open.len() || tried == MAX_TRIED
        });
        if best.as_ref().is_some_and(|(count, ..)| 2 * count > open.len()) {
            break;
        }
    }
    best.map(|(_, formula, covered)| (formula, covered))
}

/// Gives every formula that is right in runs `a` and `b` to `found`, plain ones first, until that is satisfied.
fn candidates(
    values: &[u64],
    (a, b): (usize, usize),
    shape: Shape,
    terms: &Terms<'_>,
    found: &mut dyn FnMut(Formula) -> bool,
) {
    const LOW: u64 = 0xffff_ffff;
    let (va, vb) = (values[a], values[b]);
    let mask = shape.mask();
    let formula = |operation, narrow, first: usize, second: usize, constant| Formula {
        operation,
        narrow,
        first: first as u8,
        second: second as u8,
        constant,
    };
    if va == vb && found(formula(CONSTANT, false, 0, 0, va)) {
        return;
    }
    let all: Vec<(usize, u64, u64)> = terms
        .usable_terms()
        .map(|term| (term, terms.value(term, a), terms.value(term, b)))
        .collect();
    for &(term, ta, tb) in &all {
        let (da, db) = (va.wrapping_sub(ta), vb.wrapping_sub(tb));
        if (da ^ db) & mask == 0 {
            // Of a short value, the constant that is short as well.
            let constant = match shape.bytes {
                8 => da,
                _ => da & mask,
            };
            if found(formula(PLUS, false, term, 0, constant)) {
                return;
            }
        }
    }
    let narrow = va <= LOW && vb <= LOW;
    for &(term, ta, tb) in &all {
        if narrow && mask > LOW && (va.wrapping_sub(ta) ^ vb.wrapping_sub(tb)) & LOW == 0 {
            let constant = va.wrapping_sub(ta) as u32 as i32 as u64;
            if found(formula(PLUS, true, term, 0, constant)) {
                return;
            }
        }
        for operation in EXTENDED {
            let (ea, eb) = (extend(operation, ta), extend(operation, tb));
            if ((ea ^ va) | (eb ^ vb)) & mask == 0 && found(formula(operation, false, term, 0, 0)) {
                return;
            }
            let cut = narrow && (ea & LOW, eb & LOW) == (va, vb);
            if cut && found(formula(operation, true, term, 0, 0)) {
                return;
            }
        }
    }
    if shape.bytes < 4 || va == vb {
        return;
    }
    let fits = |cut: bool, x: u64, y: u64| match cut {
        true => (x & LOW, y & LOW) == (va, vb),
        false => ((x ^ va) | (y ^ vb)) & mask == 0,
    };
    let combined: Vec<(usize, u64, u64)> = terms
        .combinable_terms()
        .map(|term| (term, terms.value(term, a), terms.value(term, b)))
        .collect();
    for &(first, fa, fb) in &combined {
        for &(second, sa, sb) in &combined {
            if first == second {
                continue;
            }
            for (scale, operation) in SUM.into_iter().enumerate() {
                let (da, db) = (
                    va.wrapping_sub(fa).wrapping_sub(sa << scale),
                    vb.wrapping_sub(fb).wrapping_sub(sb << scale),
                );
                if (da ^ db) & mask == 0 && found(formula(operation, false, first, second, da)) {
                    return;
                }
                if narrow && (da ^ db) & LOW == 0 && mask > LOW {
                    let constant = da as u32 as i32 as u64;
                    if found(formula(operation, true, first, second, constant)) {
                        return;
                    }
                }
            }
            for cut in [false, true] {
                if cut && !narrow {
                    continue;
                }
                if fits(cut, fa.wrapping_sub(sa), fb.wrapping_sub(sb))
                    && found(formula(DIFFERENCE, cut, first, second, 0))
                {
                    return;
                }
                if first > second {
                    continue;
                }
                for (operation, x, y) in [
                    (XOR, fa ^ sa, fb ^ sb),
                    (AND, fa & sa, fb & sb),
                    (OR, fa | sa, fb | sb),
                ] {
                    if fits(cut, x, y) && found(formula(operation, cut, first, second, 0)) {
                        return;
                    }
                }
            }
        }
    }
    for &(term, ta, tb) in &combined {
        for operation in SHIFTED {
            for by in 1..64 {
                for cut in [false, true] {
                    if cut && (!narrow || by > 31) {
                        continue;
                    }
                    let (x, y) = (shift(operation, cut, ta, by), shift(operation, cut, tb, by));
                    if fits(cut, x, y) && found(formula(operation, cut, term, 0, by)) {
                        return;
                    }
                }
            }
        }
    }
}
