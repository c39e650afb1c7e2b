//! Filters, strategies and their report over a small program whose blocks are known.

use iced_x86::code_asm::*;
use snippex_blocks::binary::Image;
use snippex_blocks::extract::{BlockIndex, extract_blocks};
use snippex_blocks::select::{
    Category, ExclusionReason, Filter, FilterError, FilterOptions, SelectionRequest, Strategy, address_range,
    instruction_types, matching, select_blocks,
};
use snippex_core::decode::Kinds;

/// Forty plain blocks, each ended by a branch to the next, and four that are special in one way each.
fn program() -> Vec<u8> {
    let code = crate::support::assemble(|a| {
        for number in 0..40 {
            let mut next = a.create_label();
            a.add(rax, number)?;
            a.test(rax, rax)?;
            a.je(next)?;
            a.set_label(&mut next)?;
        }
        for special in 0..4 {
            let mut next = a.create_label();
            match special {
                0 => a.bsf(rcx, rdx)?,
                1 => a.vaddps(ymm0, ymm1, ymm2)?,
                2 => a.mov(eax, dword_ptr(rbx + rcx * 4 + 16))?,
                _ => a.fadd_2(st0, st1)?,
            }
            a.test(rax, rax)?;
            a.jne(next)?;
            a.set_label(&mut next)?;
        }
        a.syscall()?;
        a.ret()
    });
    crate::support::Elf::new(code).build()
}

fn with_index<R>(test: impl FnOnce(&BlockIndex<'_, '_>) -> R) -> R {
    let file = program();
    let image = Image::parse(&file).expect("the file is well formed");
    test(&extract_blocks(&image))
}

fn count(index: &BlockIndex<'_, '_>, options: FilterOptions) -> usize {
    matching(index, &options.into_filter().expect("the options agree")).len()
}

#[test]
fn filters_count_what_they_say() {
    with_index(|index| {
        assert_eq!(index.len(), 46);
        let all = FilterOptions::default();
        assert_eq!(count(index, all.clone()), 46);
        assert_eq!(
            count(
                index,
                FilterOptions {
                    has_memory_access: true,
                    ..all.clone()
                }
            ),
            1
        );
        assert_eq!(
            count(
                index,
                FilterOptions {
                    no_memory_access: true,
                    ..all.clone()
                }
            ),
            45
        );
        assert_eq!(
            count(
                index,
                FilterOptions {
                    min_size: Some(2),
                    ..all.clone()
                }
            ),
            44
        );
        assert_eq!(
            count(
                index,
                FilterOptions {
                    max_size: Some(1),
                    ..all.clone()
                }
            ),
            2
        );
        assert_eq!(
            count(
                index,
                FilterOptions {
                    has_control_flow: true,
                    ..all.clone()
                }
            ),
            46
        );
        assert_eq!(
            count(
                index,
                FilterOptions {
                    skip_unrunnable: true,
                    ..all.clone()
                }
            ),
            45
        );
        for (kind, blocks) in [
            (Kinds::AVX, 1),
            (Kinds::FPU, 1),
            (Kinds::SYSCALL, 1),
            (Kinds::BRANCH, 45),
        ] {
            assert_eq!(
                count(
                    index,
                    FilterOptions {
                        instruction_types: kind,
                        ..all.clone()
                    }
                ),
                blocks,
                "{kind:?}"
            );
        }
        let first = FilterOptions {
            address_range: Some(crate::support::CODE..crate::support::CODE + 1),
            ..all
        };
        assert_eq!(count(index, first), 1);
    });
}

#[test]
fn a_filter_treats_blocks_and_the_index_alike() {
    with_index(|index| {
        let options = FilterOptions {
            has_memory_access: true,
            skip_unrunnable: true,
            ..FilterOptions::default()
        };
        let filter = options.into_filter().unwrap();
        for number in 0..index.len() {
            assert_eq!(
                filter.matches_block(&index.get(number).unwrap()),
                filter.matches_at(index, number)
            );
        }
    });
}

