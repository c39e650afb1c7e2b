//! Checks a program: this CPU against an emulator, everything stored, its bugs listed.
//!
//! ```sh
//! cargo run --example check_a_file -- /bin/ls found.db
//! ```

use std::error::Error;
use std::path::Path;
use std::sync::atomic::AtomicBool;

use snippex_blocks::select::{FilterOptions, SelectionRequest};
use snippex_exec::engine::EngineTable;
use snippex_session::{
    Bugs, CheckTarget, EngineChoice, EnginePair, ProgramFile, Session, SessionOptions, TargetChoice, Wanted,
};
use snippex_store::StoreHandle;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let program = arguments.next().ok_or("name a program")?;
    let database = arguments.next().ok_or("name a database")?;

    let table = EngineTable::default();
    let reference = EngineChoice::from_name(&table, "native")?;
    let subject = EngineChoice::from_name(&table, "qemu-x86_64")?;
    let store = StoreHandle::open(&database.parse()?)?;
    let session = Session {
        store: &store,
        engines: &EnginePair::start_engines(reference, subject)?,
        table: &table,
        options: &SessionOptions::default(),
        cache: None,
        stop: &AtomicBool::new(false),
    };

    let choice = TargetChoice {
        filter: FilterOptions::default().into_filter()?,
        request: SelectionRequest::default(),
        keep_report: false,
    };
    let program = ProgramFile::read_first(Path::new(&program))?;
    let outcome = session.check_targets([CheckTarget::Program(program, &choice)], &mut ())?;
    let summary = &outcome.tally.summary;
    println!("{} runs, {} diverged", summary.runs, summary.diverged);

    let bugs = Bugs::load_from_store(&store, &table)?;
    let run = Some(outcome.run);
    for bug in bugs.list_bugs(Wanted { run, emulator: None })? {
        println!("{}: {} in {} runs", bug.cause, bug.cause.title(), bug.runs);
    }
    Ok(())
}
