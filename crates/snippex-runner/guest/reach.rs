//! The lines that a block's stores reach in a run.

use crate::layout::{LINE, MAX_STORE_SIZE, MAX_STORES, RunInput, STORE_FS, STORE_GS, WireStore};

/// Lines that one store may touch, at worst.
const LINES_OF_A_STORE: usize = MAX_STORE_SIZE as usize / LINE + 1;
const MAX_LINES: usize = MAX_STORES * LINES_OF_A_STORE;

/// Addresses of lines in ascending order, each once.
pub struct Reach {
    lines: [u64; MAX_LINES],
    count: usize,
}

impl Reach {
    pub fn new() -> Self {
        Self {
            lines: [0; MAX_LINES],
            count: 0,
        }
    }

    pub fn clear(&mut self) {
        self.count = 0;
    }

    pub fn lines(&self) -> &[u64] {
        self.lines.get(..self.count).unwrap_or_default()
    }

    /// Adds the lines of `store` in a run that starts with `input`.
    pub fn add(&mut self, store: &WireStore, input: &RunInput) {
        let base = match store.segment {
            STORE_FS => input.fs_base,
            STORE_GS => input.gs_base,
            _ => 0,
        };
        let mut address = store.constant.wrapping_add(base);
        for (&register, &coefficient) in store.registers.iter().zip(&store.coefficients).take(store.terms as usize) {
            let value = input.gpr[usize::from(register) & 15];
            address = address.wrapping_add(value.wrapping_mul(coefficient));
        }
        let line = LINE as u64;
        let last = address.wrapping_add(u64::from(store.size) - 1) & !(line - 1);
        let mut at = address & !(line - 1);
        self.insert(at);
        while at != last {
            at = at.wrapping_add(line);
            self.insert(at);
        }
    }

    fn insert(&mut self, line: u64) {
        // No indexing: a panic path would need what a freestanding program does not have.
        let Some((free, filled)) = self.lines.get_mut(..=self.count).and_then(<[u64]>::split_last_mut) else {
            return;
        };
        let mut next = line;
        for known in filled {
            if *known == line {
                return;
            }
            if *known > next {
                core::mem::swap(known, &mut next);
            }
        }
        *free = next;
        self.count += 1;
    }
}
