//! A bundle into a database: what is there already stays as it is, what is not is added, in one transaction.

mod evidence;
mod nouns;
mod results;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::io::Read;
use std::sync::mpsc::sync_channel;
use std::thread;

use database_kit::Dialect;
use snippex_core::block::Block;
use sqlx::{AnyConnection, AssertSqlSafe};

use super::read::{Chunk, read_bundle};
use super::records::Record;
use super::{BundleError, Section, SectionCounts};
use crate::error::StoreError;
use crate::open::Store;
use crate::remove;

/// Chunks that wait for the database.
const WAITING: usize = 2;
/// Largest number of a block, a run and the like: the largest that every reader of JSON keeps.
const MAX_NUMBER: i64 = 1 << 53;
/// The latest time, in milliseconds since the Unix epoch: the end of the year 9999.
const MAX_TIME: i64 = 253_402_300_799_999;

/// What an import did, or would do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ImportReport {
    /// What happened to each part.
    pub sections: BTreeMap<Section, SectionCounts>,
    /// Entries of the list of known bugs that were left out, because the database's list names another issue.
    pub contradicting_known_bugs: u64,
}

impl Store {
    /// Adds what is in a bundle and not in the database, all of it or nothing. With `dry_run` nothing, but the report is the
    /// same.
    ///
    /// A host, an engine, a binary, a block, a case, a bug or a known bug is there already when one with the same content is;
    /// a run, when one with the same arguments, engines and start by the same process is, and then so are its results. Of
    /// two examples of a bug the plainer stays. Numbers are kept where they are above all that were given out; else the next
    /// are given.
    ///
    /// # Errors
    /// See [`BundleError`]; the database is as it was then.
    pub async fn import_bundle(
        &self,
        source: impl Read + Send + 'static,
        dry_run: bool,
    ) -> Result<ImportReport, BundleError> {
        let failed = self.failed_to("import");
        let (sender, chunks) = sync_channel::<Chunk>(WAITING);
        thread::Builder::new()
            .name("bundle".to_owned())
            .spawn(move || read_bundle(source, &sender))
            .map_err(StoreError::Start)?;
        let mut transaction = self.begin_transaction("import").await?;
        lock(&mut transaction).await.map_err(&failed)?;
        let mut import = Import::new(self, &mut transaction);
        // Without a transaction of its own the thread that waits here has nothing else to do.
        while let Ok(chunk) = chunks.recv() {
            let (section, records) = chunk?;
            import.take(section, records).await?;
        }
        let report = import.finish().await?;
        if dry_run {
            transaction.rollback().await.map_err(failed)?;
        } else {
            transaction.commit().await.map_err(failed)?;
        }
        Ok(report)
    }
}

/// Keeps others from adding rows meanwhile, in the order in which they take the tables. SQLite's transaction does.
async fn lock(connection: &mut AnyConnection) -> sqlx::Result<()> {
    if Dialect::of_connection(connection) == Dialect::Postgres {
        let sql =
            "LOCK TABLE block_numbers, binaries, blocks, hosts, engines, cases, block_results, divergences,
                       observations, bugs, known_bugs, runs IN SHARE ROW EXCLUSIVE MODE";
        sqlx::raw_sql(sql).execute(connection).await?;
    }
    Ok(())
}

/// What a number of the bundle stands for in the database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum RunPlace {
    /// Added, under this number.
    New(i64),
    /// There already: all that belongs to it is passed over.
    There,
}

/// A block that the database or the bundle has, by address and length, with its content if the database has it.
type KnownBlocks = HashMap<(u64, u64), Option<(i64, Block)>>;

/// An import under way.
struct Import<'i> {
    store: &'i Store,
    connection: &'i mut AnyConnection,
    report: ImportReport,
    /// By number in the bundle, the number in the database.
    hosts: HashMap<i64, i64>,
    engines: HashMap<i64, i64>,
    binaries: HashMap<i64, i64>,
    blocks: HashMap<i64, i64>,
    runs: HashMap<i64, RunPlace>,
    /// Blocks of binaries, by the binary's number in the database.
    known_blocks: HashMap<i64, KnownBlocks>,
    signatures: HashSet<String>,
    cases: HashSet<[u8; 32]>,
    /// The last number that was given out, by table.
    last: HashMap<&'static str, i64>,
    cases_before: i64,
}

