//! A database as a bundle: one consistent picture of it, row by row.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use database_kit::Dialect;
use futures_util::TryStreamExt as _;
use serde::Serialize;
use snippex_core::state::Components;
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, AssertSqlSafe, Row};

use super::Section;
use super::records::{
    Base64, BinaryRecord, BlockRecord, BugRecord, CaseRecord, DivergenceRecord, EngineRecord, ExampleRecord,
    GuestRecord, HexBytes, HexNumber, HostRecord, KnownBugRecord, ObservationRecord, PartitionRecord,
    ResultRecord, RunRecord, SightingRecord, SummaryRecord,
};
use super::write::{BundleText, Sink};
use crate::error::StoreError;
use crate::ids::UnixMillis;
use crate::open::Store;
use crate::run::RunStatus;
use crate::{column, names, owner, run_summary};

/// What a bundle holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExportedBundle {
    /// Records by section.
    pub records: BTreeMap<Section, u64>,
    /// Runs that are under way, and not in the bundle.
    pub running: u64,
}

impl Store {
    /// Gives all that is stored as the text of a bundle to `sink`, piece by piece, until that wants no more (`false`). It is
    /// the database at one moment, whoever writes meanwhile. Runs that are under way are left out, with all that is theirs:
    /// whoever imports the bundle would take what they have so far for all there is.
    ///
    /// # Errors
    /// When the database cannot be read, or holds what snippex does not write.
    pub async fn export_bundle(
        &self,
        mut sink: impl FnMut(String) -> bool + Send,
    ) -> Result<ExportedBundle, StoreError> {
        let failed = self.failed_to("export");
        let mut transaction = self.pool.begin().await.map_err(&failed)?;
        if Dialect::of_location(self.location()) == Dialect::Postgres {
            let sql = "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY";
            sqlx::raw_sql(sql)
                .execute(&mut *transaction)
                .await
                .map_err(&failed)?;
        }
        let sink: &mut Sink<'_> = &mut sink;
        let mut export = Export {
            store: self,
            connection: &mut transaction,
            text: BundleText::begin_document(sink),
            done: ExportedBundle::default(),
            running: BTreeSet::new(),
        };
        export.sections().await?;
        let Export { text, done, .. } = export;
        text.end_document();
        transaction.rollback().await.map_err(failed)?;
        Ok(done)
    }
}

/// An export under way.
struct Export<'e> {
    store: &'e Store,
    connection: &'e mut AnyConnection,
    text: BundleText<'e>,
    done: ExportedBundle,
    running: BTreeSet<i64>,
}

/// A row that is left out is `None`.
type Read<T> = Result<Option<T>, StoreError>;

