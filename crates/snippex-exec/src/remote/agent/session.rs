//! One host and what it asks.

use std::collections::HashMap;
use std::io::{self, ErrorKind, Read};
use std::sync::{Arc, Mutex, PoisonError};

use super::AgentOptions;
use super::engines::{EngineQueue, Job};
use crate::remote::RemoteError;
use crate::remote::blobs::{self, BlobStore};
use crate::remote::frame::{self, Frame, Kind};
use crate::remote::message::{
    Answer, BlobId, HostInfo, OriginWire, PROTOCOL, Request, decode_message, pack_message,
};
use crate::remote::output::Output;

/// Longest packed blob that is taken, in bytes.
const MAX_PACKED: u64 = 1 << 30;

/// Where cases come from, with the program at hand.
#[derive(Debug)]
pub(super) struct Origin {
    pub(super) wire: OriginWire,
    pub(super) program: Option<Arc<[u8]>>,
}

/// By number, what the host has told.
pub(super) type Origins = Arc<Mutex<HashMap<u32, Arc<Origin>>>>;

pub(super) struct Session {
    output: Arc<Output>,
    blobs: BlobStore,
    folder: Option<std::path::PathBuf>,
    origins: Origins,
    engines: HashMap<u32, EngineQueue>,
    coming: HashMap<u32, Coming>,
}

/// A blob that is on its way.
struct Coming {
    blob: BlobId,
    base: Option<BlobId>,
    length: u64,
    packed: Vec<u8>,
}

impl Session {
    pub(super) fn new(output: Arc<Output>, options: &AgentOptions) -> Self {
        Self {
            output,
            blobs: BlobStore::default(),
            folder: options.blobs.clone(),
            origins: Origins::default(),
            engines: HashMap::new(),
            coming: HashMap::new(),
        }
    }

    /// Does what is asked until the host hangs up; engines end with it.
    pub(super) fn serve_requests(mut self, input: &mut dyn Read) -> io::Result<()> {
        let hello = frame::read_frame(input)?.ok_or(ErrorKind::UnexpectedEof)?;
        let info: HostInfo = match decode_message(&hello.payload) {
            Ok(info) if hello.kind == Kind::Hello => info,
            _ => return Err(invalid("the other end is no host of this snippex")),
        };
        if info.protocol != PROTOCOL {
            return Err(invalid("the host speaks another version of the protocol"));
        }
        self.blobs = BlobStore::new(self.folder.take().filter(|_| info.keep_blobs));
        while let Some(frame) = frame::read_frame(input)? {
            match frame.kind {
                Kind::Credit => self.output.may_send(credit_of(&frame)?),
                Kind::Pulse => {}
                Kind::Piece => self.take_piece(&frame)?,
                Kind::Message => self.take_request(frame)?,
                Kind::Hello => return Err(invalid("the host said hello twice")),
            }
        }
        Ok(())
    }

    fn answer(&self, stream: u32, answer: &Answer<'_>) {
        // Whoever reads does not wait for credit, which it would have to read.
        let _ = self.output.send_now(stream, Kind::Message, &pack_message(answer));
    }

    fn take_request(&mut self, frame: Frame) -> io::Result<()> {
        let stream = frame.stream;
        let request: Request<'_> =
            decode_message(&frame.payload).map_err(|error| io::Error::new(ErrorKind::InvalidData, error))?;
        let length = frame.payload.len();
        match request {
            Request::Run { engine, ref batch } => {
                let job = Job::Run { origin: batch.origin };
                drop(request);
                // Taken off when it is run.
                return self.queue(engine, stream, job, frame.payload);
            }
            Request::Restart { engine } => self.queue(engine, stream, Job::Restart, Vec::new())?,
            Request::Open { number, name, entry } => {
                let queue = EngineQueue::start_engine(name, entry, stream, &self.output, &self.origins);
                self.engines.insert(number, queue);
            }
            Request::Origin { number, origin } => {
                let answer = self.add_origin(number, origin);
                self.answer(stream, &answer);
            }
            Request::Offer { blob, bases } => {
                let have = self.blobs.get(&blob).is_some();
                let base = bases.into_iter().find(|base| self.blobs.get(base).is_some());
                self.answer(stream, &Answer::Offered { have, base });
            }
            Request::Blob { blob, base, length } => {
                if length > MAX_PACKED {
                    return Err(invalid("a program is longer than 1 GiB"));
                }
                let coming = Coming {
                    blob,
                    base,
                    length,
                    packed: Vec::new(),
                };
                self.coming.insert(stream, coming);
            }
        }
        self.output.grant_credit(length);
        Ok(())
    }

    fn queue(&mut self, engine: u32, stream: u32, job: Job, payload: Vec<u8>) -> io::Result<()> {
        let queue = self.engines.get(&engine);
        let queue = queue.ok_or_else(|| invalid("the host names an engine that it has not opened"))?;
        queue.add_job(stream, job, payload);
        Ok(())
    }

    fn add_origin(&mut self, number: u32, wire: OriginWire) -> Answer<'static> {
        let program = match &wire.program {
            None => None,
            Some(blob) => match self.blobs.get(blob) {
                Some(program) => Some(program),
                None => {
                    return failure_answer(&RemoteError::Malformed(
                        "the program was not sent before its cases",
                    ));
                }
            },
        };
        let mut origins = self.origins.lock().unwrap_or_else(PoisonError::into_inner);
        origins.insert(number, Arc::new(Origin { wire, program }));
        Answer::Done
    }

    fn take_piece(&mut self, frame: &Frame) -> io::Result<()> {
        let stream = frame.stream;
        let coming = self.coming.get_mut(&stream);
        let coming = coming.ok_or_else(|| invalid("a piece of nothing came"))?;
        coming.packed.extend(&frame.payload);
        self.output.grant_credit(frame.payload.len());
        if (coming.packed.len() as u64) < coming.length {
            return Ok(());
        }
        let answer = match self.coming.remove(&stream).map(|coming| self.keep(&coming)) {
            Some(Err(error)) => failure_answer(&error),
            _ => Answer::Done,
        };
        self.answer(stream, &answer);
        Ok(())
    }

    fn keep(&mut self, coming: &Coming) -> Result<(), RemoteError> {
        let base = match &coming.base {
            None => None,
            Some(base) => Some(
                self.blobs
                    .get(base)
                    .ok_or(RemoteError::Malformed("the base is gone"))?,
            ),
        };
        let bytes = blobs::unpack_blob(&coming.packed, base.as_deref(), &coming.blob)?;
        self.blobs.put(coming.blob, bytes);
        Ok(())
    }
}

pub(super) fn answer_on(output: &Output, stream: u32, answer: &Answer<'_>) {
    // Where nobody reads any more the session ends.
    let _ = output.send_frame(stream, Kind::Message, &pack_message(answer));
}

/// What went wrong, in words for the other side.
pub(super) fn failure_answer(error: &RemoteError) -> Answer<'static> {
    Answer::Failed {
        problem: in_words(error),
        hint: error.hint(),
    }
}

/// An error with its causes.
pub(super) fn in_words(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let words = error.to_string();
        if !text.ends_with(&words) {
            text = format!("{text}: {words}");
        }
        cause = error.source();
    }
    text
}

pub(in crate::remote) fn credit_of(frame: &Frame) -> io::Result<usize> {
    let bytes: Result<[u8; 4], _> = frame.payload[..].try_into();
    bytes
        .map(|bytes| u32::from_le_bytes(bytes) as usize)
        .map_err(|_| invalid("a credit is not four bytes long"))
}

fn invalid(what: &'static str) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, what)
}
