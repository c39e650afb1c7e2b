//! What holds for any code.

use iced_x86::code_asm::*;
use proptest::prelude::*;

use super::*;
use crate::observation::Signal;

/// A few instructions to chain at random; none leaves the block or touches memory out of the pages.
fn arbitrary_code() -> impl Strategy<Value = Vec<u8>> {
    let pieces: Vec<Vec<u8>> = [
        block(|a| a.and(rax, rbx)),
        block(|a| a.mul(rbx)),
        block(|a| a.setz(dl)),
        block(|a| a.adc(rdx, rax)),
        block(CodeAssembler::lahf),
        block(CodeAssembler::pushfq),
        block(|a| a.pop(rbx)),
        block(|a| a.shl(rax, cl)),
        block(|a| a.cmovz(rcx, rdx)),
        block(|a| a.xor(eax, ebx)),
        block(|a| a.sar(rax, 5)),
        block(|a| a.bsf(eax, ecx)),
        block(|a| a.movzx(ecx, dl)),
        block(|a| a.test(ebx, 0x40)),
        block(CodeAssembler::popfq),
        block(|a| a.vaddps(ymm1, ymm2, ymm3)),
        block(|a| a.fxch(st0, st1)),
        block(|a| a.fldenv(ptr(rdi))),
        block(|a| a.lea(rbx, ptr(rax + rdx * 4))),
        block(|a| a.mov(qword_ptr(rsi), rdx)),
        block(|a| a.mov(rax, qword_ptr(rsi))),
        block(|a| a.rcpps(xmm1, xmm2)),
        block(|a| a.mulps(xmm2, xmm1)),
        block(CodeAssembler::fsin),
        block(CodeAssembler::fld1),
        block(|a| a.fnstsw(ax)),
        block(|a| a.movups(xmmword_ptr(rdi), xmm2)),
        block(|a| a.stmxcsr(dword_ptr(rdi))),
        block(|a| a.fnstenv(ptr(rdi))),
        block(|a| a.add(rax, rdx)),
    ]
    .into_iter()
    .map(|block| block.bytes)
    .collect();
    proptest::collection::vec(proptest::sample::select(pieces), 0..12).prop_map(|pieces| pieces.concat())
}

proptest! {
    /// A register that is overwritten by a constant is defined, whatever came before.
    #[test]
    fn overwriting_closes(bytes in arbitrary_code()) {
        let mut bytes = bytes;
        bytes.extend(block(|a| {
            a.mov(eax, 5)?;
            a.xorps(xmm1, xmm1)?;
            a.fninit()?;
            a.add(eax, eax)
        }).bytes);
        let case = case(Block { bytes, ..block(CodeAssembler::nop) }, 3);
        let mask = BlockEffects::new(&case.block).mask_at_endpoint(&case, &Endpoint::Exit { target: 0 }, &case.state);
        prop_assert_eq!(mask.gpr[0], Bits::NONE);
        prop_assert_eq!(mask.vectors[1], Bits::NONE);
        prop_assert_eq!(mask.flag_bits(), 0);
        prop_assert_eq!(mask.status_bits(), 0);
    }

    /// Every open bit has a rule and every rule an open bit.
    #[test]
    fn masks_and_rules_go_together(bytes in arbitrary_code()) {
        let case = case(Block { bytes, ..block(CodeAssembler::nop) }, 3);
        let mask = BlockEffects::new(&case.block).mask_at_endpoint(&case, &Endpoint::Exit { target: 0 }, &case.state);
        for bits in mask.gpr.iter().chain(&mask.vectors).chain(&mask.opmask).chain([&mask.mxcsr, &mask.control]) {
            prop_assert_eq!(bits.mask == 0, bits.rules.is_empty());
        }
        for byte in &mask.memory {
            prop_assert!(byte.mask != 0 && !byte.rules.is_empty());
        }
    }

    /// Any bytes at all are analysed without a panic.
    #[test]
    fn any_bytes_are_analysed(bytes in proptest::collection::vec(any::<u8>(), 0..60), count: u64, rip in 0u64..80) {
        let case = case(Block { bytes, ..block(CodeAssembler::nop) }, count);
        let effects = BlockEffects::new(&case.block);
        let signal = Signal { number: 11, code: 1, rip: case.code_address() + rip, address: count, write: false };
        for endpoint in [Endpoint::Exit { target: 0 }, Endpoint::Signal(signal)] {
            let mask = effects.mask_at_endpoint(&case, &endpoint, &case.state);
            prop_assert!(mask.memory.is_sorted_by_key(|byte| byte.address));
        }
    }

    /// The more is open at the start, the more is open at the end.
    #[test]
    fn the_flow_is_monotone(bytes in arbitrary_code(), flags: u64, registers: [u16; 4], st in 0usize..8) {
        let case = case(Block { bytes, ..block(CodeAssembler::nop) }, 3);
        let instructions = decoded::decode_block(&case.block);
        let run = |open: RuleSet| {
            let mut flow = Flow::new(&case, true, false);
            flow.mask.set_flags(flags & crate::state::rflags::STATUS, open);
            for (index, bits) in registers.into_iter().enumerate() {
                // RSP, RSI and RDI stay closed: an open address makes everything else moot.
                flow.mask.gpr[index] = Bits::new(u64::from(bits), open);
                flow.mask.vectors[index] = Bits::new(u64::from(bits), open);
            }
            flow.mask.st[st] = flow::open_precision(open);
            flow.dirty = !open.is_empty();
            instructions.iter().for_each(|decoded| flow.apply_instruction(decoded));
            flow.mask
        };
        let (less, more) = (run(RuleSet::EMPTY), run(RuleSet::from_rule(Rule::HostIdentity)));
        for (less, more) in less.gpr.iter().zip(&more.gpr).chain(less.opmask.iter().zip(&more.opmask)) {
            prop_assert_eq!(less.mask & !more.mask, 0);
        }
        for register in 0..32 {
            let (less, more) = (less.open_vector_bytes(register, u64::MAX), more.open_vector_bytes(register, u64::MAX));
            prop_assert_eq!(less.mask & !more.mask, 0);
        }
        prop_assert_eq!(less.flag_bits() & !more.flag_bits(), 0);
        prop_assert_eq!(less.status_bits() & !more.status_bits(), 0);
        prop_assert_eq!(less.mxcsr.mask & !more.mxcsr.mask, 0);
        prop_assert!(less.anywhere.is_empty() || !more.anywhere.is_empty());
        for byte in &less.memory {
            prop_assert_eq!(byte.mask & !more.memory_at(byte.address).0, 0);
        }
        for (less, more) in less.st.iter().zip(&more.st) {
            prop_assert!(*less == Precision::Exact || *more != Precision::Exact);
        }
    }
}
