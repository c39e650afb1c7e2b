//! A recording stands in for the engine that was recorded: the same ends, the same verdicts, in few bytes; and what is not
//! a whole recording is refused.
#![expect(clippy::unwrap_used, reason = "a test, its helpers included")]

use std::collections::BTreeMap;
use std::sync::atomic::AtomicBool;
use std::sync::mpsc::sync_channel;
use std::sync::{Arc, LazyLock};

use proptest::prelude::*;
use snippex_blocks::binary::Image;
use snippex_blocks::extract::extract_blocks;
use snippex_blocks::generate::{self, GenerationRequest, Sequences};
use snippex_core::address_space::{CODE_DISTANCE, place_image};
use snippex_core::block::Block;
use snippex_core::case::Placement;
use snippex_core::diff::Divergence;
use snippex_exec::batch::split_into_batches;
use snippex_exec::check::{BlockReport, CheckJob, CheckOptions, CheckReport, EngineFactory, check_blocks};
use snippex_exec::engine::{Engine, EngineSpec, MockEngine, RunnerEngine};
use snippex_exec::recording::{
    About, Recorded, RecordedEngine, RecordedSource, Recorder, Recording, RecordingError,
};
use snippex_exec::{CaseMaker, MemorySource, RunOutcome, Unsupported};

const STATES: u32 = 24;

fn native() -> Box<dyn Engine> {
    Box::new(RunnerEngine::start(EngineSpec::native()).unwrap())
}

fn qemu() -> Box<dyn Engine> {
    let spec = EngineSpec::from_preset("qemu-x86_64").expect("install it: cargo xtask test does");
    Box::new(RunnerEngine::start(spec).unwrap())
}

/// Blocks and what they come from.
struct Blocks<'i> {
    program: Option<(&'i Image<'i>, &'i [u8])>,
    placement: Placement,
    blocks: Vec<Arc<Block>>,
}

impl Blocks<'_> {
    fn source(&self) -> RecordedSource {
        match self.program {
            Some(_) => RecordedSource::Program { name: "bash".into() },
            None => RecordedSource::Generated {
                request: "all".into(),
            },
        }
    }

    fn record(&self, engine: fn() -> Box<dyn Engine>, threads: usize) -> (Vec<u8>, Recorded) {
        let about = About {
            snippex: env!("CARGO_PKG_VERSION").into(),
            engine: engine().identity().clone(),
            source: self.source(),
            placement: self.placement,
            seed: 1,
            states: STATES,
        };
        let recorder = Recorder {
            about: &about,
            program: self.program,
            engine: &|| Ok(engine()),
            threads,
            progress: &|_| {},
            cancel: &AtomicBool::new(false),
        };
        recorder.record(&self.blocks, Vec::new()).unwrap()
    }

    fn recorded(&self, engine: fn() -> Box<dyn Engine>) -> Arc<Recording> {
        Arc::new(Recording::of_bytes(self.record(engine, 2).0).unwrap())
    }

    fn maker(&self) -> CaseMaker<'_> {
        let memory = MemorySource::new(self.program.map(|(image, _)| image), self.placement, 1);
        let maker = CaseMaker::new(memory, self.placement, 1, STATES as usize);
        let about = match self.source() {
            RecordedSource::Program { .. } => snippex_core::seed::Style::Compiled,
            RecordedSource::Generated { .. } => snippex_core::seed::Style::Corners,
        };
        maker.in_style(about)
    }

    /// What a check says of every block, what is at fault apart: a recording cannot run a part of a block.
    fn verdicts(
        &self,
        reference: &EngineFactory<'_>,
        subject: &EngineFactory<'_>,
    ) -> BTreeMap<usize, String> {
        let job = CheckJob {
            image: self.program.map(|(image, _)| image),
            placement: self.placement,
            reference,
            subject,
            style: match self.program {
                Some(_) => snippex_core::seed::Style::Compiled,
                None => snippex_core::seed::Style::Corners,
            },
            options: CheckOptions {
                states: STATES as usize,
                ..CheckOptions::default()
            },
        };
        let (sender, receiver) = sync_channel(self.blocks.len());
        check_blocks(&job, &self.blocks, &sender, &AtomicBool::new(false)).unwrap();
        drop(sender);
        let verdict = |report: BlockReport| {
            let differences = |divergence: &Divergence| format!("{:?}", divergence.differences);
            let findings: Vec<_> = report
                .findings
                .iter()
                .map(|finding| {
                    let ends = (&finding.expected, &finding.actual);
                    (
                        finding.start,
                        finding.runs,
                        format!("{ends:?}"),
                        differences(&finding.divergence),
                    )
                })
                .collect();
            let counts = [
                report.runs,
                report.completed,
                report.faulted,
                report.matched,
                report.diverged,
            ];
            let text = format!(
                "{counts:?} {:?} {:?} {:?} {:?} {findings:?}",
                report.excused, report.deviations, report.inconclusive, report.unsupported
            );
            (report.index, text)
        };
        receiver
            .into_iter()
            .filter_map(CheckReport::into_block_report)
            .map(verdict)
            .collect()
    }

    /// Every case ends in the recording as it does on the engine.
    fn ends_agree(&self, engine: fn() -> Box<dyn Engine>, recording: &Arc<Recording>) {
        let mut live = engine();
        let mut recorded = RecordedEngine::new(Arc::clone(recording));
        let mut maker = self.maker();
        for blocks in self.blocks.chunks(32) {
            let groups = maker.make_groups(blocks, live.as_mut()).unwrap();
            let again = maker.make_groups(blocks, &mut recorded).unwrap();
            for (group, again) in groups.iter().zip(&again) {
                assert_eq!(group.pages, again.pages);
            }
            for range in split_into_batches(&groups) {
                let batch = &groups[range];
                let (expected, actual) = (live.run(batch).unwrap(), recorded.run(batch).unwrap());
                for (group, start) in
                    (0..batch.len()).flat_map(|group| (0..STATES as usize).map(move |start| (group, start)))
                {
                    assert_eq!(
                        actual.outcome(group, start),
                        expected.outcome(group, start),
                        "{:02x?} start {start}",
                        batch[group].block.bytes
                    );
                    assert_eq!(actual.endpoint(group, start), expected.endpoint(group, start));
                    let ran = expected.endpoint(group, start).is_some();
                    assert_eq!(
                        actual.same_bits(&expected, group, start),
                        ran && expected.same_bits(&expected, group, start)
                    );
                }
            }
        }
    }
}

