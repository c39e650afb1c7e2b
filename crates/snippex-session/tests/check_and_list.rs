//! The calls of the example, on engines that every machine has: extract, check, store, list the bugs.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use snippex_blocks::generate;
use snippex_blocks::select::{FilterOptions, SelectionRequest};
use snippex_exec::engine::EngineTable;
use snippex_session::{
    BinaryFile, Bugs, CheckOutcome, CheckTarget, EngineChoice, EnginePair, Generated, ListedBug, ProgramFile,
    Session, SessionError, SessionEvent, SessionObserver, SessionOptions, TargetChoice, Wanted,
    read_programs,
};
use snippex_store::StoreHandle;

/// Programs in turn, and how many blocks were run of each.
#[derive(Default)]
struct Heard(Vec<(String, u64)>);

impl SessionObserver for Heard {
    fn on_event(&mut self, event: SessionEvent<'_>) {
        match event {
            SessionEvent::Extracting(file) => self.0.push((file.name(), 0)),
            SessionEvent::Block { binary, .. } => {
                let (name, blocks) = self
                    .0
                    .last_mut()
                    .expect("blocks are run after they are extracted");
                assert_eq!(
                    name, binary,
                    "one program's blocks are run before the next is extracted"
                );
                *blocks += 1;
            }
            _ => {}
        }
    }
}

/// Checks some blocks of `programs` on `subject`, beside this CPU.
fn checked(
    subject: &str,
    programs: Vec<ProgramFile>,
    observer: &mut dyn SessionObserver,
) -> (CheckOutcome, Vec<ListedBug>) {
    let table = EngineTable::default();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("found.db");
    let store = StoreHandle::open(&path.to_str().unwrap().parse().unwrap()).unwrap();
    let engine = |name| EngineChoice::from_name(&table, name).unwrap();
    let session = Session {
        store: &store,
        engines: &EnginePair::start_engines(engine("native"), engine(subject)).unwrap(),
        table: &table,
        options: &SessionOptions {
            states: 8,
            ..SessionOptions::default()
        },
        cache: None,
        stop: &AtomicBool::new(false),
    };
    let choice = TargetChoice {
        filter: FilterOptions::default().into_filter().unwrap(),
        request: SelectionRequest {
            count: Some(60),
            ..SelectionRequest::default()
        },
        keep_report: false,
    };
    let targets = programs
        .into_iter()
        .map(|program| CheckTarget::Program(program, &choice));
    let outcome = session.check_targets(targets, observer).unwrap();
    let bugs = Bugs::load_from_store(&store, &table).unwrap();
    let run = Some(outcome.run);
    let listed = bugs.list_bugs(Wanted { run, emulator: None }).unwrap();
    (outcome, listed)
}

/// Two small programs that are there whenever this test is: itself would be large.
fn programs() -> Vec<ProgramFile> {
    let paths = ["/bin/true", "/bin/cat", "/bin/true"].map(PathBuf::from);
    let read = read_programs(&paths).unwrap();
    assert_eq!(read.same.len(), 1, "the same content is taken once");
    read.programs
}

#[test]
fn a_cpu_against_itself_has_no_bugs() {
    let mut heard = Heard::default();
    let (outcome, bugs) = checked("native", programs(), &mut heard);
    assert!(outcome.complete);
    assert_eq!(outcome.targets.len(), 2);
    assert!(outcome.tally.summary.runs > 0);
    assert_eq!(outcome.tally.summary.diverged, 0);
    assert!(bugs.is_empty(), "{bugs:?}");
    assert!(heard.0.iter().all(|(_, blocks)| *blocks > 0), "{:?}", heard.0);
}

#[test]
fn a_planted_bug_is_found_stored_and_listed() {
    let (outcome, bugs) = checked("mock", programs(), &mut ());
    assert!(outcome.tally.summary.diverged > 0);
    assert!(outcome.tally.sorted_groups()[0].example.divergence.is_some());
    let bug = bugs.first().expect("the planted bug is listed");
    assert!(bug.known.is_none() && bug.runs > 0 && bug.example.is_some());
    assert_eq!(bug.engines[0].name, "mock");
}

#[test]
fn a_file_that_is_no_program_is_told_with_a_remedy() {
    let error = BinaryFile::read_file(Path::new("/")).unwrap_err();
    assert_eq!(error.to_string(), "cannot read /: it is a folder");
    let error = read_programs(&[PathBuf::from("/etc/passwd")]).unwrap_err();
    assert!(error.to_string().starts_with("cannot use /etc/passwd"), "{error}");
    assert!(
        error.hint().unwrap().contains("name an x86-64 program"),
        "{error}"
    );
}

#[test]
fn a_program_that_is_written_to_meanwhile_is_not_checked() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("program");
    std::fs::copy("/bin/true", &path).unwrap();
    let program = ProgramFile::read_first(&path).unwrap();
    assert!(program.read_file().is_ok());
    std::fs::copy("/bin/cat", &path).unwrap();
    let error = program.read_file().unwrap_err();
    assert!(matches!(error, SessionError::ChangedMeanwhile(_)), "{error}");
    assert!(error.hint().is_some());
}

#[test]
fn what_a_check_came_to_is_kept() {
    let table = EngineTable::default();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("found.db");
    let store = StoreHandle::open(&path.to_str().unwrap().parse().unwrap()).unwrap();
    let engine = |name| EngineChoice::from_name(&table, name).unwrap();
    let session = Session {
        store: &store,
        engines: &EnginePair::start_engines(engine("native"), engine("native")).unwrap(),
        table: &table,
        options: &SessionOptions {
            states: 2,
            ..SessionOptions::default()
        },
        cache: None,
        stop: &AtomicBool::new(false),
    };
    let request = generate::GenerationRequest {
        isa: Vec::new(),
        mnemonics: vec!["and".to_owned()],
        per_form: Some(1),
        sequences: generate::Sequences::Short,
        seed: 1,
    };
    request.check_validity().unwrap();
    let generated = Generated::new(request);
    let outcome = session
        .check_targets([CheckTarget::Generated(generated)], &mut ())
        .unwrap();
    let run = outcome.run;
    let (summary, engines) = store
        .call_and_wait(async move |store| {
            let summary = store.find_summary(run).await?.expect("kept");
            Ok((summary, store.list_engines().await?))
        })
        .unwrap();
    assert_eq!(summary.runs, outcome.tally.summary.runs);
    assert!(summary.details.coverage.values().any(|forms| forms.run > 0));
    assert!(
        engines[0].1.host_cpu.contains("\"stepping\""),
        "{}",
        engines[0].1.host_cpu
    );
}
