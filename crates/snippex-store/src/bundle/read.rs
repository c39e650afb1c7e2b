//! Reading of a bundle as a stream: whatever it holds, no more than some records are in memory.

use std::cell::Cell;
use std::fmt;
use std::io::{self, BufReader, Read};
use std::marker::PhantomData;
use std::rc::Rc;
use std::sync::mpsc::SyncSender;

use serde::de::{DeserializeOwned, DeserializeSeed, Error as _, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::error::Category;

use super::records::{KnownVersion, Record};
use super::{BundleError, Section};

/// Longest record that is read, in bytes of JSON: far above any case, far below harm.
pub(super) const MAX_RECORD: usize = 96 << 20;
/// Records that are handed over together.
const CHUNK: usize = 512;
/// So many bytes of records are handed over together even if they are few.
const CHUNK_BYTES: usize = 4 << 20;

/// Records of one section that follow each other, or why there are no more.
pub(super) type Chunk = Result<(Section, Vec<Record>), BundleError>;

/// Reads a bundle to its end and hands its records over, until nobody wants more.
pub(super) fn read_bundle(source: impl Read, chunks: &SyncSender<Chunk>) {
    let budget = Budget::default();
    let reader = BufReader::with_capacity(
        64 << 10,
        Limited {
            source,
            budget: budget.clone(),
        },
    );
    let mut json = serde_json::Deserializer::from_reader(reader);
    let document = Document {
        chunks,
        budget: budget.clone(),
    };
    let done = json.deserialize_map(document).and_then(|()| json.end());
    if let Err(error) = done {
        // Nobody is there to be told when they want no more.
        let _ = chunks.send(Err(of_json(error, &budget)));
    }
}

fn of_json(error: serde_json::Error, budget: &Budget) -> BundleError {
    match error.classify() {
        Category::Io if budget.is_exceeded.get() => BundleError::TooLong,
        Category::Io => BundleError::Read(error.into()),
        Category::Eof => BundleError::Truncated { line: error.line() },
        Category::Syntax | Category::Data => BundleError::Malformed(error),
    }
}

/// How many bytes were read since the last record.
#[derive(Clone, Default)]
struct Budget {
    used: Rc<Cell<usize>>,
    is_exceeded: Rc<Cell<bool>>,
}

struct Limited<R> {
    source: R,
    budget: Budget,
}

impl<R: Read> Read for Limited<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let used = &self.budget.used;
        if used.get() > MAX_RECORD {
            self.budget.is_exceeded.set(true);
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        let count = self.source.read(buffer)?;
        used.set(used.get() + count);
        Ok(count)
    }
}

/// The whole document.
struct Document<'c> {
    chunks: &'c SyncSender<Chunk>,
    budget: Budget,
}

impl<'de> Visitor<'de> for Document<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a bundle of `snippex export json`")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        expect_key(&mut map, "snippex_bundle")?;
        let KnownVersion = map.next_value()?;
        expect_key(&mut map, "snippex")?;
        let _: String = map.next_value()?;
        for section in Section::ALL {
            expect_key(&mut map, section.key())?;
            self.section(section, &mut map)?;
        }
        match map.next_key::<String>()? {
            None => Ok(()),
            Some(key) => Err(A::Error::custom(format_args!("unknown part {key:?}"))),
        }
    }
}

impl Document<'_> {
    fn section<'de, A: MapAccess<'de>>(&self, section: Section, map: &mut A) -> Result<(), A::Error> {
        match section {
            Section::Hosts => self.records(section, map, Record::Host),
            Section::Engines => self.records(section, map, Record::Engine),
            Section::Binaries => self.records(section, map, Record::Binary),
            Section::Blocks => self.records(section, map, Record::Block),
            Section::Runs => self.records(section, map, |run| Record::Run(Box::new(run))),
            Section::Results => self.records(section, map, Record::Result),
            Section::Cases => self.records(section, map, Record::Case),
            Section::Divergences => self.records(section, map, |found| Record::Divergence(Box::new(found))),
            Section::Observations => self.records(section, map, Record::Observation),
            Section::Bugs => self.records(section, map, Record::Bug),
            Section::Sightings => self.records(section, map, Record::Sighting),
            Section::Examples => self.records(section, map, |example| Record::Example(Box::new(example))),
            Section::KnownBugs => self.records(section, map, Record::KnownBug),
        }
    }

    fn records<'de, A: MapAccess<'de>, T: DeserializeOwned>(
        &self,
        section: Section,
        map: &mut A,
        wrap: fn(T) -> Record,
    ) -> Result<(), A::Error> {
        map.next_value_seed(Records {
            document: self,
            section,
            wrap,
            of: PhantomData,
        })
    }
}

fn expect_key<'de, A: MapAccess<'de>>(map: &mut A, expected: &str) -> Result<(), A::Error> {
    let found = map.next_key::<String>()?;
    match found.as_deref() {
        Some(key) if key == expected => Ok(()),
        Some(key) => Err(A::Error::custom(format_args!(
            "expected the part {expected:?} here, found {:?}",
            key.chars().take(40).collect::<String>()
        ))),
        None => Err(A::Error::custom(format_args!("the part {expected:?} is missing"))),
    }
}

/// The array of one section.
struct Records<'d, 'c, T> {
    document: &'d Document<'c>,
    section: Section,
    wrap: fn(T) -> Record,
    of: PhantomData<T>,
}

impl<'de, T: Deserialize<'de>> DeserializeSeed<'de> for Records<'_, '_, T> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de, T: Deserialize<'de>> Visitor<'de> for Records<'_, '_, T> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the array of {}", self.section)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut array: A) -> Result<(), A::Error> {
        let mut chunk = Vec::new();
        let mut bytes = 0;
        while let Some(record) = array.next_element::<T>()? {
            bytes += self.document.budget.used.replace(0);
            chunk.push((self.wrap)(record));
            if chunk.len() >= CHUNK || bytes >= CHUNK_BYTES {
                bytes = 0;
                self.hand_over(std::mem::take(&mut chunk))?;
            }
        }
        self.hand_over(chunk)
    }
}

impl<T> Records<'_, '_, T> {
    fn hand_over<E: serde::de::Error>(&self, chunk: Vec<Record>) -> Result<(), E> {
        let sent = self.document.chunks.send(Ok((self.section, chunk)));
        sent.map_err(|_| E::custom("nobody wants more"))
    }
}