impl<'i> Import<'i> {
    fn new(store: &'i Store, connection: &'i mut AnyConnection) -> Self {
        Self {
            store,
            connection,
            report: ImportReport::default(),
            hosts: HashMap::new(),
            engines: HashMap::new(),
            binaries: HashMap::new(),
            blocks: HashMap::new(),
            runs: HashMap::new(),
            known_blocks: HashMap::new(),
            signatures: HashSet::new(),
            cases: HashSet::new(),
            last: HashMap::new(),
            cases_before: 0,
        }
    }

    /// Takes records of one section.
    async fn take(&mut self, section: Section, records: Vec<Record>) -> Result<(), BundleError> {
        if section == Section::Cases && self.cases.is_empty() {
            self.cases_before = self.count_cases().await?;
        }
        let first = self.report.sections.entry(section).or_default().records;
        let mut blocks = Vec::new();
        let mut batch = results::ImportBatch::default();
        for (index, record) in (first..).zip(records) {
            self.report.sections.entry(section).or_default().records += 1;
            let place = At { section, index };
            match record {
                Record::Host(host) => self.import_host(place, &host).await?,
                Record::Engine(engine) => self.import_engine(place, engine).await?,
                Record::Binary(binary) => self.import_binary(place, &binary).await?,
                Record::Block(block) => blocks.extend(self.prepare_block(place, block).await?),
                Record::Run(run) => self.import_run(place, *run).await?,
                Record::Result(result) => self.import_result(place, result, &mut batch)?,
                Record::Case(case) => self.import_case(place, &case, &mut batch)?,
                Record::Divergence(divergence) => self.import_divergence(place, *divergence, &mut batch)?,
                Record::Observation(observation) => {
                    self.import_observation(place, observation, &mut batch)?;
                }
                Record::Bug(bug) => self.import_bug(place, &bug).await?,
                Record::Sighting(sighting) => self.import_sighting(place, sighting, &mut batch)?,
                Record::Example(example) => self.import_example(place, *example).await?,
                Record::KnownBug(known) => self.import_known_bug(place, known).await?,
            }
        }
        self.insert_blocks(section, &blocks).await?;
        self.insert_batch(batch).await
    }

    fn added(&mut self, section: Section, count: u64) {
        self.report.sections.entry(section).or_default().added += count;
    }

    /// Ends the sequences of numbers where they are now, and lets go of what came for runs that were there.
    async fn finish(mut self) -> Result<ImportReport, BundleError> {
        let failed = self.store.failed_to("import");
        remove::delete_unused_cases(self.connection)
            .await
            .map_err(&failed)?;
        let cases = self.count_cases().await? - self.cases_before;
        if !self.cases.is_empty() {
            self.added(Section::Cases, u64::try_from(cases).unwrap_or(0));
        }
        if Dialect::of_connection(self.connection) == Dialect::Postgres {
            for (table, last) in &self.last {
                // Safe: a constant and a number.
                let sql = match *table {
                    "blocks" => continue,
                    table => format!("SELECT setval('{table}_id_seq', {last})"),
                };
                let done = sqlx::raw_sql(AssertSqlSafe(sql))
                    .execute(&mut *self.connection)
                    .await;
                done.map_err(&failed)?;
            }
        }
        Ok(self.report)
    }

    async fn count_cases(&mut self) -> Result<i64, StoreError> {
        sqlx::query_scalar("SELECT COUNT(*) FROM cases")
            .fetch_one(&mut *self.connection)
            .await
            .map_err(self.store.failed_to("import"))
    }

