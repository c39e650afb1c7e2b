//! Checks with a cache: verdicts of earlier ones are taken, and nothing else changes.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use snippex_blocks::select::{FilterOptions, SelectionRequest};
use snippex_exec::engine::EngineTable;
use snippex_session::{
    CacheAnswer, CacheOptions, CheckOutcome, CheckTarget, EngineChoice, EnginePair, Session, SessionOptions,
    TargetChoice, VerdictCache, read_programs, source_of_binary, stored_targets,
};
use snippex_store::{RunSummary, Selection, StoreHandle};

const SEED: u64 = 1;

/// A folder with a database and a cache.
struct Sandbox(tempfile::TempDir);

impl Sandbox {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn cache_file(&self) -> PathBuf {
        self.0.path().join("cache.db")
    }

    fn store(&self) -> StoreHandle {
        let path = self.0.path().join("found.db");
        StoreHandle::open(&path.to_str().unwrap().parse().unwrap()).unwrap()
    }

    /// Checks up to 80 blocks of `program` on `subject`.
    fn check(&self, subject: &str, program: &Path, seed: u64, options: CacheOptions) -> Checked {
        let store = self.store();
        let table = EngineTable::default();
        let engine = |name| EngineChoice::from_name(&table, name).unwrap();
        let cache = VerdictCache::open(&self.cache_file(), options).unwrap();
        let session = Session {
            store: &store,
            engines: &EnginePair::start_engines(engine("native"), engine(subject)).unwrap(),
            table: &table,
            options: &SessionOptions {
                states: 8,
                seed,
                ..SessionOptions::default()
            },
            cache: Some(&cache),
            stop: &AtomicBool::new(false),
        };
        let choice = TargetChoice {
            filter: FilterOptions::default().into_filter().unwrap(),
            request: SelectionRequest {
                count: Some(80),
                ..SelectionRequest::default()
            },
            keep_report: false,
        };
        let programs = read_programs(&[program.to_owned()]).unwrap().programs;
        let targets = programs
            .into_iter()
            .map(|program| CheckTarget::Program(program, &choice));
        let outcome = session.check_targets(targets, &mut ()).unwrap();
        let run = outcome.run;
        let stored = store
            .call_and_wait(async move |store| {
                let divergences = store.list_divergences(Some(run), None, None, u32::MAX).await?;
                let results = store.list_results(run, None, 1000).await?;
                Ok((store.find_summary(run).await?, results, divergences))
            })
            .unwrap();
        let (summary, results, divergences) = stored;
        let mut summary = summary.unwrap();
        summary.elapsed = Duration::ZERO;
        summary.details.cached_runs = 0;
        let divergences = divergences.into_iter().map(|found| {
            let culprit = found.culprit.unwrap_or_default();
            format!(
                "{} {} {} {culprit} {}",
                found.block, found.state_index, found.class, found.case_id
            )
        });
        let mut divergences: Vec<String> = divergences.collect();
        divergences.sort();
        Checked {
            divergences,
            outcome,
            summary,
            results: results
                .into_iter()
                .map(|result| (result.block.0, format!("{:?}", result.counts)))
                .collect(),
        }
    }
}

struct Checked {
    outcome: CheckOutcome,
    /// Without the time.
    summary: RunSummary,
    results: Vec<(i64, String)>,
    /// Block, start state, kind, culprit and case of each.
    divergences: Vec<String>,
}

impl Checked {
    /// Blocks that were looked up, and those that were there.
    fn hits(&self) -> (u64, u64) {
        let cache = self.outcome.cache.as_ref().unwrap();
        assert_eq!(cache.trouble, None);
        (cache.looked_up, cache.hits)
    }
}

fn usual() -> CacheOptions {
    CacheOptions::default()
}