impl Export<'_> {
    async fn sections(&mut self) -> Result<(), StoreError> {
        self.hosts_and_engines().await?;
        self.binaries_and_blocks().await?;
        self.runs().await?;
        self.results().await?;
        self.evidence().await?;
        self.bugs().await
    }

    /// Writes a section of what `read` makes of the rows of a query.
    async fn section<T: Serialize>(
        &mut self,
        section: Section,
        sql: &str,
        mut read: impl FnMut(&Store, &BTreeSet<i64>, &AnyRow) -> Read<T>,
    ) -> Result<(), StoreError> {
        let failed = self.store.failed_to("export");
        self.text.begin_section(section);
        let count = self.done.records.entry(section).or_default();
        // Safe: every text is a constant, one with numbers that were read as such.
        let mut rows = sqlx::query(AssertSqlSafe(sql.to_owned())).fetch(&mut *self.connection);
        while let Some(row) = rows.try_next().await.map_err(&failed)? {
            if !self.text.is_wanted {
                break;
            }
            if let Some(record) = read(self.store, &self.running, &row)? {
                self.text.write_record(&record);
                *count += 1;
            }
        }
        self.text.end_section();
        Ok(())
    }

    async fn hosts_and_engines(&mut self) -> Result<(), StoreError> {
        let sql =
            "SELECT id, name, architecture, cpu_model, cpu_count, kernel, page_size FROM hosts ORDER BY id";
        self.section(Section::Hosts, sql, |store, _, row| plain(store, read_host(row)))
            .await?;
        let sql = "SELECT id, name, version, configuration, components, guest_vendor, guest_brand, guest_hypervisor,
                       guest_xcr0, guest_features, host_cpu FROM engines ORDER BY id";
        self.section(Section::Engines, sql, |store, _, row| {
            plain(store, read_engine(row))
        })
        .await
    }

    async fn binaries_and_blocks(&mut self) -> Result<(), StoreError> {
        let sql = "SELECT id, sha256, name, path, size, format FROM binaries ORDER BY id";
        self.section(Section::Binaries, sql, |store, _, row| {
            plain(store, read_binary(row))
        })
        .await?;
        let sql =
            "SELECT number, binary_id, address, bytes, instruction_count, terminator, successors, origin,
                       unrunnable FROM blocks ORDER BY number";
        self.section(Section::Blocks, sql, |store, _, row| {
            read_block(store, row).map(Some)
        })
        .await
    }

    async fn runs(&mut self) -> Result<(), StoreError> {
        let failed = self.store.failed_to("export");
        let sql = "SELECT run_id, engine_id FROM run_engines ORDER BY run_id, position";
        let rows: Vec<(i64, i64)> = sqlx::query_as(sql)
            .fetch_all(&mut *self.connection)
            .await
            .map_err(&failed)?;
        let mut engines: HashMap<i64, Vec<i64>> = HashMap::new();
        for (run, engine) in rows {
            engines.entry(run).or_default().push(engine);
        }
        let sql = "SELECT id, command, arguments, tool_version, seed, states_per_block, partition_index,
                       partition_count, host_id, owner, status, started, heartbeat, finished, run_summaries.*
                   FROM runs LEFT JOIN run_summaries ON run_id = id ORDER BY id";
        let now = UnixMillis::now();
        let mut running = BTreeSet::new();
        self.section(Section::Runs, sql, |store, _, row| {
            let mut run = read_run(row).map_err(&failed)?;
            let is_working =
                names::variant_from_word(&text(store, row, "status")?) == Some(RunStatus::Running);
            if is_working && owner::is_alive(&run.owner, UnixMillis(run.heartbeat_ms), now) {
                running.insert(run.id);
                return Ok(None);
            }
            run.engines = engines.remove(&run.id).unwrap_or_default();
            plain(store, Ok(run))
        })
        .await?;
        self.done.running = running.len() as u64;
        self.running = running;
        Ok(())
    }

    async fn results(&mut self) -> Result<(), StoreError> {
        let failed = self.store.failed_to("export");
        let sql = "SELECT results.run_id AS run_id, results.block AS block, results.engine_id AS engine_id,
                       results.runs AS runs, completed, faulted, matched, diverged, unsupported,
                       reason, reasons.runs AS reason_runs
                   FROM block_results results LEFT JOIN block_inconclusive reasons
                       ON reasons.run_id = results.run_id AND reasons.block = results.block
                       AND reasons.engine_id = results.engine_id
                   ORDER BY results.run_id, results.block, results.engine_id, reason";
        self.text.begin_section(Section::Results);
        let count = self.done.records.entry(Section::Results).or_default();
        let mut gathered: Option<ResultRecord> = None;
        let mut rows = sqlx::query(sql).fetch(&mut *self.connection);
        while let Some(row) = rows.try_next().await.map_err(&failed)? {
            if !self.text.is_wanted {
                break;
            }
            let (mut record, reason) = read_result(&row).map_err(&failed)?;
            if self.running.contains(&record.run) {
                continue;
            }
            // A row a reason: those of one result follow each other.
            let key = |record: &ResultRecord| (record.run, record.block, record.engine);
            if let Some(before) = gathered.take() {
                if key(&before) == key(&record) {
                    record.inconclusive = before.inconclusive;
                } else {
                    self.text.write_record(&before);
                    *count += 1;
                }
            }
            record.inconclusive.extend(reason);
            gathered = Some(record);
        }
        if let Some(last) = gathered {
            self.text.write_record(&last);
            *count += 1;
        }
        self.text.end_section();
        Ok(())
    }

    async fn evidence(&mut self) -> Result<(), StoreError> {
        let sql = format!(
            "SELECT id, bytes FROM cases
             WHERE EXISTS (SELECT 1 FROM divergences WHERE case_id = cases.id AND run_id NOT IN ({running}))
                 OR EXISTS (SELECT 1 FROM observations WHERE case_id = cases.id AND run_id NOT IN ({running}))
                 OR EXISTS (SELECT 1 FROM bug_examples WHERE case_id = cases.id)
             ORDER BY id",
            running = self.running_list()
        );
        self.section(Section::Cases, &sql, |store, _, row| {
            let mut record = read_case(row).map_err(store.failed_to("export"))?;
            record.bytes.0 = store.unpack("case", &record.bytes.0, &[])?.into_owned();
            Ok(Some(record))
        })
        .await?;
        let sql = "SELECT divergences.id AS id, run_id, block, engine_id, reference_id, state_index, case_id, class, culprit,
                       confirmations, differences, expected, actual, cases.bytes AS case_bytes
                   FROM divergences JOIN cases ON cases.id = case_id ORDER BY divergences.id";
        self.section(Section::Divergences, sql, |store, running, row| {
            let mut record = read_divergence(row).map_err(store.failed_to("export"))?;
            unpack_ends(store, row, [&mut record.expected, &mut record.actual])?;
            Ok((!running.contains(&record.run)).then_some(record))
        })
        .await?;
        let sql = "SELECT observations.id AS id, run_id, block, engine_id, state_index, case_id, observation,
                       cases.bytes AS case_bytes
                   FROM observations JOIN cases ON cases.id = case_id ORDER BY observations.id";
        self.section(Section::Observations, sql, |store, running, row| {
            let mut record = read_observation(row).map_err(store.failed_to("export"))?;
            unpack_ends(store, row, [&mut record.observation])?;
            Ok((!running.contains(&record.run)).then_some(record))
        })
        .await
    }

    async fn bugs(&mut self) -> Result<(), StoreError> {
        // What only a run under way has met is that run's.
        let seen = |of: &str| {
            format!(
                "(EXISTS (SELECT 1 FROM bug_sightings seen WHERE {of} AND run_id NOT IN ({}))
                  OR NOT EXISTS (SELECT 1 FROM bug_sightings seen WHERE {of}))",
                self.running_list()
            )
        };
        let of_bug = seen("seen.signature = bugs.signature");
        let of_example = seen("seen.signature = bug_examples.signature AND seen.cause = bug_examples.cause");
        let sql = format!(
            "SELECT signature, kind, form, encoding, fields, first_seen FROM bugs WHERE {of_bug} ORDER BY signature"
        );
        self.section(Section::Bugs, &sql, |store, _, row| {
            let signature = store.read_signature(row)?;
            let failed = store.failed_to("export");
            Ok(Some(BugRecord {
                signature: text(store, row, "signature")?,
                kind: signature.kind,
                form: signature.form.text,
                encoding: signature.form.encoding,
                fields: signature.fields,
                first_seen_ms: row.try_get("first_seen").map_err(failed)?,
            }))
        })
        .await?;
        let sql = "SELECT cause, signature, run_id, engine_id, runs, blocks FROM bug_sightings
                   ORDER BY cause, signature, run_id, engine_id";
        self.section(Section::Sightings, sql, |store, running, row| {
            let record = read_sighting(row).map_err(store.failed_to("export"))?;
            Ok((!running.contains(&record.run)).then_some(record))
        })
        .await?;
        let sql = format!(
            "SELECT cause, signature, engine_id, reference_id, block, case_id, reduced, confirmations, differences,
                 expected, actual, found, cases.bytes AS case_bytes
             FROM bug_examples JOIN cases ON cases.id = case_id WHERE {of_example} ORDER BY cause, signature, engine_id"
        );
        self.section(Section::Examples, &sql, |store, _, row| {
            let mut record = read_example(row).map_err(store.failed_to("export"))?;
            unpack_ends(store, row, [&mut record.expected, &mut record.actual])?;
            Ok(Some(record))
        })
        .await?;
        let sql = "SELECT bug, engine, issue, note, added FROM known_bugs ORDER BY bug, engine";
        self.section(Section::KnownBugs, sql, |store, _, row| {
            plain(store, read_known(row))
        })
        .await
    }

    /// The numbers of runs under way, for a query; a number that no run has stands for none.
    fn running_list(&self) -> String {
        let numbers: Vec<String> = self.running.iter().map(i64::to_string).collect();
        if numbers.is_empty() {
            "-1".to_owned()
        } else {
            numbers.join(", ")
        }
    }
}

