//! Register images as load instructions take them.

use snippex_core::state::{MachineState, X87State};

/// The 512 bytes of FXRSTOR64 (SDM vol. 1, table 10-2), with the x87 stack at TOP 0: engines exist that do not count
/// from TOP when they load it. [`environment_image`] then sets TOP.
pub(super) fn fx_image(state: &MachineState) -> [u8; 512] {
    let mut fx = [0; 512];
    let x87 = &state.x87;
    fx[..2].copy_from_slice(&x87.control.to_le_bytes());
    fx[4] = x87.tags;
    fx[24..28].copy_from_slice(&state.mxcsr.to_le_bytes());
    for physical in 0..8 {
        let index = (physical + 8 - usize::from(x87.top())) & 7;
        fx[32 + 16 * physical..][..10].copy_from_slice(&x87.st[index]);
    }
    for (register, vector) in state.vectors[..16].iter().enumerate() {
        fx[160 + 16 * register..][..16].copy_from_slice(&vector[..16]);
    }
    fx
}

/// The 28 bytes of FLDENV (SDM vol. 1, figure 8-9), without pointers. `None` when FXRSTOR has already set all of it.
pub(super) fn environment_image(x87: &X87State) -> Option<[u8; 28]> {
    if x87.status == 0 {
        return None;
    }
    let mut environment = [0; 28];
    environment[..2].copy_from_slice(&x87.control.to_le_bytes());
    environment[4..6].copy_from_slice(&x87.status.to_le_bytes());
    // Two bits a register: 3 is empty, and of the others the CPU finds out itself.
    let tags = (0..8).filter(|register| x87.tags & (1 << register) == 0);
    let word: u16 = tags.map(|register| 3 << (2 * register)).sum();
    environment[8..10].copy_from_slice(&word.to_le_bytes());
    Some(environment)
}
