//! What kept connections are worth: small batches on one host over a connection that is used again, and over a new one for each,
//! in turn and in one run, as this user's ssh would connect.
//!
//! After `cargo build --release -p snippex`, whose program is the agent:
//! `cargo run --release -p snippex-exec --features ssh --example measure_connections -- [USER@]HOST[:PORT] BATCHES`

use std::error::Error;
use std::sync::Arc;
use std::time::{Duration, Instant};

use snippex_core::address_space::{CODE_DISTANCE, IMAGE_BASE};
use snippex_core::block::{Block, Origin, Terminator};
use snippex_core::case::{Case, Placement};
use snippex_core::group::Group;
use snippex_core::state::MachineState;
use snippex_exec::engine::Engine;
use snippex_exec::remote::{EngineOrder, Host, HostDefaults, HostEntry, RemoteEngine};

type Fallible<T> = Result<T, Box<dyn Error>>;

/// One run of `add rax, rbx`.
fn batch() -> [Group; 1] {
    let block = Block {
        address: 0x1000,
        bytes: vec![0x48, 0x01, 0xd8],
        instruction_count: 1,
        terminator: Terminator::FallThrough,
        successors: vec![0x1003],
        origin: Origin::Entry,
        unrunnable: None,
    };
    [Group::from_case(&Case {
        block: Arc::new(block),
        placement: Placement {
            image_base: IMAGE_BASE,
            code_base: IMAGE_BASE + CODE_DISTANCE,
        },
        state: MachineState::default(),
        pages: Arc::new([]),
    })]
}

/// Has `native` of a host do a batch, and says how long that took.
fn run(host: &Arc<Host>) -> Fallible<Duration> {
    let started = Instant::now();
    let order = EngineOrder {
        host: Arc::clone(host),
        engine: "native".to_owned(),
        entry: None,
    };
    RemoteEngine::start(&order)?.run(&batch())?;
    Ok(started.elapsed())
}

fn main() -> Fallible<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [to, count] = &arguments[..] else {
        return Err("give a host, and a number of batches".into());
    };
    let entry = HostEntry {
        ssh: Some(to.clone()),
        agent: Some(std::env::current_exe()?.with_file_name("../snippex")),
        ..HostEntry::default()
    };
    let host = || entry.build_host("away", &HostDefaults::default());
    let kept = host()?;
    // The agent is put there once, and is not part of what is measured.
    run(&kept)?;
    let (mut pooled, mut fresh) = (Duration::ZERO, Duration::ZERO);
    let count: u32 = count.parse()?;
    for _ in 0..count {
        pooled += run(&kept)?;
        fresh += run(&host()?)?;
    }
    let each = |whole: Duration| whole.as_secs_f64() * 1e3 / f64::from(count);
    println!(
        "{count} batches: {:.1} ms each on a kept connection, {:.1} ms each on a new one; {:.1} times",
        each(pooled),
        each(fresh),
        fresh.as_secs_f64() / pooled.as_secs_f64()
    );
    Ok(())
}
