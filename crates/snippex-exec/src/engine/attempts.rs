//! Getting all runs of a batch done, whatever happens to the process.

use snippex_runner::layout::{Header, LINE, MAGIC, MODE_COPY, MODE_SCAN, PAGE};
use tracing::debug;

use super::runner_engine::RunnerEngine;
use super::{EngineError, MemoryMode};
use crate::batch;
use crate::guest_space::AddressSpace;
use crate::process::GuestAnswer;
use crate::results::{EXIT_ABANDONED, EXIT_DIED, EXIT_HUNG, EXIT_RUNNER, EXIT_UNMAPPABLE};
use crate::shared_layout::MAX_REACHED;

/// Every line of every page that a batch may capture.
const MAX_LINES: u32 = (batch::MAX_CAPTURED * PAGE as usize / LINE) as u32;
/// Runs of one block in which the engine may die before the rest of them is given up: each costs two processes.
const MAX_DEATHS_IN_A_BLOCK: u32 = 3;
/// Deaths without a completed run between them after which the engine is given up.
const MAX_DEATHS_IN_A_ROW: u32 = 64;

/// What does an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum By {
    /// The process for batches, which stays.
    Process,
    /// A child of the parent, which does nothing else.
    Child,
}

/// How an attempt at a range of runs ended.
pub(super) enum Attempt {
    Done,
    /// The process is gone; the run it was at.
    Died {
        run: u32,
        exit: u32,
        signal: u32,
    },
    /// The engine refused to map what this step has.
    Refused {
        step: u32,
    },
    /// The guest's memory was overwritten.
    Corrupted,
}

impl RunnerEngine {
    /// Does the runs from `first` to `end`, giving up the guilty ones.
    pub(super) fn run_range(&mut self, mut first: u32, end: u32) -> Result<(), EngineError> {
        // A group that the engine refused to map, and then had a process of its own for.
        let mut retried = None;
        while first < end {
            match self.attempt(first, end)? {
                Attempt::Done => return Ok(()),
                // What was in the way may have been the engine's own memory, which is elsewhere in another process: what is run
                // must not depend on which batch comes first.
                Attempt::Refused { step }
                    if self
                        .plan
                        .group_of_step(step)
                        .is_some_and(|group| retried != Some(group)) =>
                {
                    retried = self.plan.group_of_step(step);
                    self.process = None;
                    self.parent = None;
                    let block = self.plan.blocks[retried.unwrap_or_default()];
                    first = block.first_run.max(first);
                }
                Attempt::Refused { step } => {
                    let Some(group) = self.plan.group_of_step(step) else {
                        return Err(EngineError::Handshake {
                            engine: self.spec.name.clone(),
                            problem: "it refuses to map code".into(),
                            stderr: String::new(),
                        });
                    };
                    let block = self.plan.blocks[group];
                    let stop = (block.first_run + block.run_count).min(end);
                    self.mark(block.first_run..stop, EXIT_UNMAPPABLE, 0);
                    first = stop;
                }
                Attempt::Died { run, .. } => {
                    if let Some(start) = self.plan.disable_shortcuts(run) {
                        // Its last run will not say what the earlier ones of this attempt did.
                        first = start.max(first);
                        continue;
                    }
                    // Alone in a fresh process: an earlier run may have done the damage, or being a child.
                    self.process = None;
                    first = run + 1;
                    let (exit, signal) = match self.attempt_in_process(run, run + 1)? {
                        Attempt::Done => continue,
                        Attempt::Died { exit, signal, .. } => (exit, signal),
                        Attempt::Refused { .. } => (EXIT_UNMAPPABLE, 0),
                        Attempt::Corrupted => (EXIT_DIED, 0),
                    };
                    self.mark(run..run + 1, exit, signal);
                    first = self.after_death(run).min(end).max(first);
                }
                Attempt::Corrupted if self.plan.disable_all_shortcuts() => {}
                Attempt::Corrupted if end - first == 1 => {
                    self.mark(first..end, EXIT_DIED, 0);
                    return Ok(());
                }
                Attempt::Corrupted => {
                    let middle = first + (end - first) / 2;
                    self.run_range(first, middle)?;
                    first = middle;
                }
            }
        }
        Ok(())
    }

    /// The run to go on with after the engine died in `run`: the next one, or the next block's when it has died often
    /// enough in this one.
    fn after_death(&mut self, run: u32) -> u32 {
        let Some(block) = self
            .plan
            .blocks
            .iter()
            .find(|block| (block.first_run..block.first_run + block.run_count).contains(&run))
        else {
            return run + 1;
        };
        let (first, end) = (block.first_run, block.first_run + block.run_count);
        let died = self.plan.outputs(&self.shared)[first as usize..=run as usize]
            .iter()
            .filter(|output| matches!(output.exit, EXIT_DIED | EXIT_HUNG))
            .count();
        if died < MAX_DEATHS_IN_A_BLOCK as usize {
            return run + 1;
        }
        self.mark(run + 1..end, EXIT_ABANDONED, 0);
        end
    }

    fn attempt(&mut self, first: u32, end: u32) -> Result<Attempt, EngineError> {
        if !self.fresh {
            return self.attempt_in_process(first, end);
        }
        if !self.ensure_parent_process()? {
            self.process = None;
            return self.attempt_in_process(first, end);
        }
        // A child begins with nothing, and leaves its bytes in the frames.
        self.child_space = AddressSpace::default();
        self.space.lose_frames();
        self.plan
            .write_mapping_steps(&mut self.shared, &self.library, &mut self.child_space, first..end);
        self.ring_mapped(By::Child, first, end)
    }