#[test]
fn a_second_check_tells_the_same_and_runs_only_what_diverges() {
    let sandbox = Sandbox::new();
    let program = Path::new("/bin/cat");
    for subject in ["native", "mock"] {
        let first = sandbox.check(subject, program, SEED, usual());
        let second = sandbox.check(subject, program, SEED, usual());
        let blocks = first.summary.blocks;
        assert!(blocks > 0);
        assert_eq!(first.hits(), (blocks, 0));
        let (looked_up, hits) = second.hits();
        assert_eq!(looked_up, blocks);
        assert!(hits > blocks / 2, "{hits} of {blocks}");
        let diverging = second.outcome.cache.as_ref().unwrap().diverging;
        assert_eq!(diverging, first.summary.diverging_blocks);
        assert!(hits + diverging <= blocks, "what diverges is run again");
        assert_eq!(second.divergences, first.divergences);
        assert_eq!(second.summary, first.summary);
        assert_eq!(second.results, first.results);
        assert_eq!(second.outcome.tally.summary, first.outcome.tally.summary);
        // Another seed makes other cases.
        assert_eq!(sandbox.check(subject, program, SEED + 1, usual()).hits().1, 0);
    }
}

#[test]
fn refreshing_and_age_run_everything() {
    let sandbox = Sandbox::new();
    let program = Path::new("/bin/true");
    let first = sandbox.check("native", program, SEED, usual());
    let refreshed = sandbox.check(
        "native",
        program,
        SEED,
        CacheOptions {
            refresh: true,
            ..usual()
        },
    );
    assert_eq!(refreshed.hits(), (0, 0));
    let stored = |checked: &Checked| checked.outcome.cache.as_ref().unwrap().stored;
    assert_eq!(stored(&refreshed), stored(&first));
    assert!(sandbox.check("native", program, SEED, usual()).hits().1 > 0);
    let too_old = CacheOptions {
        ttl: Duration::ZERO,
        ..usual()
    };
    std::thread::sleep(Duration::from_millis(2));
    assert_eq!(sandbox.check("native", program, SEED, too_old).hits().1, 0);
    let no_room = CacheOptions {
        max_size: 0,
        ..usual()
    };
    sandbox.check("native", program, SEED, no_room);
    assert_eq!(sandbox.check("native", program, SEED, usual()).hits().1, 0);
}

#[test]
fn a_rebuilt_program_runs_what_changed() {
    let sandbox = Sandbox::new();
    let path = sandbox.0.path().join("program");
    let check = |program: &[u8]| {
        fs::write(&path, program).unwrap();
        sandbox.check("native", &path, SEED, usual()).hits()
    };
    let before = program(1, 7);
    assert_eq!(check(&before), (2, 0));
    assert_eq!(check(&before), (2, 2));
    // The first block reads what changed.
    assert_eq!(check(&program(2, 7)), (2, 1));
    // The second block is another one.
    assert_eq!(check(&program(2, 8)), (2, 1));
    assert_eq!(check(&program(2, 8)), (2, 2));
    // The second block is there from the beginning, of the first what it met last.
    assert_eq!(check(&before), (2, 1));
}

/// Two blocks: one that loads `data`, and one that loads a constant.
fn program(data: u8, constant: u8) -> Vec<u8> {
    let mut code = vec![0x90; 0x1008];
    let blocks = [
        0x8a, 0x05, 0xfa, 0x0f, 0, 0, // mov al, [rip + 0xffa], which is at 0x402000
        0x70, 0x00, // jo to what follows
        0xb0, constant, // mov al, constant
        0xc3,     // ret
    ];
    code[..blocks.len()].copy_from_slice(&blocks);
    code[0x1000] = data;
    elf(&code, blocks.len() as u64)
}