    /// The number for a new row of `table`: that of the bundle if it is above all that were given out, else the next.
    async fn number(&mut self, table: &'static str, wanted: i64) -> Result<i64, BundleError> {
        let last = match self.last.get(table) {
            Some(last) => *last,
            None => {
                let sql = last_number(table, Dialect::of_connection(self.connection));
                // Safe: made of the names of tables.
                let query = sqlx::query_scalar::<_, i64>(AssertSqlSafe(sql));
                let last = query.fetch_optional(&mut *self.connection).await;
                last.map_err(self.store.failed_to("import"))?.unwrap_or(0)
            }
        };
        let number = wanted.max(last + 1);
        self.last.insert(table, number);
        Ok(number)
    }
}

/// A query for the last number that was given out in a table, also to rows that are gone.
fn last_number(table: &str, dialect: Dialect) -> String {
    match (table, dialect) {
        ("blocks", _) => "SELECT last FROM block_numbers".to_owned(),
        (_, Dialect::Sqlite) => {
            format!("SELECT CAST(seq AS INTEGER) FROM sqlite_sequence WHERE name = '{table}'")
        }
        (_, Dialect::Postgres) => {
            format!("SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM {table}_id_seq")
        }
    }
}

/// Where in the bundle a record stands.
#[derive(Clone, Copy, Debug)]
struct At {
    section: Section,
    index: u64,
}

impl At {
    fn invalid(self, reason: impl Into<String>) -> BundleError {
        BundleError::Invalid {
            section: self.section,
            index: self.index,
            reason: reason.into(),
        }
    }

    fn contradicts(self, reason: impl Into<String>) -> BundleError {
        BundleError::Contradiction {
            section: self.section,
            index: self.index,
            reason: reason.into(),
        }
    }

    /// What `map` has for a number that another record refers to.
    fn known<T: Copy>(self, map: &HashMap<i64, T>, what: &str, number: i64) -> Result<T, BundleError> {
        map.get(&number)
            .copied()
            .ok_or_else(|| self.invalid(format!("{what} {number} does not stand before it")))
    }

    /// Notes the number of a record: a positive one, and only once.
    fn note<T>(self, map: &mut HashMap<i64, T>, number: i64, place: T) -> Result<(), BundleError> {
        self.numbered(number)?;
        match map.insert(number, place) {
            None => Ok(()),
            Some(_) => Err(self.invalid(format!("the number {number} is there twice"))),
        }
    }

    fn numbered(self, number: i64) -> Result<(), BundleError> {
        if (1..=MAX_NUMBER).contains(&number) {
            Ok(())
        } else {
            Err(self.invalid(format!("{number} is no number: they go from 1 to {MAX_NUMBER}")))
        }
    }

    fn timed(self, times: &[i64]) -> Result<(), BundleError> {
        match times.iter().find(|time| !(0..=MAX_TIME).contains(*time)) {
            None => Ok(()),
            Some(time) => Err(self.invalid(format!("{time} is no time: they go from 0 to {MAX_TIME}"))),
        }
    }

    /// What PostgreSQL takes for no text is none.
    fn plain(self, texts: &[&str]) -> Result<(), BundleError> {
        if texts.iter().any(|text| text.contains('\0')) {
            return Err(self.invalid("a text has a zero character"));
        }
        Ok(())
    }

    fn json(self, text: &str) -> Result<(), BundleError> {
        match serde_json::from_str::<serde::de::IgnoredAny>(text) {
            Ok(_) => Ok(()),
            Err(error) => Err(self.invalid(format!("what should be JSON is not: {error}"))),
        }
    }

    /// Counts that are added to others.
    fn counts(self, counts: &[u64]) -> Result<(), BundleError> {
        match counts.iter().find(|count| **count > MAX_NUMBER.cast_unsigned()) {
            None => Ok(()),
            Some(count) => Err(self.invalid(format!("{count} is more than can be counted"))),
        }
    }

    /// An answer of the database to an insert: that a row is there can only be the bundle's fault.
    fn inserted<T>(self, store: &Store, result: sqlx::Result<T>) -> Result<T, BundleError> {
        result.map_err(|error| match error.as_database_error() {
            Some(refusal) if refusal.is_unique_violation() => {
                self.invalid("it, or one of those after it, is there twice")
            }
            _ => store.failed_to("import")(error).into(),
        })
    }
}
