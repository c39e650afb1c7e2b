//! Shows what a database holds: `cargo run -p snippex-store --example query_store -- PATH_OR_URL`.

use std::error::Error;

use snippex_store::{Location, StoreHandle};

fn main() -> Result<(), Box<dyn Error>> {
    let argument = std::env::args()
        .nth(1)
        .ok_or("name a database: a file or postgres://host/database")?;
    let location: Location = argument.parse()?;
    let store = StoreHandle::open_existing(&location)?;

    for binary in store.call_and_wait(async |store| store.list_binaries().await)? {
        println!(
            "{}: {} blocks of {}",
            binary.id, binary.blocks, binary.binary.path
        );
    }
    for run in store.call_and_wait(async |store| store.list_runs(None, 20).await)? {
        println!("run {} ({}): {:?}", run.id, run.run.arguments, run.status);
        let id = run.id;
        for (engine, blocks, counts) in store.call_and_wait(async move |store| store.sum_results(id).await)? {
            let engine = store.call_and_wait(async move |store| store.load_engine(engine).await)?;
            println!(
                "  {} {}: {blocks} blocks, {} runs, {} matched, {} diverged, {} inconclusive",
                engine.name,
                engine.version,
                counts.runs,
                counts.matched,
                counts.diverged,
                counts.inconclusive_total()
            );
        }
        for group in store.call_and_wait(async move |store| store.divergence_groups(id).await)? {
            let culprit = group.culprit.as_deref().unwrap_or("unknown");
            println!(
                "  {} x {} ({culprit}), like divergence {}",
                group.divergences, group.class, group.example
            );
        }
    }
    Ok(())
}
