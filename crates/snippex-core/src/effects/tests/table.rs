//! Our table against iced-x86's own, and every rule once.

use iced_x86::code_asm::CodeAssembler;
use iced_x86::{Code, Instruction, OpKind, Register};

use super::*;
use crate::observation::Signal;

#[test]
fn our_table_covers_every_flag_that_iced_calls_undefined() {
    for code in Code::values().filter(|code| *code != Code::INVALID) {
        let mut instruction = Instruction::default();
        instruction.set_code(code);
        for operand in 0..instruction.op_count().min(4) {
            instruction.set_op_kind(operand, OpKind::Register);
            instruction.set_op_register(operand, Register::BL);
        }
        instruction.set_immediate8(3);
        if is_outside_user_mode(&instruction) {
            continue;
        }
        let undefined = decoded::to_rflags(instruction.rflags_undefined());
        let ours = undefined::flag_effect(&instruction, None)
            .open
            .into_iter()
            .flatten()
            .fold(0, |all, (flags, _)| all | flags);
        assert_eq!(undefined & !ours, 0, "{code:?}");
    }
}

/// Decimal adjustment does not exist in 64-bit mode; moves to control and debug registers are privileged.
fn is_outside_user_mode(instruction: &Instruction) -> bool {
    use iced_x86::Mnemonic as M;
    matches!(
        instruction.mnemonic(),
        M::Aaa | M::Aad | M::Aam | M::Aas | M::Daa | M::Das | M::Mov
    )
}

/// Rules that belong to signals; the comparison itself notes them.
const OF_SIGNALS: [Rule; 3] = [Rule::FaultAddress, Rule::SignalInfo, Rule::SignalFlags];

#[test]
fn every_rule_is_reached() {
    let codes: &[&[u8]] = &[
        &[0x48, 0x21, 0xd8],                   // and
        &[0xc4, 0xe2, 0xe0, 0xf2, 0xc1],       // andn
        &[0xf3, 0x0f, 0xbc, 0xc3],             // tzcnt
        &[0x0f, 0xbc, 0xc3],                   // bsf
        &[0x0f, 0xa3, 0xd8],                   // bt
        &[0xf7, 0xe3],                         // mul
        &[0xf7, 0xf3],                         // div
        &[0xc0, 0xe0, 0x09],                   // shl al, 9
        &[0xc0, 0xc0, 0x03],                   // rol al, 3
        &[0x66, 0x0f, 0xa4, 0xd8, 0x11],       // shld ax, bx, 17
        &[0x66, 0x0f, 0xc8],                   // bswap ax
        &[0xd8, 0xc1],                         // fadd
        &[0xd9, 0xf0],                         // f2xm1
        &[0xd9, 0xe8, 0xd9, 0xf0],             // fld1; f2xm1
        &[0xc5, 0xff, 0x58, 0xc1],             // vaddsd with VEX.L = 1
        &[0xd9, 0xfe],                         // fsin
        &[0xd9, 0xea, 0xd8, 0xc1, 0xd9, 0xfe], // fldl2e; fadd; fsin
        &[0xd9, 0xf8],                         // fprem
        &[0xdf, 0x20],                         // fbld [rax]
        &[0xd9, 0x36],                         // fnstenv [rsi]
        &[0x0f, 0xae, 0x06],                   // fxsave [rsi]
        &[0x0f, 0xae, 0x26],                   // xsave [rsi]
        &[0xd9, 0x2e],                         // fldcw [rsi]
        &[0x66, 0x0f, 0x78, 0xc1, 0x08, 0x08], // extrq
        &[0x0f, 0x53, 0xc1],                   // rcpps
        &[0x62, 0xf2, 0x7d, 0x48, 0x4c, 0xc1], // vrcp14ps
        &[0x62, 0xf2, 0x7d, 0x48, 0xca, 0xc1], // vrcp28ps
        &[0x62, 0xf6, 0x7d, 0x48, 0x4c, 0xc1], // vrcpph
        &[0x0f, 0x0f, 0xc1, 0x96],             // pfrcp
        &[0x66, 0x0f, 0x3a, 0x40, 0xc1, 0xff], // dpps
        &[0x8c, 0xd8],                         // mov eax, ds
        &[0x8e, 0xe0],                         // mov fs, eax
        &[0xf3, 0x48, 0x0f, 0x1e, 0xc8],       // rdsspq rax
        &[0x0f, 0xa2],                         // cpuid
        &[0x66, 0x0f, 0xf7, 0xc1],             // maskmovdqu
        &[0x66, 0xc2, 0x08, 0x00],             // retw 8
    ];
    let mut reached = RuleSet::EMPTY;
    for code in codes {
        let mut case = case(
            Block {
                bytes: code.to_vec(),
                ..block(CodeAssembler::nop)
            },
            0,
        );
        case.state.x87.status = 1 << 10;
        let effects = BlockEffects::new(&case.block);
        let before = reached;
        reached |= all_rules(&effects.mask_at_endpoint(&case, &Endpoint::Exit { target: 0 }, &case.state));
        assert_ne!(reached, before, "{code:x?} reaches nothing new");
    }
    for (code, write) in [
        (&[0x0f, 0x11, 0x06][..], true),
        (&[0xc4, 0xe2, 0x61, 0x90, 0x0c, 0x96], false),
    ] {
        let case = case(
            Block {
                bytes: code.to_vec(),
                ..block(CodeAssembler::nop)
            },
            0,
        );
        let signal = Signal {
            number: 11,
            code: 1,
            rip: case.code_address(),
            address: 8,
            write,
        };
        let effects = BlockEffects::new(&case.block);
        reached |= all_rules(&effects.mask_at_endpoint(&case, &Endpoint::Signal(signal), &case.state));
    }
    for rule in Rule::ALL.iter().filter(|rule| !OF_SIGNALS.contains(rule)) {
        assert!(reached.contains(*rule), "{rule:?}");
    }
}

fn all_rules(mask: &Mask) -> RuleSet {
    let bits = mask.gpr.iter().chain(&mask.vectors).chain(&mask.opmask).chain([
        &mask.control,
        &mask.mxcsr,
        &mask.tags,
    ]);
    let rules = bits
        .map(|bits| bits.rules)
        .chain(mask.flags)
        .chain(mask.status)
        .chain(mask.bases);
    let rules = rules
        .chain(mask.st.iter().map(|st| st.rules()))
        .chain(mask.memory.iter().map(|byte| byte.rules));
    let rules = rules
        .chain(mask.faults.iter().map(|fault| fault.rules))
        .chain([mask.anywhere, mask.target]);
    let approximate = mask
        .approximations
        .iter()
        .map(|lanes| RuleSet::from_rule(lanes.rule));
    rules.chain(approximate).fold(RuleSet::EMPTY, RuleSet::union)
}
