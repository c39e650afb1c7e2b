//! Hosts, engines, binaries, blocks and runs: what everything else refers to.

use snippex_core::block::Block;
use snippex_core::state::Components;
use snippex_core::words::escape_control;
use sqlx::Row;

use super::super::records::{
    BinaryRecord, BlockRecord, EngineRecord, HexNumber, HostRecord, RunRecord, SummaryRecord,
};
use super::super::{BundleError, Section};
use super::{At, Import, KnownBlocks, RunPlace};
use crate::block;
use crate::engine::{Guest, Host, StoredEngine, engine_fingerprint, host_fingerprint};
use crate::ids::BinaryId;
use crate::names;
use crate::run::RunStatus;
use crate::run_summary;

impl Import<'_> {
    pub(super) async fn import_host(&mut self, at: At, record: &HostRecord) -> Result<(), BundleError> {
        at.plain(&[
            &record.name,
            &record.architecture,
            &record.cpu_model,
            &record.kernel,
        ])?;
        let host = Host {
            name: record.name.clone(),
            architecture: record.architecture.clone(),
            cpu_model: record.cpu_model.clone(),
            cpu_count: record.cpu_count,
            kernel: record.kernel.clone(),
            page_size: record.page_size,
        };
        let fingerprint = host_fingerprint(&host);
        let found = self
            .find("SELECT id FROM hosts WHERE fingerprint = $1", &fingerprint)
            .await?;
        if let Some(id) = found {
            return at.note(&mut self.hosts, record.id, id);
        }
        at.numbered(record.id)?;
        let id = self.number("hosts", record.id).await?;
        let sql =
            "INSERT INTO hosts (id, fingerprint, name, architecture, cpu_model, cpu_count, kernel, page_size)
                   VALUES ($1, $2, $3, $4, $5, $6, $7, $8)";
        let query = sqlx::query(sql)
            .bind(id)
            .bind(fingerprint)
            .bind(host.name)
            .bind(host.architecture)
            .bind(host.cpu_model)
            .bind(i64::from(host.cpu_count))
            .bind(host.kernel)
            .bind(i64::from(host.page_size));
        let inserted = query.execute(&mut *self.connection).await;
        at.inserted(self.store, inserted)?;
        self.added(Section::Hosts, 1);
        at.note(&mut self.hosts, record.id, id)
    }

    pub(super) async fn import_engine(&mut self, at: At, record: EngineRecord) -> Result<(), BundleError> {
        let number = record.id;
        let engine = engine_of(at, record)?;
        let fingerprint = engine_fingerprint(&engine);
        let found = self
            .find("SELECT id FROM engines WHERE fingerprint = $1", &fingerprint)
            .await?;
        if let Some(id) = found {
            return at.note(&mut self.engines, number, id);
        }
        at.numbered(number)?;
        let id = self.number("engines", number).await?;
        let sql =
            "INSERT INTO engines (id, fingerprint, name, version, configuration, components, guest_vendor,
                       guest_brand, guest_hypervisor, guest_xcr0, guest_features, host_cpu)
                   VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)";
        let query = sqlx::query(sql)
            .bind(id)
            .bind(fingerprint)
            .bind(engine.name)
            .bind(engine.version)
            .bind(engine.configuration)
            .bind(i64::from(engine.components.0))
            .bind(engine.guest.vendor)
            .bind(engine.guest.brand)
            .bind(engine.guest.hypervisor)
            .bind(engine.guest.xcr0.cast_signed())
            .bind(engine.guest.features.join(" "))
            .bind(engine.host_cpu);
        let inserted = query.execute(&mut *self.connection).await;
        at.inserted(self.store, inserted)?;
        self.added(Section::Engines, 1);
        at.note(&mut self.engines, number, id)
    }

    pub(super) async fn import_binary(&mut self, at: At, record: &BinaryRecord) -> Result<(), BundleError> {
        at.plain(&[&record.name, &record.path, &record.format])?;
        let is_digest = record.sha256.len() == 64
            && record
                .sha256
                .bytes()
                .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        if !is_digest {
            return Err(at.invalid("its sha256 is not 64 lower-case hexadecimal digits"));
        }
        let found = self
            .find("SELECT id FROM binaries WHERE sha256 = $1", &record.sha256)
            .await?;
        if let Some(id) = found {
            let known = self.stored_blocks(BinaryId(id)).await?;
            self.known_blocks.insert(id, known);
            return at.note(&mut self.binaries, record.id, id);
        }
        at.numbered(record.id)?;
        let id = self.number("binaries", record.id).await?;
        let sql =
            "INSERT INTO binaries (id, sha256, name, path, size, format) VALUES ($1, $2, $3, $4, $5, $6)";
        let query = sqlx::query(sql)
            .bind(id)
            .bind(&record.sha256)
            .bind(escape_control(&record.name).into_owned())
            .bind(escape_control(&record.path).into_owned())
            .bind(record.size.cast_signed())
            .bind(&record.format);
        let inserted = query.execute(&mut *self.connection).await;
        at.inserted(self.store, inserted)?;
        self.known_blocks.insert(id, KnownBlocks::new());
        self.added(Section::Binaries, 1);
        at.note(&mut self.binaries, record.id, id)
    }

    /// The block to be inserted with its number and its binary, unless it is there.
    pub(super) async fn prepare_block(
        &mut self,
        at: At,
        record: BlockRecord,
    ) -> Result<Option<(i64, i64, Block)>, BundleError> {
        let binary = at.known(&self.binaries, "binary", record.binary)?;
        let block = Block {
            address: record.address.0,
            bytes: record.bytes.0,
            instruction_count: record.instruction_count,
            terminator: record.terminator,
            successors: record
                .successors
                .into_iter()
                .map(|HexNumber(address)| address)
                .collect(),
            origin: record.origin,
            unrunnable: record.unrunnable,
        };
        if block.bytes.is_empty() || block.instruction_count as usize > block.bytes.len() {
            return Err(at.invalid("it has fewer bytes than instructions, or none"));
        }
        let known = self.known_blocks.entry(binary).or_default();
        let key = (block.address, block.bytes.len() as u64);
        match known.get(&key) {
            Some(Some((number, stored))) => {
                if stored.bytes != block.bytes || stored.terminator != block.terminator {
                    return Err(at.contradicts(format!(
                        "block {number} at the same address of the same binary has other bytes"
                    )));
                }
                let number = *number;
                at.note(&mut self.blocks, record.number, number)?;
                return Ok(None);
            }
            Some(None) => return Err(at.invalid("another block of the binary has its address and length")),
            None => drop(known.insert(key, None)),
        }
        at.numbered(record.number)?;
        let number = self.number("blocks", record.number).await?;
        at.note(&mut self.blocks, record.number, number)?;
        Ok(Some((number, binary, block)))
    }

    pub(super) async fn insert_blocks(
        &mut self,
        section: Section,
        blocks: &[(i64, i64, Block)],
    ) -> Result<(), BundleError> {
        let Some((last, _, _)) = blocks.last() else {
            return Ok(());
        };
        let failed = self.store.failed_to("import");
        for of_binary in blocks.chunk_by(|one, other| one.1 == other.1) {
            let numbered: Vec<(i64, &Block)> = of_binary
                .iter()
                .map(|(number, _, block)| (*number, block))
                .collect();
            let done = block::insert_blocks(self.connection, BinaryId(of_binary[0].1), &numbered).await;
            done.map_err(&failed)?;
        }
        let done = sqlx::query("UPDATE block_numbers SET last = $1")
            .bind(*last)
            .execute(&mut *self.connection);
        done.await.map_err(failed)?;
        self.added(section, blocks.len() as u64);
        Ok(())
    }

    async fn stored_blocks(&mut self, binary: BinaryId) -> Result<KnownBlocks, BundleError> {
        let sql =
            "SELECT number, binary_id, address, bytes, instruction_count, terminator, successors, origin,
                       unrunnable FROM blocks WHERE binary_id = $1";
        let rows = sqlx::query(sql)
            .bind(binary.0)
            .fetch_all(&mut *self.connection)
            .await;
        let mut known = KnownBlocks::new();
        for row in &rows.map_err(self.store.failed_to("import"))? {
            let stored = self.store.read_block(row)?;
            let key = (stored.block.address, stored.block.bytes.len() as u64);
            known.insert(key, Some((stored.number.0, stored.block)));
        }
        Ok(known)
    }

    pub(super) async fn import_run(&mut self, at: At, record: RunRecord) -> Result<(), BundleError> {
        check_run(at, &record)?;
        let host = at.known(&self.hosts, "host", record.host)?;
        let engines = record
            .engines
            .iter()
            .map(|engine| at.known(&self.engines, "engine", *engine));
        let engines: Vec<i64> = engines.collect::<Result<_, _>>()?;
        if self.has_run(&record, host, &engines).await? {
            return at.note(&mut self.runs, record.id, RunPlace::There);
        }
        let id = self.number("runs", record.id).await?;
        at.note(&mut self.runs, record.id, RunPlace::New(id))?;
        let inserted = self.insert_run(&record, id, host, &engines).await;
        at.inserted(self.store, inserted)?;
        if let Some(summary) = record.summary {
            let inserted = run_summary::insert_summary(self.connection, id, &summary_of(summary)).await;
            at.inserted(self.store, inserted)?;
        }
        self.added(Section::Runs, 1);
        Ok(())
    }

    /// Whether a run with the same arguments, engines and start, by the same process, is there.
    async fn has_run(&mut self, record: &RunRecord, host: i64, engines: &[i64]) -> Result<bool, BundleError> {
        let failed = self.store.failed_to("import");
        let sql = "SELECT id FROM runs WHERE started = $1 AND owner = $2 AND command = $3 AND arguments = $4
                       AND tool_version = $5 AND seed = $6 AND states_per_block = $7 AND host_id = $8
                       AND COALESCE(partition_index, 0) = $9 AND COALESCE(partition_count, 0) = $10";
        let (index, count) = record
            .partition
            .as_ref()
            .map_or((0, 0), |part| (part.index, part.count));
        let query = sqlx::query_scalar(sql)
            .bind(record.started_ms)
            .bind(&record.owner)
            .bind(&record.command)
            .bind(&record.arguments)
            .bind(&record.tool_version)
            .bind(record.seed.0.cast_signed())
            .bind(i64::from(record.states_per_block))
            .bind(host)
            .bind(i64::from(index))
            .bind(i64::from(count));
        let candidates: Vec<i64> = query.fetch_all(&mut *self.connection).await.map_err(&failed)?;
        for run in candidates {
            let sql = "SELECT engine_id FROM run_engines WHERE run_id = $1 ORDER BY position";
            let query = sqlx::query_scalar(sql).bind(run);
            let found: Vec<i64> = query.fetch_all(&mut *self.connection).await.map_err(&failed)?;
            // One of this bundle may be alike: then it is another.
            if found == engines && !self.runs.values().any(|place| *place == RunPlace::New(run)) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    async fn insert_run(
        &mut self,
        record: &RunRecord,
        id: i64,
        host: i64,
        engines: &[i64],
    ) -> sqlx::Result<()> {
        let sql =
            "INSERT INTO runs (id, command, arguments, tool_version, seed, states_per_block, partition_index,
                       partition_count, host_id, owner, status, started, heartbeat, finished)
                   VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)";
        let status = if record.finished {
            RunStatus::Finished
        } else {
            RunStatus::Interrupted
        };
        let query = sqlx::query(sql)
            .bind(id)
            .bind(&record.command)
            .bind(&record.arguments)
            .bind(&record.tool_version)
            .bind(record.seed.0.cast_signed())
            .bind(i64::from(record.states_per_block))
            .bind(record.partition.as_ref().map(|part| i64::from(part.index)))
            .bind(record.partition.as_ref().map(|part| i64::from(part.count)))
            .bind(host)
            .bind(&record.owner)
            .bind(names::word_from_variant(&status))
            .bind(record.started_ms)
            .bind(record.heartbeat_ms)
            .bind(record.ended_ms);
        query.execute(&mut *self.connection).await?;
        for (position, engine) in (0_i64..).zip(engines) {
            let sql = "INSERT INTO run_engines (run_id, position, engine_id) VALUES ($1, $2, $3)";
            let query = sqlx::query(sql).bind(id).bind(position).bind(*engine);
            query.execute(&mut *self.connection).await?;
        }
        Ok(())
    }

    /// The number of the row that has `content`, of a query that asks for it.
    async fn find(&mut self, sql: &'static str, content: &str) -> Result<Option<i64>, BundleError> {
        let row = sqlx::query(sql)
            .bind(content)
            .fetch_optional(&mut *self.connection)
            .await;
        let failed = self.store.failed_to("import");
        let number = row.and_then(|row| row.map(|row| row.try_get(0)).transpose());
        Ok(number.map_err(failed)?)
    }
}

