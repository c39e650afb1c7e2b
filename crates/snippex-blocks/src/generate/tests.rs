use snippex_core::block::Terminator;
use snippex_core::decode::{Refusal, block_decoder, refused_bytes, refused_reason};
use std::collections::BTreeSet;

use iced_x86::{OpKind, Register};

use super::*;

fn request() -> GenerationRequest {
    GenerationRequest {
        seed: 1,
        ..GenerationRequest::default()
    }
}

fn instructions(block: &Block) -> Vec<iced_x86::Instruction> {
    block_decoder(block).into_iter().collect()
}

fn is_refused(block: &Block) -> bool {
    refused_bytes(block).is_some()
}

#[test]
fn gathers_use_every_register_as_index() {
    let gathers = GenerationRequest {
        mnemonics: vec!["vpgatherqq".into()],
        isa: vec!["avx2".into()],
        ..request()
    };
    let blocks = generate_blocks(&gathers);
    let indices: BTreeSet<usize> = blocks
        .iter()
        .filter(|block| !is_refused(block))
        .flat_map(instructions)
        .filter(iced_x86::Instruction::is_vsib)
        .map(|instruction| instruction.memory_index().number())
        .collect();
    assert_eq!(indices, (0..16).collect());
}

#[test]
fn refused_encodings_stand_next_to_their_form() {
    let blocks = generate_blocks(&request());
    let refused: Vec<&Block> = blocks.iter().filter(|block| is_refused(block)).collect();
    assert!(refused.len() > 10_000, "{}", refused.len());
    let mut reasons = BTreeSet::new();
    for block in refused {
        assert_eq!((block.instruction_count, block.terminator), (1, Terminator::Trap));
        assert_eq!(refused_bytes(block), Some(&block.bytes[..]));
        assert_eq!(refused_reason(&block.bytes), None, "{:02x?}", block.bytes);
        assert!(form_of(block).unwrap().skip_reason().is_none());
        reasons.insert(Refusal::of_bytes(&block.bytes));
    }
    for (name, refusal) in Refusal::NAMES {
        assert!(reasons.contains(&refusal), "{name}");
    }
    let has = |is_wanted: fn(&[u8]) -> bool| blocks.iter().any(|block| is_wanted(&block.bytes));
    assert!(
        has(|bytes| bytes[0] == 0x8e && bytes[1] & 0x38 == 0x08),
        "MOV to CS"
    );
    assert!(has(|bytes| bytes.starts_with(&[0xf0, 0x89])), "LOCK MOV");
    assert!(
        has(|bytes| match bytes {
            [0xc5, second, 0x6e, ..] | [0xc4, _, second, 0x6e, ..] => second & 4 != 0,
            _ => false,
        }),
        "VMOVD with L"
    );
}

#[test]
fn every_form_that_can_run_has_blocks() {
    let request = request();
    let empty: Vec<&str> = Form::all()
        .filter(|form| form.skip_reason().is_none() && of_form(&request, *form).is_empty())
        .map(Form::name)
        .collect();
    assert_eq!(empty, Vec::<&str>::new());
}

#[test]
fn blocks_hold_what_they_say_and_do_not_overlap() {
    let blocks = generate_blocks(&request());
    assert!(blocks.is_sorted_by(|a, b| a.end_address() <= b.address));
    for block in blocks.iter().filter(|block| !is_refused(block)) {
        let found = instructions(block);
        let form = form_of(block).unwrap();
        assert!(found.iter().any(|instruction| instruction.code() == form.code()));
        assert_eq!(
            found.len(),
            block.instruction_count as usize,
            "{:02x?}",
            block.bytes
        );
        assert!(found.iter().all(|instruction| !instruction.is_invalid()));
        let reason = found.iter().find_map(snippex_core::decode::unrunnable_reason);
        assert_eq!(block.unrunnable, reason, "{:02x?}", block.bytes);
        let vendors = form.code() == iced_x86::Code::Cvtpi2ps_xmm_mmm64;
        assert!(reason.is_none() || vendors, "{:02x?}", block.bytes);
    }
}