/// An ELF program: `code` executable bytes at 0x401000, the second page of it as data.
fn elf(bytes: &[u8], code: u64) -> Vec<u8> {
    const BASE: u64 = 0x40_1000;
    let mut file = b"\x7fELF\x02\x01\x01".to_vec();
    file.resize(16, 0);
    let mut put = |bytes: &[u8]| file.extend_from_slice(bytes);
    put(&2_u16.to_le_bytes());
    put(&62_u16.to_le_bytes());
    put(&1_u32.to_le_bytes());
    for word in [BASE, 64, 0] {
        put(&word.to_le_bytes());
    }
    put(&0_u32.to_le_bytes());
    for half in [64_u16, 56, 2, 64, 0, 0] {
        put(&half.to_le_bytes());
    }
    for (flags, offset, address, size) in [(5_u32, 0x1000_u64, BASE, code), (6, 0x2000, BASE + 0x1000, 8)] {
        put(&1_u32.to_le_bytes());
        put(&flags.to_le_bytes());
        for word in [offset, address, address, size, size, 0x1000] {
            put(&word.to_le_bytes());
        }
    }
    file.resize(0x1000, 0);
    file.extend_from_slice(bytes);
    file
}

#[test]
fn what_is_damaged_is_a_miss() {
    let sandbox = Sandbox::new();
    let program = Path::new("/bin/true");
    let first = sandbox.check("native", program, SEED, usual());
    let mut damaged = 0;
    for file in ["cache.db", "cache.db-wal"] {
        let path = sandbox.0.path().join(file);
        let Ok(mut bytes) = fs::read(&path) else { continue };
        let magic: Vec<usize> = bytes
            .windows(4)
            .enumerate()
            .filter(|(_, window)| *window == b"SNPX")
            .map(|(at, _)| at)
            .collect();
        damaged += magic.len();
        for at in magic {
            bytes[at + 40] ^= 1;
        }
        fs::write(&path, bytes).unwrap();
    }
    assert!(damaged > 0);
    let second = sandbox.check("native", program, SEED, usual());
    assert_eq!(second.hits().1, 0);
    assert_eq!(second.summary, first.summary);
    // It was put right.
    assert!(sandbox.check("native", program, SEED, usual()).hits().1 > 0);
}

#[test]
fn two_checks_at_once_share_a_cache() {
    let sandbox = Sandbox::new();
    let program = Path::new("/bin/true");
    let summaries: Vec<RunSummary> = std::thread::scope(|scope| {
        let check = || sandbox.check("native", program, SEED, usual());
        let threads = [scope.spawn(check), scope.spawn(check)];
        threads.map(|thread| thread.join().unwrap().summary).into()
    });
    assert_eq!(summaries[0], summaries[1]);
    let third = sandbox.check("native", program, SEED, usual());
    assert!(third.hits().1 > 0);
    assert_eq!(third.summary, summaries[0]);
}

#[test]
fn a_miss_is_explained() {
    let sandbox = Sandbox::new();
    let path = sandbox.0.path().join("program");
    fs::write(&path, program(1, 7)).unwrap();
    sandbox.check("native", &path, SEED, usual());
    let store = sandbox.store();
    let table = EngineTable::default();
    let engine = || EngineChoice::from_name(&table, "native").unwrap();
    let cache = VerdictCache::open(&sandbox.cache_file(), usual()).unwrap();
    let explain = |seed| {
        let session = Session {
            store: &store,
            engines: &EnginePair::start_engines(engine(), engine()).unwrap(),
            table: &table,
            options: &SessionOptions {
                states: 8,
                seed,
                ..SessionOptions::default()
            },
            cache: None,
            stop: &AtomicBool::new(false),
        };
        let target = stored_targets(&store, &Selection::all(), None).unwrap().remove(0);
        let source = source_of_binary(&store, target.binary).unwrap();
        let blocks = target.load_source_and_blocks(&store).unwrap().1;
        cache.explain_block(&session, &source, &blocks[0].block).unwrap()
    };
    let hit = explain(SEED);
    assert_eq!((hit.answer, hit.others.len()), (CacheAnswer::Hit, 0));
    assert_eq!(hit.parts["states"], "8");
    let miss = explain(2);
    assert_eq!(miss.answer, CacheAnswer::Missing);
    assert_eq!(miss.others.len(), 1);
    assert_eq!(miss.others[0].differing, ["seed"]);
}
