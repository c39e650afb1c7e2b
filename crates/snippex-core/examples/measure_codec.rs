//! Measures the codec against JSON, in time and size: `cargo run --release --workspace --example measure_codec`.
//!
//! Two forms of JSON: one with bytes as arrays of numbers, as serde writes them, and one with bytes as hexadecimal digits, as a
//! person would choose. What is compared is a case with two pages, and how it ended.

use std::error::Error;
use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use snippex_core::block::{Block, Origin, Terminator};
use snippex_core::case::{Case, PAGE_SIZE, Page, PageAccess, Placement};
use snippex_core::codec::{decode_case, decode_observation, encode_case, encode_observation};
use snippex_core::observation::{ChangedLine, Endpoint, LINE_SIZE, Observation};
use snippex_core::random::Random;
use snippex_core::state::{MachineState, X87State};

/// Each is done so often; the fastest of [`ROUNDS`] rounds is told.
const TIMES: u32 = 2000;
const ROUNDS: usize = 5;

fn main() -> Result<(), Box<dyn Error>> {
    let case = case();
    let observation = observation();
    println!("a case with two pages:");
    let ours = measure(
        "codec",
        || encode_case(&case).1,
        |bytes| drop(black_box(decode_case(bytes))),
    );
    compare::<CaseJson<Numbers>>("JSON, bytes as numbers", &CaseJson::of(&case), ours)?;
    compare::<CaseJson<Digits>>("JSON, bytes as digits", &CaseJson::of(&case), ours)?;
    println!("an observation with two lines of memory:");
    let encode = || encode_observation(&observation);
    let ours = measure("codec", encode, |bytes| {
        drop(black_box(decode_observation(bytes)));
    });
    compare::<ObservationJson<Numbers>>("JSON, bytes as numbers", &ObservationJson::of(&observation), ours)?;
    compare::<ObservationJson<Digits>>("JSON, bytes as digits", &ObservationJson::of(&observation), ours)
}

/// Size in bytes, time to write, time to read.
type Measured = (usize, Duration, Duration);

fn compare<T: Serialize + for<'de> Deserialize<'de>>(
    name: &str,
    value: &T,
    ours: Measured,
) -> Result<(), Box<dyn Error>> {
    serde_json::to_vec(value)?;
    let read = |bytes: &[u8]| drop(black_box(serde_json::from_slice::<T>(bytes)));
    let json = measure(name, || serde_json::to_vec(value).unwrap_or_default(), read);
    println!(
        "{:>38} {:.1} times smaller, written {:.1} and read {:.1} times faster",
        "the codec is",
        json.0 as f64 / ours.0 as f64,
        json.1.as_secs_f64() / ours.1.as_secs_f64(),
        json.2.as_secs_f64() / ours.2.as_secs_f64()
    );
    Ok(())
}

fn measure(name: &str, write: impl Fn() -> Vec<u8>, read: impl Fn(&[u8])) -> Measured {
    let bytes = write();
    let written = fastest(|| drop(black_box(write())));
    let read = fastest(|| read(black_box(&bytes)));
    println!(
        "{name:>38} {:>7} bytes, written in {written:.1?}, read in {read:.1?}",
        bytes.len()
    );
    (bytes.len(), written, read)
}

fn fastest(mut work: impl FnMut()) -> Duration {
    let round = |_| {
        let started = Instant::now();
        for _ in 0..TIMES {
            work();
        }
        started.elapsed() / TIMES
    };
    (0..ROUNDS).map(round).min().unwrap_or_default()
}

/// How bytes are written.
trait ByteForm: Sized {
    fn from_bytes(bytes: &[u8]) -> Self;
}

#[derive(Serialize, Deserialize)]
struct Numbers(Vec<u8>);

#[derive(Serialize, Deserialize)]
struct Digits(String);

impl ByteForm for Numbers {
    fn from_bytes(bytes: &[u8]) -> Self {
        Self(bytes.to_vec())
    }
}

impl ByteForm for Digits {
    fn from_bytes(bytes: &[u8]) -> Self {
        Self(hex::encode(bytes))
    }
}

#[derive(Serialize, Deserialize)]
struct CaseJson<B> {
    block: Block,
    placement: Placement,
    state: StateJson<B>,
    pages: Vec<(u64, PageAccess, B)>,
}

impl<B: ByteForm> CaseJson<B> {
    fn of(case: &Case) -> Self {
        Self {
            block: (*case.block).clone(),
            placement: case.placement,
            state: StateJson::of(&case.state),
            pages: case
                .pages
                .iter()
                .map(|page| (page.address, page.access, B::from_bytes(&page.content[..])))
                .collect(),
        }
    }
}

#[derive(Serialize, Deserialize)]
struct ObservationJson<B> {
    endpoint: Endpoint,
    state: StateJson<B>,
    memory: Vec<(u64, B)>,
}

impl<B: ByteForm> ObservationJson<B> {
    fn of(observation: &Observation) -> Self {
        Self {
            endpoint: observation.endpoint,
            state: StateJson::of(&observation.state),
            memory: observation
                .memory
                .iter()
                .map(|line| (line.address, B::from_bytes(&line.bytes)))
                .collect(),
        }
    }
}

#[derive(Serialize, Deserialize)]
struct StateJson<B> {
    gpr: [u64; 16],
    rflags: u64,
    fs_base: u64,
    gs_base: u64,
    x87: X87State,
    mxcsr: u32,
    vectors: Vec<B>,
    opmask: [u64; 8],
}

impl<B: ByteForm> StateJson<B> {
    fn of(state: &MachineState) -> Self {
        Self {
            gpr: state.gpr,
            rflags: state.rflags,
            fs_base: state.fs_base,
            gs_base: state.gs_base,
            x87: state.x87,
            mxcsr: state.mxcsr,
            vectors: state.vectors.iter().map(|vector| B::from_bytes(vector)).collect(),
            opmask: state.opmask,
        }
    }
}

fn state(random: &mut Random) -> MachineState {
    let mut state = MachineState::default();
    state
        .gpr
        .iter_mut()
        .for_each(|register| *register = random.next_u64());
    for byte in state.vectors.as_flattened_mut() {
        *byte = random.next_u64() as u8;
    }
    state
}

fn case() -> Case {
    let mut random = Random::new(1);
    let block = Block {
        address: 0x40_1000,
        bytes: vec![0x48, 0x8b, 0x45, 0xf8, 0x48, 0x85, 0xc0, 0x74, 0x2f],
        instruction_count: 3,
        terminator: Terminator::Jcc,
        successors: vec![0x40_1038, 0x40_1009],
        origin: Origin::BranchTarget,
        unrunnable: None,
    };
    let mut page = |address| {
        let mut content = [0; PAGE_SIZE];
        content
            .iter_mut()
            .for_each(|byte| *byte = random.next_u64() as u8);
        Page {
            address,
            access: PageAccess::ReadWrite,
            content: Arc::new(content),
        }
    };
    let pages = [page(0x7000), page(0x1_0000)];
    Case {
        block: Arc::new(block),
        placement: Placement {
            image_base: 0x2_0000_0000,
            code_base: 0x2_1d60_0000,
        },
        state: state(&mut Random::new(2)),
        pages: pages.into(),
    }
}

fn observation() -> Observation {
    let line = |address| ChangedLine {
        address,
        bytes: [0x5a; LINE_SIZE],
    };
    Observation {
        endpoint: Endpoint::Exit { target: 0x40_1038 },
        state: state(&mut Random::new(3)),
        memory: vec![line(0x7000), line(0x7040)],
    }
}