#[test]
fn the_same_request_gives_the_same_blocks_whatever_else_is_asked_for() {
    let some = GenerationRequest {
        isa: vec!["bmi2".into()],
        ..request()
    };
    let some = generate_blocks(&some);
    let all: BTreeSet<_> = generate_blocks(&request())
        .into_iter()
        .map(|block| (block.address, block.bytes))
        .collect();
    assert!(some.len() > 100);
    assert!(
        some.iter()
            .all(|block| all.contains(&(block.address, block.bytes.clone())))
    );
    let other = GenerationRequest {
        isa: vec!["bmi2".into()],
        seed: 2,
        ..request()
    };
    assert_ne!(generate_blocks(&other), some);
}

#[test]
fn operands_meet_their_corners() {
    let of = |mnemonic: &str| {
        let request = GenerationRequest {
            mnemonics: vec![mnemonic.into()],
            ..request()
        };
        generate_blocks(&request)
            .iter()
            .flat_map(instructions)
            .collect::<Vec<_>>()
    };
    let add = of("add");
    let memory: Vec<_> = add
        .iter()
        .filter(|found| (0..2).any(|o| found.op_kind(o) == OpKind::Memory))
        .collect();
    assert!(memory.iter().any(|found| found.is_ip_rel_memory_operand()));
    assert!(
        memory.iter().any(|found| found.memory_base().size() == 4),
        "address-size prefix"
    );
    assert!(memory.iter().any(|found| found.memory_base() == Register::RSP));
    assert!(memory.iter().any(|found| found.segment_prefix() == Register::FS));
    assert!([1, 2, 4, 8].iter().all(|&scale| {
        memory
            .iter()
            .any(|found| found.memory_index() != Register::None && found.memory_index_scale() == scale)
    }));
    assert!(add.iter().any(iced_x86::Instruction::has_lock_prefix));
    assert!(add.iter().any(|found| found.op0_register() == Register::AH));
    assert!(add.iter().any(|found| found.op0_register() == Register::SPL));
    let compare: BTreeSet<u8> = of("vcmpps")
        .iter()
        .map(iced_x86::Instruction::immediate8)
        .collect();
    assert_eq!(compare.len(), 256);
    let counts: BTreeSet<u8> = of("shl")
        .iter()
        .filter(|found| found.op1_kind() == OpKind::Immediate8)
        .map(iced_x86::Instruction::immediate8)
        .collect();
    assert!(
        [0, 1, 7, 8, 15, 16, 31, 32, 33, 63, 64]
            .iter()
            .all(|count| counts.contains(count))
    );
    let masked = of("vaddps");
    assert!(
        masked
            .iter()
            .any(|found| found.op_mask() != Register::None && found.zeroing_masking())
    );
    assert!(masked.iter().any(iced_x86::Instruction::is_broadcast));
    let strings = of("movsb");
    assert!(strings.iter().any(iced_x86::Instruction::has_rep_prefix));
}

#[test]
fn sequences_have_the_length_asked_for_and_hold_their_form() {
    let request = GenerationRequest {
        sequences: Sequences::Only(12),
        mnemonics: vec!["adc".into(), "jb".into(), "vpaddd".into()],
        ..request()
    };
    let blocks = generate_blocks(&request);
    assert!(blocks.len() >= 40);
    for block in &blocks {
        assert_eq!(block.instruction_count, 12);
        assert!(request.mnemonics.contains(&form_of(block).unwrap().mnemonic()));
        assert!(instructions(block).iter().any(|found| {
            request
                .mnemonics
                .contains(&format!("{:?}", found.mnemonic()).to_lowercase())
        }));
    }
}

