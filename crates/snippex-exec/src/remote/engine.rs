//! An engine of another host, as an engine.

use std::sync::Arc;

use snippex_core::codec::Bytes;
use snippex_core::group::Group;
use tracing::warn;

use super::RemoteError;
use super::batch::{self, Expected, can_be_made, digest_expected_results, read_results};
use super::blobs;
use super::connection::Connection;
use super::digest::Digester;
use super::host::Host;
use super::message::{Answer, BatchWire, OriginWire, Request, decode_message};
use crate::discovery::CaseOrigin;
use crate::engine::{Engine, EngineEntry, EngineError, EngineIdentity, ProgramDigests};
use crate::results::{OwnedResults, Results};

/// How often a batch is asked for that loses its connection: then it may be what loses it.
const TRIALS: u32 = 3;

/// Which engine of which host.
#[derive(Clone, Debug)]
pub struct EngineOrder {
    /// The host.
    pub host: Arc<Host>,
    /// Name of the engine there, perhaps with a configuration.
    pub engine: String,
    /// How it is started, where that is more than its preset says.
    pub entry: Option<EngineEntry>,
}

/// Runs cases on an engine of another host. Several may share a connection.
#[derive(Debug)]
pub struct RemoteEngine {
    host: Arc<Host>,
    place: usize,
    engine: String,
    /// As JSON.
    entry: Option<String>,
    /// As the agent says, with the host's name before its own.
    identity: EngineIdentity,
    programs: ProgramDigests,
    origin: Option<Origin>,
    digester: Digester,
    results: Option<OwnedResults>,
}

/// Where cases come from.
#[derive(Debug)]
struct Origin {
    wire: OriginWire,
    of: CaseOrigin,
}

impl RemoteEngine {
    /// Starts the engine, or joins those who use it.
    ///
    /// # Errors
    /// When the host or its engine cannot be used.
    pub fn start(order: &EngineOrder) -> Result<Self, RemoteError> {
        let entry = order
            .entry
            .as_ref()
            .map(|entry| serde_json::to_string(entry).expect("an entry is JSON"));
        let place = order.host.next_place();
        let connection = order.host.connection_at(place)?;
        let there = connection.open_engine(&order.engine, entry.as_deref())?;
        Ok(Self {
            identity: named(there.identity, &order.host),
            programs: there.programs,
            host: Arc::clone(&order.host),
            place,
            engine: order.engine.clone(),
            entry,
            origin: None,
            digester: Digester::default(),
            results: None,
        })
    }

