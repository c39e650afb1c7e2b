//! From an instruction to bytes, with the encoding's own freedom: ignored W and L bits, long VEX.

use iced_x86::{Encoder, Instruction};

use super::form::Form;
use snippex_core::random::Random;

/// The bytes of `instruction`, which decode to `form` again; `None` when there are none. `vary` uses bits that the
/// encoding ignores.
pub(super) fn encode_instruction(
    form: Form,
    instruction: &Instruction,
    vary: bool,
    random: &mut Random,
) -> Option<Vec<u8>> {
    let mut encoder = Encoder::new(64);
    if vary {
        encoder.set_vex_wig(random.next_below(2) as u32);
        encoder.set_vex_lig(random.next_below(2) as u32);
        encoder.set_evex_wig(random.next_below(2) as u32);
        encoder.set_evex_lig(random.next_below(4) as u32);
        encoder.set_prevent_vex2(random.next_below(2) == 0);
    }
    encoder.encode(instruction, instruction.ip()).ok()?;
    let bytes = encoder.take_buffer();
    form.is_of(&bytes, instruction.ip()).then_some(bytes)
}