#[test]
fn contradictions_are_refused_by_name() {
    let options = FilterOptions {
        min_size: Some(5),
        max_size: Some(4),
        ..FilterOptions::default()
    };
    assert_eq!(options.into_filter(), Err(FilterError::Sizes { min: 5, max: 4 }));
    let memory = FilterOptions {
        has_memory_access: true,
        no_memory_access: true,
        ..FilterOptions::default()
    };
    assert!(
        memory
            .into_filter()
            .unwrap_err()
            .to_string()
            .contains("--no-memory-access")
    );
    let flow = FilterOptions {
        has_control_flow: true,
        no_control_flow: true,
        ..FilterOptions::default()
    };
    assert!(
        flow.into_filter()
            .unwrap_err()
            .to_string()
            .contains("--no-control-flow")
    );
    let branch = FilterOptions {
        no_control_flow: true,
        instruction_types: Kinds::BRANCH,
        ..FilterOptions::default()
    };
    assert!(branch.into_filter().is_err());
}

#[test]
fn values_are_read_or_refused() {
    assert_eq!(address_range("0x1000-0x2000"), Ok(0x1000..0x2000));
    assert_eq!(address_range("16-32"), Ok(16..32));
    for wrong in ["", "5", "9-9", "0x20-0x10", "a-b", "1-2-3", "-5"] {
        assert!(address_range(wrong).is_err(), "{wrong}");
    }
    assert_eq!(instruction_types("sse,avx"), Ok(Kinds::SSE.union(Kinds::AVX)));
    assert_eq!(
        instruction_types("mmx"),
        Err(FilterError::Kind {
            name: "mmx".to_owned()
        })
    );
}

#[test]
fn the_seed_decides_and_nothing_else() {
    with_index(|index| {
        for strategy in [Strategy::Random, Strategy::Diverse, Strategy::Complex] {
            for smart in [false, true] {
                let request = |seed| SelectionRequest {
                    strategy,
                    smart,
                    count: Some(10),
                    seed,
                };
                let first = select_blocks(index, &Filter::default(), &request(1));
                assert_eq!(first, select_blocks(index, &Filter::default(), &request(1)));
                assert_eq!(first.numbers.len(), 10);
                assert!(first.numbers.is_sorted_by(|a, b| a < b), "{:?}", first.numbers);
                let second = select_blocks(index, &Filter::default(), &request(2));
                assert_ne!(first.report.chosen, second.report.chosen, "{strategy:?} {smart}");
            }
        }
    });
}

#[test]
fn smart_selection_prefers_what_is_special_and_says_why() {
    with_index(|index| {
        let request = SelectionRequest {
            smart: true,
            count: Some(5),
            seed: 9,
            ..SelectionRequest::default()
        };
        let selection = select_blocks(index, &Filter::default(), &request);
        let special: Vec<usize> = (40..44).collect();
        let taken = special
            .iter()
            .filter(|number| selection.numbers.contains(number))
            .count();
        assert!(taken >= 3, "{:#?}", selection.report.chosen);
        let reasons: Vec<&ExclusionReason> = selection
            .report
            .chosen
            .iter()
            .flat_map(|chosen| &chosen.reasons)
            .collect();
        assert!(reasons.contains(&&ExclusionReason::KnownProblem(Category::X87)));
        assert!(reasons.contains(&&ExclusionReason::ScaledOperand));
        let report = &selection.report;
        assert_eq!((report.blocks, report.matching), (46, 46));
        assert_eq!(report.categories[&Category::X87], (1, 1));
        assert_eq!(
            report
                .complexity
                .iter()
                .map(|bucket| bucket.matching)
                .sum::<usize>(),
            46
        );
        assert_eq!(
            report
                .complexity
                .iter()
                .map(|bucket| bucket.chosen)
                .sum::<usize>(),
            5
        );
    });
}

#[test]
fn diverse_takes_one_of_each_shape_first() {
    with_index(|index| {
        let request = SelectionRequest {
            strategy: Strategy::Diverse,
            count: Some(7),
            ..SelectionRequest::default()
        };
        let selection = select_blocks(index, &Filter::default(), &request);
        // Plain, x87, AVX, memory, system call, return: six shapes (BSF has the shape of the plain ones).
        assert_eq!(
            selection.numbers.iter().filter(|&&number| number >= 41).count(),
            5
        );
    });
}

#[test]
fn nothing_matches_is_no_error() {
    with_index(|index| {
        let options = FilterOptions {
            instruction_types: Kinds::AVX512,
            ..FilterOptions::default()
        };
        let selection = select_blocks(
            index,
            &options.into_filter().unwrap(),
            &SelectionRequest {
                count: Some(3),
                ..SelectionRequest::default()
            },
        );
        assert!(selection.numbers.is_empty());
        assert_eq!(selection.report.matching, 0);
    });
}
