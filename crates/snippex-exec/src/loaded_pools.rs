//! The pools of vector states that are in the shared file.

use std::sync::Arc;

use snippex_core::group::{Group, VectorState};
use snippex_core::state::X87State;
use snippex_runner::layout::{Header, VectorFile, X87_ENVIRONMENT, X87_PHYSICAL, X87_PUSHED, X87_STACK};

use crate::batch::MAX_VECTORS;
use crate::shared::Shared;

/// How x87 registers are loaded: in which order FXRSTOR takes those of its image, if it does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum X87Order {
    /// From the top of the stack, as processors do.
    #[default]
    Stack,
    /// As they are numbered: FEX.
    Physical,
    /// FXRSTOR does not load them, FLD and FLDENV do; how they end cannot be seen: box64.
    Pushed,
    /// It loads them in no way that is known, unless TOP is 0.
    Unknown,
}

impl X87Order {
    /// What the guest has found out.
    pub(crate) fn from_header(header: &Header) -> Self {
        match header.x87_order {
            X87_STACK => Self::Stack,
            X87_PHYSICAL => Self::Physical,
            X87_PUSHED => Self::Pushed,
            _ => Self::Unknown,
        }
    }
}

/// The pools that are in the file, in order.
#[derive(Debug, Default)]
pub(crate) struct LoadedPools(Vec<LoadedVectorPool>);

#[derive(Debug)]
pub(crate) struct LoadedVectorPool {
    vector_pool: Arc<[VectorState]>,
    /// Index of its first entry in the file.
    pub(crate) first: u32,
    /// [`VectorState::is_clean`] of each entry.
    pub(crate) clean: Vec<bool>,
}

impl LoadedPools {
    /// Makes sure that the pools of all groups are in the file, from file offset `vectors` on.
    pub(crate) fn write_missing_pools(
        &mut self,
        shared: &mut Shared,
        vectors: u64,
        groups: &[Group],
        order: X87Order,
    ) {
        for group in groups {
            if self.find_pool(&group.vector_pool).is_some() {
                continue;
            }
            let first = self
                .0
                .last()
                .map_or(0, |last| last.first as usize + last.vector_pool.len());
            if first + group.vector_pool.len() > MAX_VECTORS {
                // Start again; the pools of one batch fit together.
                self.0.clear();
                return self.write_missing_pools(shared, vectors, groups, order);
            }
            let files: Vec<VectorFile> = group
                .vector_pool
                .iter()
                .map(|state| vector_file(state, order))
                .collect();
            shared.write(vectors + (first * size_of::<VectorFile>()) as u64, &files);
            self.0.push(LoadedVectorPool {
                vector_pool: Arc::clone(&group.vector_pool),
                first: first as u32,
                clean: group.vector_pool.iter().map(VectorState::is_clean).collect(),
            });
        }
    }

    pub(crate) fn find_pool(&self, vector_pool: &Arc<[VectorState]>) -> Option<&LoadedVectorPool> {
        self.0
            .iter()
            .find(|loaded| Arc::ptr_eq(&loaded.vector_pool, vector_pool))
    }
}

/// The wire form of a vector state (Intel SDM volume 1, table 10-2 for the first 512 bytes), for an engine that takes x87
/// registers in `order`.
pub(crate) fn vector_file(state: &VectorState, order: X87Order) -> VectorFile {
    let mut fx = [0; 512];
    let X87State {
        control,
        status,
        tags,
        st,
    } = state.x87;
    fx[0..2].copy_from_slice(&control.to_le_bytes());
    fx[2..4].copy_from_slice(&status.to_le_bytes());
    fx[4] = tags;
    fx[24..28].copy_from_slice(&state.mxcsr.to_le_bytes());
    let first = match order {
        X87Order::Physical | X87Order::Pushed => usize::from(state.x87.top()),
        X87Order::Stack | X87Order::Unknown => 0,
    };
    if order == X87Order::Pushed {
        fx[X87_ENVIRONMENT..][..28].copy_from_slice(&x87_environment(&state.x87));
    }
    for (index, register) in st.iter().enumerate() {
        let index = (first + index) % 8;
        fx[32 + 16 * index..][..10].copy_from_slice(register);
    }
    for (index, vector) in state.vectors[..16].iter().enumerate() {
        fx[160 + 16 * index..][..16].copy_from_slice(&vector[..16]);
    }
    VectorFile {
        fx,
        zmm: state.vectors,
        opmask: state.opmask,
    }
}

/// What FLDENV loads in 64-bit mode (Intel SDM volume 1, figure 8-9); a register that is not empty counts as valid, which the
/// processor corrects by its content.
fn x87_environment(x87: &X87State) -> [u8; 28] {
    const EMPTY: u16 = 3;
    let empty = (0..8).filter(|register| x87.tags & (1 << register) == 0);
    let tags = empty.fold(0, |tags, register| tags | EMPTY << (2 * register));
    let mut environment = [0; 28];
    for (word, at) in [(x87.control, 0), (x87.status, 4), (tags, 8)] {
        environment[at..at + 2].copy_from_slice(&word.to_le_bytes());
    }
    environment
}

#[cfg(test)]
mod tests {
    use super::*;
    use snippex_core::state::MXCSR_INITIAL;

    #[test]
    fn where_registers_are_pushed_an_environment_turns_the_stack() {
        let mut x87 = X87State::INITIAL;
        x87.control = 0x37f;
        x87.status = 5 << 11 | 1;
        x87.tags = 0b1010_0000;
        let environment = x87_environment(&x87);
        assert_eq!(environment[..2], [0x7f, 0x03]);
        assert_eq!(environment[4..6], [0x01, 0x28]);
        // Registers 7 and 5 are valid, two bits each.
        assert_eq!(environment[8..10], 0b0011_0011_1111_1111_u16.to_le_bytes());
    }

    #[test]
    fn where_images_begin_with_register_0_the_top_of_the_stack_lies_behind_it() {
        let mut state = VectorState {
            x87: X87State::INITIAL,
            mxcsr: MXCSR_INITIAL,
            vectors: [[0; 64]; 32],
            opmask: [0; 8],
        };
        state.x87.status = 5 << 11;
        state.x87.st = std::array::from_fn(|index| [index as u8; 10]);
        let registers = |order| -> [u8; 8] {
            let file = vector_file(&state, order);
            std::array::from_fn(|slot| file.fx[32 + 16 * slot])
        };
        assert_eq!(registers(X87Order::Stack), [0, 1, 2, 3, 4, 5, 6, 7]);
        // ST(0) is R5 where TOP is 5.
        assert_eq!(registers(X87Order::Physical), [3, 4, 5, 6, 7, 0, 1, 2]);
        state.x87.status = 0;
        let plain = vector_file(&state, X87Order::Physical);
        assert_eq!(plain.fx, vector_file(&state, X87Order::Stack).fx);
    }
}
