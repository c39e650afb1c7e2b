//! What runs left in x87, MXCSR, vector and opmask registers, packed against what was there before.

use snippex_core::group::Group;
use snippex_core::state::{Components, X87State};
use snippex_runner::layout::{STORED_CONTROL, STORED_X87, VectorFile};

use super::RecordingError;
use super::end::{End, NO_VECTORS};
use super::streams::{Reader, Streams};
use crate::end_state::vector_shape;

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

pub(super) fn pack_vectors(group: &Group, ends: &[End], components: Components, streams: &mut Streams) {
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

pub(super) type Vectors = (u64, Option<Box<VectorFile>>);

pub(super) fn unpack_vectors(
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