#[test]
fn every_form_stands_in_a_sequence_of_each_length_by_default() {
    let blocks = generate_blocks(&request());
    let short: Vec<&Block> = blocks
        .iter()
        .filter(|block| Stage::of_block(block) == Stage::Short)
        .collect();
    for block in &short {
        let form = form_of(block).unwrap();
        let holds = instructions(block)
            .iter()
            .any(|found| found.code() == form.code());
        assert!(holds, "{} in {:02x?}", form.name(), block.bytes);
    }
    let coverage = SequenceCoverage::of_blocks(blocks.iter());
    assert_eq!(coverage.sequences, short.len() as u64);
    assert!(
        coverage.lengths.keys().copied().eq(2..=8),
        "{:?}",
        coverage.lengths
    );
    assert!(coverage.live_flags * 4 > coverage.sequences, "{coverage:?}");
    assert!(coverage.live_registers * 2 > coverage.sequences, "{coverage:?}");
    let without = GenerationRequest {
        sequences: Sequences::None,
        ..request()
    };
    let mut without = generate_blocks(&without).into_iter();
    assert!(without.all(|block| Stage::of_block(&block) < Stage::Short));
}

#[test]
fn corners_are_reached_and_counted() {
    let request = GenerationRequest {
        isa: vec!["general".into(), "x87".into(), "avx2".into(), "bmi2".into()],
        sequences: Sequences::None,
        ..request()
    };
    let blocks = generate_blocks(&request);
    let mut coverage = Coverage::default();
    let starts = StartRequest { seed: 1, states: 64 };
    coverage.add_blocks(blocks.iter(), starts);
    let percent = |name: &str| {
        let corner = coverage.corners[name];
        corner.reached * 100 / corner.of
    };
    for (name, least) in [
        ("address-size prefix before branches, calls, strings", 100),
        ("flags are all clear where they are read", 100),
        ("flags are all set where they are read", 100),
        ("x87 operand pairs, each precision and rounding", 99),
        ("atomic operand across 16 bytes", 90),
        ("atomic operand across 64 bytes", 90),
        ("atomic operand across 4096 bytes", 90),
        ("operand ends at the end of a page", 80),
        ("operand begins at the start of a page", 80),
        ("code across a line", 90),
        ("code across a page", 90),
        ("registers in each operand", 80),
        ("vectors as an index", 100),
    ] {
        assert!(percent(name) >= least, "{name}: {:?}", coverage.corners[name]);
    }
}

#[test]
fn requests_that_cannot_be_met_say_why() {
    let check = |request: GenerationRequest| request.check_validity().unwrap_err().to_string();
    assert_eq!(
        check(GenerationRequest {
            isa: vec!["bmi3".into()],
            ..request()
        }),
        "there is no instruction set extension called bmi3; there is bmi1, bmi2"
    );
    let mnemonic = GenerationRequest {
        mnemonics: vec!["bzhx".into()],
        ..request()
    };
    assert!(check(mnemonic).contains("there is bzhi"));
    let nothing = GenerationRequest {
        isa: vec!["x87".into()],
        mnemonics: vec!["bzhi".into()],
        ..request()
    };
    assert_eq!(nothing.check_validity(), Err(RequestError::Nothing));
    assert!(
        check(GenerationRequest {
            sequences: Sequences::Only(65),
            ..request()
        })
        .contains("not between 1 and 64")
    );
    assert!(
        check(GenerationRequest {
            per_form: Some(0),
            ..request()
        })
        .contains("not between 1 and 1024")
    );
    assert_eq!(request().check_validity(), Ok(()));
}

#[test]
fn most_user_mode_forms_are_generated() {
    let mut coverage = Coverage::default();
    for form in Form::all() {
        let fate = form.skip_reason().map_or(FormFate::Run, FormFate::Skipped);
        coverage.add_form(form, fate, 1);
    }
    let total = coverage.total();
    assert!(total.forms > 4000);
    // Those that are left out are few, and most of them belong to extensions that few processors have.
    assert!(
        total.run * 100 >= total.executable_forms() * 98,
        "{} of {}",
        total.run,
        total.executable_forms()
    );
}
