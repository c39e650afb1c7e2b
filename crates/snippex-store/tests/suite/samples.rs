//! Values for the tests, and the steps that most of them begin with.

use std::collections::BTreeMap;
use std::sync::Arc;

use snippex_core::block::{Block, Origin, Terminator};
use snippex_core::case::{Case, PAGE_SIZE, Page, PageAccess, Placement};
use snippex_core::observation::{ChangedLine, Endpoint, LINE_SIZE, Observation, Signal};
use snippex_core::state::{Components, MachineState};
use snippex_store::*;

pub(crate) fn open(location: &Location) -> StoreHandle {
    StoreHandle::open(location).unwrap()
}

pub(crate) fn block(address: u64) -> Block {
    Block {
        address,
        bytes: vec![0x48, 0x01, 0xd8, 0xc3],
        instruction_count: 2,
        terminator: Terminator::Ret,
        successors: vec![],
        origin: Origin::Symbol,
        unrunnable: None,
    }
}

pub(crate) fn binary(name: &str) -> NewBinary {
    NewBinary {
        sha256: format!("{name:0>64}"),
        name: name.to_owned(),
        path: format!("/bin/{name}"),
        size: u64::MAX,
        format: "elf".to_owned(),
    }
}

pub(crate) fn engine(name: &str) -> StoredEngine {
    let guest = Guest {
        vendor: "GenuineIntel".to_owned(),
        brand: "A CPU with \u{ae}".to_owned(),
        hypervisor: String::new(),
        xcr0: u64::MAX,
        features: vec!["sse2".to_owned(), "avx512f".to_owned()],
    };
    let configuration = r#"{"arguments": ["-cpu", "max"]}"#.to_owned();
    StoredEngine {
        name: name.to_owned(),
        version: "7.2".to_owned(),
        configuration,
        components: Components::ALL,
        guest,
        host_cpu: r#"{"stepping":"1"}"#.to_owned(),
    }
}

pub(crate) fn host() -> Host {
    Host {
        name: "here".to_owned(),
        architecture: "x86_64".to_owned(),
        cpu_model: "model".to_owned(),
        cpu_count: 2,
        kernel: "Linux 6.1".to_owned(),
        page_size: 4096,
    }
}

pub(crate) fn add_blocks(store: &StoreHandle, name: &str, count: u64) -> Vec<BlockNumber> {
    let (binary, blocks) = (
        binary(name),
        (0..count)
            .map(|index| block(0x1000 + 16 * index))
            .collect::<Vec<_>>(),
    );
    let added = store.call_and_wait(async move |store| store.add_binary_with_blocks(&binary, &blocks).await);
    added.unwrap().numbers
}

/// A run of native against qemu-x86_64, with the two engines.
pub(crate) fn start_run(store: &StoreHandle) -> (RunId, EngineId, EngineId) {
    let (native, qemu, host) = store
        .call_and_wait(async |store| {
            let native = store.add_engine(&engine("native")).await?;
            let qemu = store.add_engine(&engine("qemu-x86_64")).await?;
            Ok((native, qemu, store.add_host(&host()).await?))
        })
        .unwrap();
    let run = NewRun {
        command: "check".to_owned(),
        arguments: "/bin/bash".to_owned(),
        tool_version: "0.1.0".to_owned(),
        seed: u64::MAX,
        states_per_block: 64,
        partition: Some(Partition { index: 2, count: 3 }),
        host,
        engines: vec![native, qemu],
        started: UnixMillis(1_000),
    };
    (store.start_run(run).unwrap(), native, qemu)
}

pub(crate) fn counts(runs: u64, matched: u64, diverged: u64, reasons: &[(&str, u64)]) -> ResultCounts {
    let inconclusive: BTreeMap<_, _> = reasons
        .iter()
        .map(|(name, count)| ((*name).to_owned(), *count))
        .collect();
    ResultCounts {
        runs,
        completed: runs,
        faulted: 0,
        matched,
        diverged,
        unsupported: 0,
        inconclusive,
    }
}

pub(crate) fn case(seed: u64) -> Case {
    let mut state = MachineState::default();
    state.gpr[0] = seed;
    let content = Arc::new([seed as u8; PAGE_SIZE]);
    Case {
        block: Arc::new(block(0x1000)),
        placement: Placement {
            image_base: 0x1_0000,
            code_base: 0x2_0000,
        },
        state,
        pages: Arc::new([Page {
            address: 0x7000,
            access: PageAccess::ReadWrite,
            content,
        }]),
    }
}

pub(crate) fn observation(seed: u64) -> Observation {
    let mut state = MachineState::default();
    state.gpr[1] = seed;
    state.vectors[31] = [seed as u8; 64];
    Observation {
        endpoint: Endpoint::Signal(Signal {
            number: 11,
            code: 1,
            rip: seed,
            address: u64::MAX,
            write: true,
        }),
        state,
        memory: vec![ChangedLine {
            address: 0x7000,
            bytes: [9; LINE_SIZE],
        }],
    }
}

pub(crate) fn divergence(
    block: BlockNumber,
    state_index: u32,
    engines: (EngineId, EngineId),
) -> NewDivergence {
    NewDivergence {
        block,
        engine: engines.1,
        reference: engines.0,
        state_index,
        case: EncodedCase::from(&case(state_index.into())),
        expected: EncodedObservation::from(&observation(1)),
        actual: EncodedObservation::from(&observation(2)),
        differences: r#"[{"field": "rcx"}]"#.to_owned(),
        class: "register".to_owned(),
        culprit: Some("add r64, r64".to_owned()),
        confirmations: 3,
    }
}