fn plain<T>(store: &Store, record: sqlx::Result<T>) -> Read<T> {
    record.map(Some).map_err(store.failed_to("export"))
}

/// Brings observations that lie beside their case in `row` back to what they were made of.
fn unpack_ends<const N: usize>(
    store: &Store,
    row: &AnyRow,
    ends: [&mut Base64; N],
) -> Result<(), StoreError> {
    let packed: Vec<u8> = row.try_get("case_bytes").map_err(store.failed_to("export"))?;
    let case = store.unpack("case", &packed, &[])?;
    for end in ends {
        end.0 = store.unpack("observation", &end.0, &case)?.into_owned();
    }
    Ok(())
}

fn text(store: &Store, row: &AnyRow, column: &str) -> Result<String, StoreError> {
    row.try_get(column).map_err(store.failed_to("export"))
}

fn read_host(row: &AnyRow) -> sqlx::Result<HostRecord> {
    Ok(HostRecord {
        id: row.try_get("id")?,
        name: row.try_get("name")?,
        architecture: row.try_get("architecture")?,
        cpu_model: row.try_get("cpu_model")?,
        cpu_count: column::read_small_integer(row, "cpu_count")?,
        kernel: row.try_get("kernel")?,
        page_size: column::read_small_integer(row, "page_size")?,
    })
}

