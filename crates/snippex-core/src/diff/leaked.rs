//! A documented deviation in a status register that a block has copied elsewhere: `stmxcsr`, `fnstsw` and their like
//! turn it into data, and from there on it shows anywhere.

use crate::decode::block_decoder;
use iced_x86::Mnemonic;

use super::tolerance::{Deviates, Deviation, Tolerance};
use crate::block::Block;

/// The deviation that explains a difference because `block` copies the register it shows in.
pub(super) fn leaked_deviation<'t>(block: &Block, tolerance: &'t Tolerance) -> Option<&'t Deviation> {
    let of_status = |deviation: &&Deviation| {
        matches!(
            deviation.deviates,
            Deviates::Mxcsr(_) | Deviates::X87Status(_) | Deviates::EmptyX87Registers
        )
    };
    if !tolerance.deviations.iter().any(|deviation| of_status(&deviation)) {
        return None;
    }
    let decoder = block_decoder(block);
    decoder.into_iter().find_map(|instruction| {
        let mnemonic = instruction.mnemonic();
        tolerance
            .deviations
            .iter()
            .find(|deviation| match deviation.deviates {
                Deviates::Mxcsr(_) => copies_mxcsr(mnemonic),
                Deviates::X87Status(_) => copies_x87_status(mnemonic),
                Deviates::EmptyX87Registers => saves_everything(mnemonic),
                _ => false,
            })
    })
}

fn copies_mxcsr(mnemonic: Mnemonic) -> bool {
    matches!(mnemonic, Mnemonic::Stmxcsr | Mnemonic::Vstmxcsr) || saves_everything(mnemonic)
}

fn copies_x87_status(mnemonic: Mnemonic) -> bool {
    use Mnemonic as M;
    let words = [M::Fnstsw, M::Fstsw, M::Fnstenv, M::Fstenv, M::Fnsave, M::Fsave];
    words.contains(&mnemonic) || saves_everything(mnemonic)
}

fn saves_everything(mnemonic: Mnemonic) -> bool {
    use Mnemonic as M;
    [
        M::Fxsave,
        M::Fxsave64,
        M::Xsave,
        M::Xsave64,
        M::Xsavec,
        M::Xsavec64,
        M::Xsaveopt,
        M::Xsaveopt64,
        M::Fnsave,
        M::Fsave,
    ]
    .contains(&mnemonic)
}