fn of_bash<T>(work: impl FnOnce(&Blocks<'_>) -> T) -> T {
    let bytes = std::fs::read("/bin/bash").unwrap();
    let image = Image::parse(&bytes).unwrap();
    let index = extract_blocks(&image);
    let blocks = index.iter().filter(|block| block.unrunnable.is_none());
    work(&Blocks {
        program: Some((&image, &bytes)),
        placement: place_image(&image.address_range(), image.position_independent()).unwrap(),
        blocks: blocks.step_by(61).take(640).map(Arc::new).collect(),
    })
}

/// Two blocks of every twentieth form of an instruction.
fn generated() -> Blocks<'static> {
    let request = GenerationRequest {
        isa: Vec::new(),
        mnemonics: Vec::new(),
        per_form: Some(2),
        sequences: Sequences::None,
        seed: 1,
    };
    let forms = request.forms();
    let forms = forms
        .into_iter()
        .filter(|form| form.skip_reason().is_none())
        .step_by(20);
    let blocks = forms.flat_map(|form| generate::of_form(&request, form));
    Blocks {
        program: None,
        placement: place_image(&(0..CODE_DISTANCE), true).unwrap(),
        blocks: blocks
            .filter(|block| block.unrunnable.is_none())
            .map(Arc::new)
            .collect(),
    }
}

#[test]
fn ends_of_a_program_come_back_to_the_bit() {
    of_bash(|bash| {
        bash.ends_agree(native, &bash.recorded(native));
        bash.ends_agree(qemu, &bash.recorded(qemu));
    });
}

#[test]
fn ends_of_generated_blocks_come_back_to_the_bit() {
    let generated = generated();
    assert!(generated.blocks.len() > 100);
    generated.ends_agree(native, &generated.recorded(native));
}

#[test]
fn verdicts_are_those_of_a_direct_check() {
    of_bash(|bash| {
        let recording = bash.recorded(native);
        let live = || Ok(native());
        let recorded =
            || -> Result<Box<dyn Engine>, _> { Ok(Box::new(RecordedEngine::new(Arc::clone(&recording)))) };
        let emulator = || Ok(qemu());
        let planted = || -> Result<Box<dyn Engine>, _> { Ok(Box::new(MockEngine::with_planted_bug()?)) };
        for subject in [&emulator as &EngineFactory<'_>, &planted] {
            let direct = bash.verdicts(&live, subject);
            assert!(direct.len() == bash.blocks.len());
            assert_eq!(bash.verdicts(&recorded, subject), direct);
        }
        // A recording against a recording: two engines that are both elsewhere.
        let other = bash.recorded(qemu);
        let other =
            || -> Result<Box<dyn Engine>, _> { Ok(Box::new(RecordedEngine::new(Arc::clone(&other)))) };
        let direct = bash.verdicts(&live, &emulator);
        assert_eq!(bash.verdicts(&recorded, &other), direct);
    });
}