fn engine_of(at: At, record: EngineRecord) -> Result<StoredEngine, BundleError> {
    at.plain(&[
        &record.name,
        &record.version,
        &record.configuration,
        &record.host_cpu,
    ])?;
    let guest = record.guest;
    at.plain(&[&guest.vendor, &guest.brand, &guest.hypervisor])?;
    if guest
        .features
        .iter()
        .any(|feature| feature.contains(char::is_whitespace) || feature.is_empty())
    {
        return Err(at.invalid("the name of a feature has a space in it, or none at all"));
    }
    for feature in &guest.features {
        at.plain(&[feature])?;
    }
    let mut components = Components(0);
    for name in &record.components {
        let known = Components::NAMES.iter().find(|(known, _)| known == name);
        let (_, component) = known.ok_or_else(|| at.invalid(format!("there is no component {name:?}")))?;
        components = components.union(*component);
    }
    Ok(StoredEngine {
        name: record.name,
        version: record.version,
        configuration: record.configuration,
        components,
        guest: Guest {
            vendor: guest.vendor,
            brand: guest.brand,
            hypervisor: guest.hypervisor,
            xcr0: guest.xcr0.0,
            features: guest.features,
        },
        host_cpu: record.host_cpu,
    })
}

fn check_run(at: At, record: &RunRecord) -> Result<(), BundleError> {
    at.numbered(record.id)?;
    at.plain(&[
        &record.command,
        &record.arguments,
        &record.tool_version,
        &record.owner,
    ])?;
    at.timed(&[
        record.started_ms,
        record.heartbeat_ms,
        record.ended_ms.unwrap_or(0),
    ])?;
    if record.engines.is_empty() {
        return Err(at.invalid("it names no engine"));
    }
    if record
        .partition
        .as_ref()
        .is_some_and(|part| part.index == 0 || part.index > part.count)
    {
        return Err(at.invalid("it is a part that there cannot be"));
    }
    let Some(summary) = &record.summary else {
        return Ok(());
    };
    let SummaryRecord {
        elapsed_us,
        blocks,
        diverging_blocks,
        runs,
        completed,
        faulted,
        matched,
        diverged,
        inconclusive,
        unsupported,
        details,
    } = summary;
    let counts = [
        elapsed_us,
        blocks,
        diverging_blocks,
        runs,
        completed,
        faulted,
        matched,
        diverged,
        inconclusive,
        unsupported,
    ];
    at.counts(&counts.map(|count| *count))?;
    let details = serde_json::to_string(details).expect("plain data is JSON");
    // In JSON it is written so.
    if details.contains("\\u0000") {
        return Err(at.invalid("a text has a zero character"));
    }
    Ok(())
}

fn summary_of(record: SummaryRecord) -> run_summary::RunSummary {
    run_summary::RunSummary {
        elapsed: std::time::Duration::from_micros(record.elapsed_us),
        blocks: record.blocks,
        diverging_blocks: record.diverging_blocks,
        runs: record.runs,
        completed: record.completed,
        faulted: record.faulted,
        matched: record.matched,
        diverged: record.diverged,
        inconclusive: record.inconclusive,
        unsupported: record.unsupported,
        details: record.details,
    }
}