    /// Runs the batch, if need be over another connection than before.
    fn answer(
        &mut self,
        groups: &[Group],
        expected: Option<&Results<'_>>,
        fresh: bool,
    ) -> Result<OwnedResults, RemoteError> {
        let mut whole = !self
            .origin
            .as_ref()
            .is_some_and(|origin| can_be_made(groups, &origin.of.vector_pool, origin.of.states));
        let mut trial = 1;
        loop {
            match self.ask(groups, expected, fresh, whole) {
                Ok(Some(results)) => return Ok(results),
                Ok(None) if whole => return Err(RemoteError::Malformed("cases were to be made again")),
                Ok(None) => {
                    warn!(
                        host = self.host.name(),
                        "the host makes other cases; they are sent as a whole"
                    );
                    whole = true;
                }
                Err(error) if error.is_lost_host() && trial < TRIALS => {
                    warn!(host = self.host.name(), %error, "a batch is asked for again");
                    trial += 1;
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Asks for the batch once. `None` when the agent makes other cases.
    fn ask(
        &mut self,
        groups: &[Group],
        expected: Option<&Results<'_>>,
        fresh: bool,
        whole: bool,
    ) -> Result<Option<OwnedResults>, RemoteError> {
        let connection = self.host.connection_at(self.place)?;
        let engine = self.engine_on(&connection)?;
        let components = self.identity.components;
        let covered = expected.map_or(components, |expected| {
            expected.components.intersection(components)
        });
        let digests = match expected {
            Some(expected) if !whole => digest_expected_results(expected, covered, &mut self.digester),
            _ => Expected::expecting_nothing(groups.len()),
        };
        let origin = match &self.origin {
            Some(origin) if !whole => {
                let program = origin.of.program.as_deref();
                Some(connection.register_origin(&origin.wire, program, &self.host.blobs)?)
            }
            _ => None,
        };
        let packed = match origin {
            Some(_) => batch::pack_made_groups(groups, &digests.groups, &mut self.digester),
            None => batch::pack_whole_groups(groups),
        };
        let request = Request::Run {
            engine,
            batch: BatchWire {
                origin,
                fresh,
                covered,
                groups: Bytes(&packed),
                expected: Bytes(&digests.digests),
            },
        };
        let bytes = connection.send_request(&request)?;
        match decode_message(&bytes)? {
            Answer::Ran { results } => {
                let known = expected.map(|expected| (expected, &digests.groups[..]));
                read_results(&results, groups, known, components).map(Some)
            }
            Answer::OtherCases => Ok(None),
            other => Err(connection.error_from_answer(other)),
        }
    }

    /// The engine's number on a connection, where it is to be what it was.
    fn engine_on(&self, connection: &Connection) -> Result<u32, RemoteError> {
        let opened = connection.open_engine(&self.engine, self.entry.as_deref())?;
        let there = named(opened.identity, &self.host);
        let is_same = (&there.version, &there.cpu) == (&self.identity.version, &self.identity.cpu)
            && opened.programs == self.programs;
        if !is_same {
            return Err(RemoteError::Changed {
                host: self.host.name().to_owned(),
                engine: self.engine.clone(),
            });
        }
        Ok(opened.number)
    }
}

/// The engine as results name it.
fn named(mut there: EngineIdentity, host: &Host) -> EngineIdentity {
    there.name = format!("{}/{}", host.name(), there.name);
    there
}

impl Engine for RemoteEngine {
    fn identity(&self) -> &EngineIdentity {
        &self.identity
    }

    fn remote_programs(&self) -> Option<&ProgramDigests> {
        Some(&self.programs)
    }

    fn run<'e>(&'e mut self, groups: &'e [Group]) -> Result<Results<'e>, EngineError> {
        let results = self.answer(groups, None, false)?;
        Ok(self.results.insert(results).view(groups)?)
    }

    fn run_expecting<'e>(
        &'e mut self,
        groups: &'e [Group],
        expected: &Results<'_>,
    ) -> Result<Results<'e>, EngineError> {
        let results = self.answer(groups, Some(expected), false)?;
        Ok(self.results.insert(results).view(groups)?)
    }

    fn run_fresh<'e>(&'e mut self, groups: &'e [Group]) -> Result<Results<'e>, EngineError> {
        let results = self.answer(groups, None, true)?;
        Ok(self.results.insert(results).view(groups)?)
    }

    fn makes_cases(&self) -> bool {
        true
    }

    fn cases_come_from(&mut self, origin: &CaseOrigin) {
        let wire = OriginWire {
            program: origin.program.as_deref().map(blobs::compute_blob_id),
            placement: origin.placement,
            seed: origin.seed,
            states: u32::try_from(origin.states).expect("a block has few states"),
            corners: origin.style == snippex_core::seed::Style::Corners,
            pool: self.digester.digest_vector_pool(&origin.vector_pool),
        };
        self.origin = Some(Origin {
            wire,
            of: origin.clone(),
        });
    }

    fn restart(&mut self) -> Result<(), EngineError> {
        let connection = self.host.connection_at(self.place)?;
        let engine = self.engine_on(&connection)?;
        let bytes = connection.send_request(&Request::Restart { engine })?;
        match decode_message(&bytes).map_err(RemoteError::from)? {
            Answer::Done => Ok(()),
            other => Err(connection.error_from_answer(other).into()),
        }
    }
}
