//! Lowering for the runner: exits lead into stubs that note which one was taken and go to the capture routine.

use snippex_core::address_space::{CODE_DISTANCE, PAD_COUNT, PAD_SIZE, PADS};
use snippex_core::block::Block;
use snippex_core::case::Placement;
pub use snippex_core::lower::LowerError;
use snippex_core::lower::Stub;
pub(crate) use snippex_core::lower::{EXIT_NEXT, EXIT_TAKEN};
use snippex_runner::layout::{HEADER_BASE, Header, STUB_SIZE};

/// Numbers of the landing pads start here.
pub(crate) const EXIT_PADS: u32 = 0x100;

/// A block ready to execute.
#[derive(Clone, Debug)]
pub struct Lowered {
    /// Run-time address of the first byte.
    pub address: u64,
    /// Code and exit stubs.
    pub bytes: Vec<u8>,
    /// Run-time targets of the direct exits: next, taken.
    pub targets: [u64; 2],
    /// Offset in `bytes` at which the exit stubs start.
    pub stubs: usize,
    /// Whether it may load segment registers, or write their bases.
    pub loads_segments: bool,
}

impl Lowered {
    /// Run-time address that control has when it leaves by exit `number`.
    #[must_use]
    pub fn exit_target(&self, number: u32) -> Option<u64> {
        match number {
            EXIT_NEXT | EXIT_TAKEN => Some(self.targets[number as usize]),
            _ => {
                let pad = u64::from(number.checked_sub(EXIT_PADS)?);
                (pad < PAD_COUNT).then(|| PADS + pad * PAD_SIZE)
            }
        }
    }

    /// End of the bytes, exclusive.
    #[must_use]
    pub fn end_address(&self) -> u64 {
        self.address.wrapping_add(self.bytes.len() as u64)
    }
}

/// Appends a stub that notes `exit` and goes to the capture routine, touching no register, flag or stack.
pub(crate) fn push_stub(bytes: &mut Vec<u8>, exit: u32) {
    let slot =
        |offset: usize| u32::try_from(HEADER_BASE + offset as u64).expect("the header lies below 2 GiB");
    let start = bytes.len();
    // mov dword ptr [exit], imm32
    bytes.extend([0xc7, 0x04, 0x25]);
    bytes.extend(slot(std::mem::offset_of!(Header, exit)).to_le_bytes());
    bytes.extend(exit.to_le_bytes());
    // jmp qword ptr [capture]
    bytes.extend([0xff, 0x24, 0x25]);
    bytes.extend(slot(std::mem::offset_of!(Header, capture)).to_le_bytes());
    debug_assert_eq!(bytes.len() - start, STUB_SIZE);
}

/// Lowers `block` for `placement`.
///
/// # Errors
/// When the block cannot be executed, and why.
pub fn lower_block(block: &Block, placement: Placement) -> Result<Lowered, LowerError> {
    const STUB: Stub = Stub {
        size: STUB_SIZE as u8,
        push: push_stub,
    };
    let code = snippex_core::lower::lower_block(block, placement, STUB)?;
    Ok(Lowered {
        address: code.address,
        bytes: code.bytes,
        targets: code.targets,
        stubs: code.stubs,
        loads_segments: code.loads_segments,
    })
}

/// The landing pads: one stub each.
pub(crate) fn build_landing_pads() -> Vec<u8> {
    let mut bytes = Vec::new();
    for pad in 0..PAD_COUNT {
        bytes.resize((pad * PAD_SIZE) as usize, 0xcc);
        push_stub(&mut bytes, EXIT_PADS + pad as u32);
    }
    bytes.resize((PAD_COUNT * PAD_SIZE) as usize, 0xcc);
    bytes
}

const _: () = assert!(
    CODE_DISTANCE < 1 << 31,
    "operands relative to RIP must reach back to the image"
);

#[cfg(test)]
mod tests {
    use iced_x86::code_asm::*;
    use snippex_core::block::{Origin, Terminator};
    use snippex_core::decode::intel_decoder;

    use super::*;

    fn block(terminator: Terminator, build: impl FnOnce(&mut CodeAssembler)) -> Block {
        let mut assembler = CodeAssembler::new(64).unwrap();
        build(&mut assembler);
        Block {
            address: 0x1000,
            bytes: assembler.assemble(0x1000).unwrap(),
            instruction_count: 0,
            terminator,
            successors: vec![],
            origin: Origin::Symbol,
            unrunnable: None,
        }
    }

    fn placement() -> Placement {
        Placement {
            image_base: 0x2_0000_0000,
            code_base: 0x2_1d60_0000,
        }
    }

    #[test]
    fn every_condition_keeps_its_meaning() {
        for opcode in 0x70..=0x7f_u8 {
            let block = Block {
                bytes: vec![opcode, 0x10],
                ..block(Terminator::Jcc, |_| ())
            };
            let lowered = lower_block(&block, placement()).unwrap();
            assert_eq!(lowered.bytes[..2], [0x0f, opcode + 0x10]);
            assert_eq!(lowered.targets, [0x2_1d60_1002, 0x2_1d60_1012]);
        }
    }

    #[test]
    fn operands_relative_to_rip_still_reach_the_image() {
        // mov rax, [rip + 0x2000]
        let block = Block {
            bytes: vec![0x48, 0x8b, 0x05, 0x00, 0x20, 0, 0],
            ..block(Terminator::FallThrough, |_| ())
        };
        let lowered = lower_block(&block, placement()).unwrap();
        let instruction = intel_decoder(&lowered.bytes, lowered.address).decode();
        assert_eq!(instruction.ip_rel_memory_address(), 0x2_0000_1007 + 0x2000);
    }

    #[test]
    fn a_call_keeps_its_length() {
        let block = block(Terminator::Call, |a| a.call(0x5000_u64).unwrap());
        let lowered = lower_block(&block, placement()).unwrap();
        assert_eq!(lowered.stubs, 5);
        assert_eq!(lowered.targets[0], 0x2_1d60_5000);
        assert_eq!(lowered.bytes[..5], [0xe8, 0, 0, 0, 0]);
    }

    #[test]
    fn what_is_not_a_block_is_refused() {
        let two = block(Terminator::FallThrough, |a| {
            a.ret().unwrap();
            a.nop().unwrap();
        });
        assert_eq!(lower_block(&two, placement()).unwrap_err(), LowerError::Malformed);
        let empty = Block {
            bytes: vec![],
            ..two.clone()
        };
        assert_eq!(
            lower_block(&empty, placement()).unwrap_err(),
            LowerError::Malformed
        );
        let garbage = Block {
            bytes: vec![0x06],
            ..two
        };
        assert_eq!(
            lower_block(&garbage, placement()).unwrap_err(),
            LowerError::Malformed
        );
    }
}