    fn attempt_in_process(&mut self, first: u32, end: u32) -> Result<Attempt, EngineError> {
        self.ensure_process()?;
        self.plan
            .write_mapping_steps(&mut self.shared, &self.library, &mut self.space, first..end);
        self.ring_mapped(By::Process, first, end)
    }

    fn ring_mapped(&mut self, by: By, first: u32, end: u32) -> Result<Attempt, EngineError> {
        let prologue = self.shared.header().prologue_step_count;
        let attempt = self.ring_doorbell(by, first, end)?;
        let Attempt::Refused { step } = attempt else {
            return Ok(attempt);
        };
        // Steps are done before the runs that need them. One that there is not, or that was needed by runs which are done, says that
        // the header was overwritten: an engine that mistakes an instruction's length runs whatever follows it.
        let run = self.shared.header().current_run;
        let group = self.plan.group_of_step(step).map(|group| self.plan.blocks[group]);
        let is_possible = match group {
            _ if run == first => group.is_some() || step < prologue,
            Some(block) => run < block.first_run,
            None => false,
        };
        Ok(if is_possible { attempt } else { Attempt::Corrupted })
    }

    /// One of `MODE_*`.
    pub(super) fn memory_mode(&self) -> u32 {
        match self.spec.memory {
            MemoryMode::Scan => MODE_SCAN,
            MemoryMode::Copy => MODE_COPY,
        }
    }

    /// Rings the doorbell for the runs from `first` to `end`, whose mapping steps are written, and waits.
    pub(super) fn ring_doorbell(&mut self, by: By, first: u32, end: u32) -> Result<Attempt, EngineError> {
        let mode = self.memory_mode();
        let header = self.shared.header();
        header.mode = mode;
        header.line_count = self.line_count;
        let (shared, patience) = (&mut self.shared, self.spec.patience);
        let started = "started before";
        let answer = match by {
            By::Process => self.process.as_mut().expect(started).run_batch(shared, patience),
            By::Child => self
                .parent
                .as_mut()
                .expect(started)
                .run_in_child(shared, patience),
        };
        let answer = answer.map_err(|source| EngineError::Talk {
            engine: self.spec.name.clone(),
            source,
        })?;
        let header = *self.shared.header();
        // Never less than before: lines of earlier runs stay where they are, whatever happened to the header.
        let most = match self.spec.memory {
            MemoryMode::Scan => MAX_LINES,
            MemoryMode::Copy => MAX_REACHED as u32,
        };
        self.line_count = header.line_count.clamp(self.line_count, most);
        if matches!(answer, GuestAnswer::Done) {
            return Ok(self.done(by, &header, end));
        }
        let run = header.current_run.clamp(first, end - 1);
        self.lost(by, &answer, run, run != first)?;
        let (exit, signal) = match answer {
            GuestAnswer::Hung => (EXIT_HUNG, 0),
            _ if header.fatal_signal != 0 => (EXIT_RUNNER, 0),
            GuestAnswer::Died(status) | GuestAnswer::ChildDied(status) => (
                EXIT_DIED,
                std::os::unix::process::ExitStatusExt::signal(&status).unwrap_or(0) as u32,
            ),
            _ => (EXIT_DIED, 0),
        };
        Ok(Attempt::Died { run, exit, signal })
    }

    /// The guest has answered: what is to be said of the attempt that ended at `end`.
    fn done(&mut self, by: By, header: &Header, end: u32) -> Attempt {
        let attempt = if header.canary != MAGIC || header.magic != MAGIC || header.current_run > end {
            Attempt::Corrupted
        } else if header.failed_step != 0 {
            Attempt::Refused {
                step: header.failed_step - 1,
            }
        } else {
            Attempt::Done
        };
        if !matches!(attempt, Attempt::Corrupted) {
            self.deaths = 0;
        }
        if by == By::Process && !matches!(attempt, Attempt::Done) {
            // What it holds and has mapped by now is not known. What a child had is gone with it.
            self.process = None;
        }
        attempt
    }

    /// The process that was at `run` is gone, after others were done if `others` says so.
    fn lost(&mut self, by: By, answer: &GuestAnswer, run: u32, others: bool) -> Result<(), EngineError> {
        let guest = match by {
            By::Process => &mut self.process,
            By::Child => &mut self.parent,
        };
        let only_a_child = matches!(answer, GuestAnswer::ChildDied(_));
        let stderr = match guest {
            Some(parent) if only_a_child => parent.stderr_tail(),
            guest => guest
                .take()
                .map_or_else(String::new, |mut process| process.last_words()),
        };
        debug!(
            engine = self.spec.name,
            ?by,
            ?answer,
            stderr,
            run,
            "engine process lost"
        );
        self.forks &= !matches!(answer, GuestAnswer::NoChild);
        if only_a_child {
            return Ok(());
        }
        self.deaths = if others { 1 } else { self.deaths + 1 };
        if self.deaths > MAX_DEATHS_IN_A_ROW {
            return Err(EngineError::KeepsDying {
                engine: self.spec.name.clone(),
                count: self.deaths,
                stderr,
            });
        }
        Ok(())
    }

    fn mark(&mut self, runs: std::ops::Range<u32>, exit: u32, signal: u32) {
        for output in &mut self.plan.outputs_mut(&mut self.shared)[runs.start as usize..runs.end as usize] {
            output.exit = exit;
            output.fault.signal = signal;
            output.line_count = 0;
        }
    }
}