#[test]
fn verdicts_on_generated_blocks_are_those_of_a_direct_check() {
    let generated = generated();
    let recording = generated.recorded(native);
    let recorded =
        || -> Result<Box<dyn Engine>, _> { Ok(Box::new(RecordedEngine::new(Arc::clone(&recording)))) };
    let direct = generated.verdicts(&|| Ok(native()), &|| Ok(qemu()));
    let replayed = generated.verdicts(&recorded, &|| Ok(qemu()));
    let differ = direct
        .iter()
        .filter(|(index, text)| replayed.get(index) != Some(*text));
    let differ: Vec<_> = differ.map(|(index, _)| &generated.blocks[*index].bytes).collect();
    assert!(differ.is_empty(), "{differ:02x?}");
}

#[test]
fn a_recording_is_small_and_the_same_however_many_threads_made_it() {
    of_bash(|bash| {
        let (one, recorded) = bash.record(native, 1);
        let (four, again) = bash.record(native, 4);
        assert_eq!(recorded, again);
        assert!(one == four);
        assert_eq!(recorded.bytes, one.len() as u64);
        assert_eq!(recorded.runs, bash.blocks.len() as u64 * u64::from(STATES));
        let recording = Recording::of_bytes(one).unwrap();
        recording.verify().unwrap();
        assert_eq!(recording.id(), recorded.id);
        let program = recording.read_program().unwrap().unwrap();
        assert_eq!(program, std::fs::read("/bin/bash").unwrap());
        let blocks = recording.blocks();
        assert!(
            blocks
                .iter()
                .zip(&bash.blocks)
                .all(|(read, block)| *read == **block)
        );
        // The program apart, of which a whole check is a small part.
        let program = zstd::stream::encode_all(&program[..], 3).unwrap().len() as u64;
        let per_run = (recorded.bytes - program) as f64 / recorded.runs as f64;
        assert!(per_run <= 12.0, "{per_run:.2} bytes a run");
    });
}

#[test]
fn what_was_not_recorded_is_unsupported_and_other_cases_of_a_block_are_refused() {
    of_bash(|bash| {
        let few = Blocks {
            blocks: bash.blocks[..32].to_vec(),
            ..*bash
        };
        let mut recorded = RecordedEngine::new(few.recorded(native));
        let mut live = native();
        let groups = bash
            .maker()
            .make_groups(&bash.blocks[32..40], live.as_mut())
            .unwrap();
        let results = recorded.run(&groups).unwrap();
        assert_eq!(
            results.outcome(0, 0),
            RunOutcome::Unsupported(Unsupported::NotRecorded)
        );
        let mut groups = bash
            .maker()
            .make_groups(&bash.blocks[..1], live.as_mut())
            .unwrap();
        groups[0].starts[3].gpr[0] ^= 1;
        let refused = recorded.run(&groups).unwrap_err().to_string();
        assert!(refused.contains("other cases of the block"), "{refused}");
    });
}

static SMALL: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let generated = generated();
    let few = Blocks {
        blocks: generated.blocks[..64].to_vec(),
        ..generated
    };
    few.record(native, 1).0
});

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn damage_is_found(at in any::<prop::sample::Index>(), flip in 1..=255_u8) {
        let at = at.index(SMALL.len());
        let mut damaged = SMALL.clone();
        damaged[at] ^= flip;
        prop_assert!(Recording::of_bytes(damaged).and_then(|read| read.verify()).is_err());
        let cut = Recording::of_bytes(SMALL[..at].to_vec()).unwrap_err();
        prop_assert!(matches!(cut, RecordingError::Truncated | RecordingError::NotARecording), "{cut}");
    }
}

#[test]
fn files_of_other_kinds_and_versions_are_refused_and_say_so() {
    let refused = |bytes: &[u8]| Recording::of_bytes(bytes.to_vec()).unwrap_err();
    assert!(matches!(
        refused(b"\x7fELF and more of a program"),
        RecordingError::NotARecording
    ));
    assert!(matches!(refused(b""), RecordingError::NotARecording));
    let mut newer = SMALL.clone();
    newer[8] = 3;
    assert!(refused(&newer).to_string().contains("version 3"));
    assert!(matches!(
        refused(&SMALL[..SMALL.len() - 1]),
        RecordingError::Truncated
    ));
}