fn read_engine(row: &AnyRow) -> sqlx::Result<EngineRecord> {
    let features: String = row.try_get("guest_features")?;
    let components = Components(column::read_small_integer(row, "components")?);
    Ok(EngineRecord {
        id: row.try_get("id")?,
        name: row.try_get("name")?,
        version: row.try_get("version")?,
        configuration: row.try_get("configuration")?,
        components: components.names().map(str::to_owned).collect(),
        guest: GuestRecord {
            vendor: row.try_get("guest_vendor")?,
            brand: row.try_get("guest_brand")?,
            hypervisor: row.try_get("guest_hypervisor")?,
            xcr0: HexNumber(column::read_u64(row, "guest_xcr0")?),
            features: features.split_whitespace().map(str::to_owned).collect(),
        },
        host_cpu: row.try_get("host_cpu")?,
    })
}

fn read_binary(row: &AnyRow) -> sqlx::Result<BinaryRecord> {
    Ok(BinaryRecord {
        id: row.try_get("id")?,
        sha256: row.try_get("sha256")?,
        name: row.try_get("name")?,
        path: row.try_get("path")?,
        size: column::read_u64(row, "size")?,
        format: row.try_get("format")?,
    })
}

fn read_block(store: &Store, row: &AnyRow) -> Result<BlockRecord, StoreError> {
    let stored = store.read_block(row)?;
    let block = stored.block;
    Ok(BlockRecord {
        number: stored.number.0,
        binary: stored.binary.0,
        address: HexNumber(block.address),
        bytes: HexBytes(block.bytes),
        instruction_count: block.instruction_count,
        terminator: block.terminator,
        successors: block.successors.into_iter().map(HexNumber).collect(),
        origin: block.origin,
        unrunnable: block.unrunnable,
    })
}

fn read_run(row: &AnyRow) -> sqlx::Result<RunRecord> {
    let index: Option<i64> = row.try_get("partition_index")?;
    let partition = match index {
        None => None,
        Some(_) => Some(PartitionRecord {
            index: column::read_small_integer(row, "partition_index")?,
            count: column::read_small_integer(row, "partition_count")?,
        }),
    };
    let status: String = row.try_get("status")?;
    let details: Option<String> = row.try_get("details")?;
    let summary = match details {
        None => None,
        Some(_) => Some(summary_record(run_summary::read_summary(row)?)),
    };
    Ok(RunRecord {
        id: row.try_get("id")?,
        command: row.try_get("command")?,
        arguments: row.try_get("arguments")?,
        tool_version: row.try_get("tool_version")?,
        seed: HexNumber(column::read_u64(row, "seed")?),
        states_per_block: column::read_small_integer(row, "states_per_block")?,
        partition,
        host: row.try_get("host_id")?,
        engines: Vec::new(),
        owner: row.try_get("owner")?,
        finished: names::variant_from_word(&status) == Some(RunStatus::Finished),
        started_ms: row.try_get("started")?,
        heartbeat_ms: row.try_get("heartbeat")?,
        ended_ms: row.try_get("finished")?,
        summary,
    })
}

