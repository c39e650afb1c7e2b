//! The machine state as a list of cells, each with a value after reset.

use snippex_core::case::Case;
use snippex_core::state::MachineState;

/// A part of the state, or of memory, of at most 64 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cell {
    Gpr(usize),
    Flags,
    FsBase,
    GsBase,
    Mxcsr,
    X87Control,
    X87Status,
    X87Tags,
    Significand(usize),
    Exponent(usize),
    Lane { register: usize, lane: usize },
    Opmask(usize),
}

impl Cell {
    /// Every cell of the state, what instructions read most often last.
    pub(super) fn all() -> impl Iterator<Item = Self> {
        let lanes = (0..32).flat_map(|register| (0..8).map(move |lane| Self::Lane { register, lane }));
        let x87 = (0..8).flat_map(|index| [Self::Significand(index), Self::Exponent(index)]);
        lanes
            .chain((0..8).map(Self::Opmask))
            .chain(x87)
            .chain([Self::X87Tags, Self::X87Status, Self::X87Control, Self::Mxcsr])
            .chain([Self::FsBase, Self::GsBase, Self::Flags])
            .chain((0..16).map(Self::Gpr))
    }

    pub(super) fn get(self, state: &MachineState) -> u64 {
        match self {
            Self::Gpr(index) => state.gpr[index],
            Self::Flags => state.rflags,
            Self::FsBase => state.fs_base,
            Self::GsBase => state.gs_base,
            Self::Mxcsr => u64::from(state.mxcsr),
            Self::X87Control => u64::from(state.x87.control),
            Self::X87Status => u64::from(state.x87.status),
            Self::X87Tags => u64::from(state.x87.tags),
            Self::Significand(index) => word(&state.x87.st[index], 0),
            Self::Exponent(index) => u64::from(u16::from_le_bytes([
                state.x87.st[index][8],
                state.x87.st[index][9],
            ])),
            Self::Lane { register, lane } => word(&state.vectors[register], 8 * lane),
            Self::Opmask(index) => state.opmask[index],
        }
    }

    pub(super) fn set(self, state: &mut MachineState, value: u64) {
        let bytes = value.to_le_bytes();
        match self {
            Self::Gpr(index) => state.gpr[index] = value,
            Self::Flags => state.rflags = value,
            Self::FsBase => state.fs_base = value,
            Self::GsBase => state.gs_base = value,
            Self::Mxcsr => state.mxcsr = value as u32,
            Self::X87Control => state.x87.control = value as u16,
            Self::X87Status => state.x87.status = value as u16,
            Self::X87Tags => state.x87.tags = value as u8,
            Self::Significand(index) => state.x87.st[index][..8].copy_from_slice(&bytes),
            Self::Exponent(index) => state.x87.st[index][8..].copy_from_slice(&bytes[..2]),
            Self::Lane { register, lane } => {
                state.vectors[register][8 * lane..][..8].copy_from_slice(&bytes);
            }
            Self::Opmask(index) => state.opmask[index] = value,
        }
    }

    /// Bits of the cell that are not as after reset.
    pub(super) fn odd_bits(self, case: &Case) -> u64 {
        self.get(&case.state) ^ self.get(&MachineState::default())
    }
}

fn word(bytes: &[u8], at: usize) -> u64 {
    let mut word = [0; 8];
    word.copy_from_slice(&bytes[at..at + 8]);
    u64::from_le_bytes(word)
}
