//! Instructions that load or store MXCSR and the x87 control and status words: the one list of them, by which flags are
//! masked, values are followed, sequences are generated and stack faults are told from loaded ones.

use iced_x86::Mnemonic;

/// Whether the instruction loads MXCSR from memory (SDM vol. 1, section 10.2.3; FXRSTOR and XRSTOR load it as well).
#[must_use]
pub fn loads_mxcsr(mnemonic: Mnemonic) -> bool {
    matches!(mnemonic, Mnemonic::Ldmxcsr | Mnemonic::Vldmxcsr) || restores_image(mnemonic)
}

/// Whether the instruction loads the x87 control word from memory (SDM vol. 1, section 8.1.5).
#[must_use]
pub fn loads_x87_control(mnemonic: Mnemonic) -> bool {
    mnemonic == Mnemonic::Fldcw || loads_x87_status(mnemonic)
}

/// Whether the instruction loads the x87 status word from memory (SDM vol. 1, sections 8.1.3 and 8.1.10).
#[must_use]
pub fn loads_x87_status(mnemonic: Mnemonic) -> bool {
    matches!(mnemonic, Mnemonic::Fldenv | Mnemonic::Frstor) || restores_image(mnemonic)
}

/// Whether the instruction stores MXCSR or the x87 environment and does nothing else with operands.
#[must_use]
pub fn stores_control_words(mnemonic: Mnemonic) -> bool {
    matches!(
        mnemonic,
        Mnemonic::Stmxcsr | Mnemonic::Vstmxcsr | Mnemonic::Fnstenv | Mnemonic::Fnsave
    )
}

/// FXRSTOR and XRSTOR.
fn restores_image(mnemonic: Mnemonic) -> bool {
    matches!(
        mnemonic,
        Mnemonic::Fxrstor | Mnemonic::Fxrstor64 | Mnemonic::Xrstor | Mnemonic::Xrstor64
    )
}