fn summary_record(summary: run_summary::RunSummary) -> SummaryRecord {
    SummaryRecord {
        elapsed_us: summary.elapsed.as_micros().try_into().unwrap_or(u64::MAX),
        blocks: summary.blocks,
        diverging_blocks: summary.diverging_blocks,
        runs: summary.runs,
        completed: summary.completed,
        faulted: summary.faulted,
        matched: summary.matched,
        diverged: summary.diverged,
        inconclusive: summary.inconclusive,
        unsupported: summary.unsupported,
        details: summary.details,
    }
}

fn read_result(row: &AnyRow) -> sqlx::Result<(ResultRecord, Option<(String, u32)>)> {
    let reason: Option<String> = row.try_get("reason")?;
    let reason = match reason {
        None => None,
        Some(reason) => Some((reason, column::read_small_integer(row, "reason_runs")?)),
    };
    let record = ResultRecord {
        run: row.try_get("run_id")?,
        block: row.try_get("block")?,
        engine: row.try_get("engine_id")?,
        runs: column::read_small_integer(row, "runs")?,
        completed: column::read_small_integer(row, "completed")?,
        faulted: column::read_small_integer(row, "faulted")?,
        matched: column::read_small_integer(row, "matched")?,
        diverged: column::read_small_integer(row, "diverged")?,
        unsupported: column::read_small_integer(row, "unsupported")?,
        inconclusive: BTreeMap::new(),
    };
    Ok((record, reason))
}

fn read_case(row: &AnyRow) -> sqlx::Result<CaseRecord> {
    Ok(CaseRecord {
        id: row.try_get("id")?,
        bytes: Base64(row.try_get("bytes")?),
    })
}

fn read_divergence(row: &AnyRow) -> sqlx::Result<DivergenceRecord> {
    Ok(DivergenceRecord {
        id: row.try_get("id")?,
        run: row.try_get("run_id")?,
        block: row.try_get("block")?,
        engine: row.try_get("engine_id")?,
        reference: row.try_get("reference_id")?,
        state_index: column::read_small_integer(row, "state_index")?,
        case: row.try_get("case_id")?,
        class: row.try_get("class")?,
        culprit: row.try_get("culprit")?,
        confirmations: column::read_small_integer(row, "confirmations")?,
        differences: row.try_get("differences")?,
        expected: Base64(row.try_get("expected")?),
        actual: Base64(row.try_get("actual")?),
    })
}

fn read_observation(row: &AnyRow) -> sqlx::Result<ObservationRecord> {
    Ok(ObservationRecord {
        id: row.try_get("id")?,
        run: row.try_get("run_id")?,
        block: row.try_get("block")?,
        engine: row.try_get("engine_id")?,
        state_index: column::read_small_integer(row, "state_index")?,
        case: row.try_get("case_id")?,
        observation: Base64(row.try_get("observation")?),
    })
}

fn read_sighting(row: &AnyRow) -> sqlx::Result<SightingRecord> {
    Ok(SightingRecord {
        cause: row.try_get("cause")?,
        signature: row.try_get("signature")?,
        run: row.try_get("run_id")?,
        engine: row.try_get("engine_id")?,
        runs: column::read_u64(row, "runs")?,
        blocks: column::read_u64(row, "blocks")?,
    })
}

fn read_example(row: &AnyRow) -> sqlx::Result<ExampleRecord> {
    Ok(ExampleRecord {
        cause: row.try_get("cause")?,
        signature: row.try_get("signature")?,
        engine: row.try_get("engine_id")?,
        reference: row.try_get("reference_id")?,
        block: row.try_get("block")?,
        case: row.try_get("case_id")?,
        reduced: row.try_get::<i64, _>("reduced")? != 0,
        confirmations: column::read_small_integer(row, "confirmations")?,
        differences: row.try_get("differences")?,
        expected: Base64(row.try_get("expected")?),
        actual: Base64(row.try_get("actual")?),
        found_ms: row.try_get("found")?,
    })
}

fn read_known(row: &AnyRow) -> sqlx::Result<KnownBugRecord> {
    Ok(KnownBugRecord {
        bug: row.try_get("bug")?,
        engine: row.try_get("engine")?,
        issue: row.try_get("issue")?,
        note: row.try_get("note")?,
        added_ms: row.try_get("added")?,
    })
}
