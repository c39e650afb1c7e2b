//! Engines and hosts: what ran and where. Both are stored once for each distinct description.

use sha2::{Digest, Sha256};
use snippex_core::state::Components;
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, Row};

use crate::column;
use crate::error::StoreError;
use crate::ids::{EngineId, HostId};
use crate::open::Store;

/// An engine as it ran: any difference in these fields makes another engine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredEngine {
    /// `native`, `qemu-x86_64`, `fex-emu` or the name of the user's own.
    pub name: String,
    /// As the engine says it.
    pub version: String,
    /// Command line, environment and configuration file that change what it computes, as JSON.
    pub configuration: String,
    /// Parts of the machine state that it covers.
    pub components: Components,
    /// What the guest itself sees.
    pub guest: Guest,
    /// The CPU that it runs on, with stepping and microcode, as JSON; empty for engines from before it was recorded.
    pub host_cpu: String,
}

/// What a guest program sees of its CPU through CPUID and XGETBV.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Guest {
    /// Vendor of leaf 0, like `GenuineIntel`.
    pub vendor: String,
    /// Brand string of leaves 0x80000002 to 0x80000004.
    pub brand: String,
    /// Vendor of the hypervisor leaf 0x40000000; empty without one.
    pub hypervisor: String,
    /// XCR0; zero without XSAVE.
    pub xcr0: u64,
    /// Names of the instruction set extensions, without spaces in them.
    pub features: Vec<String>,
}

/// The machine that runs were done on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Host {
    /// Host name.
    pub name: String,
    /// `x86_64`, `aarch64`.
    pub architecture: String,
    /// Model of the CPU.
    pub cpu_model: String,
    /// CPUs that the process may use.
    pub cpu_count: u32,
    /// Kernel name and release.
    pub kernel: String,
    /// Bytes in a page of the host's memory.
    pub page_size: u32,
}

impl Store {
    /// The id of an engine, which is added if it is not there.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub async fn add_engine(&self, engine: &StoredEngine) -> Result<EngineId, StoreError> {
        let failed = self.failed_to("add an engine");
        let mut transaction = self.begin_transaction("add an engine").await?;
        let id = insert_engine(&mut transaction, engine).await.map_err(&failed)?;
        transaction.commit().await.map_err(failed)?;
        Ok(id)
    }

    /// One engine.
    ///
    /// # Errors
    /// [`StoreError::Missing`] when there is none with this id.
    pub async fn load_engine(&self, id: EngineId) -> Result<StoredEngine, StoreError> {
        let sql = "SELECT id, name, version, configuration, components, guest_vendor, guest_brand,
                       guest_hypervisor, guest_xcr0, guest_features, host_cpu
                   FROM engines WHERE id = $1";
        let row = sqlx::query(sql).bind(id.0).fetch_optional(&self.pool).await;
        let engine = row.and_then(|row| row.as_ref().map(read_engine).transpose());
        let engine = engine.map_err(self.failed_to("read an engine"))?;
        engine
            .map(|(_, engine)| engine)
            .ok_or_else(|| self.missing_row("engine", id.0))
    }

    /// All engines, in the order in which they were added.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn list_engines(&self) -> Result<Vec<(EngineId, StoredEngine)>, StoreError> {
        let sql = "SELECT id, name, version, configuration, components, guest_vendor, guest_brand,
                       guest_hypervisor, guest_xcr0, guest_features, host_cpu
                   FROM engines ORDER BY id";
        let rows = sqlx::query(sql).fetch_all(&self.pool).await;
        let engines = rows.and_then(|rows| rows.iter().map(read_engine).collect());
        engines.map_err(self.failed_to("list engines"))
    }

    /// The id of a host, which is added if it is not there.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub async fn add_host(&self, host: &Host) -> Result<HostId, StoreError> {
        let failed = self.failed_to("add a host");
        let mut transaction = self.begin_transaction("add a host").await?;
        let id = insert_host(&mut transaction, host).await.map_err(&failed)?;
        transaction.commit().await.map_err(failed)?;
        Ok(id)
    }

    /// One host.
    ///
    /// # Errors
    /// [`StoreError::Missing`] when there is none with this id.
    pub async fn load_host(&self, id: HostId) -> Result<Host, StoreError> {
        let sql =
            "SELECT name, architecture, cpu_model, cpu_count, kernel, page_size FROM hosts WHERE id = $1";
        let row = sqlx::query(sql).bind(id.0).fetch_optional(&self.pool).await;
        let host = row.and_then(|row| row.as_ref().map(read_host).transpose());
        host.map_err(self.failed_to("read a host"))?
            .ok_or_else(|| self.missing_row("host", id.0))
    }
}

async fn insert_engine(connection: &mut AnyConnection, engine: &StoredEngine) -> sqlx::Result<EngineId> {
    let sql = "INSERT INTO engines (fingerprint, name, version, configuration, components, guest_vendor,
                   guest_brand, guest_hypervisor, guest_xcr0, guest_features, host_cpu)
               VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
               ON CONFLICT (fingerprint) DO UPDATE SET name = excluded.name RETURNING id";
    let components = i64::from(engine.components.0);
    let guest = &engine.guest;
    let features = guest.features.join(" ");
    let query = sqlx::query_scalar(sql)
        .bind(engine_fingerprint(engine))
        .bind(&engine.name)
        .bind(&engine.version)
        .bind(&engine.configuration)
        .bind(components)
        .bind(&guest.vendor)
        .bind(&guest.brand)
        .bind(&guest.hypervisor)
        .bind(guest.xcr0.cast_signed())
        .bind(features)
        .bind(&engine.host_cpu);
    query.fetch_one(connection).await.map(EngineId)
}

async fn insert_host(connection: &mut AnyConnection, host: &Host) -> sqlx::Result<HostId> {
    let sql = "INSERT INTO hosts (fingerprint, name, architecture, cpu_model, cpu_count, kernel, page_size)
               VALUES ($1, $2, $3, $4, $5, $6, $7)
               ON CONFLICT (fingerprint) DO UPDATE SET name = excluded.name RETURNING id";
    let (cpu_count, page_size) = (i64::from(host.cpu_count), i64::from(host.page_size));
    let query = sqlx::query_scalar(sql)
        .bind(host_fingerprint(host))
        .bind(&host.name)
        .bind(&host.architecture)
        .bind(&host.cpu_model)
        .bind(cpu_count)
        .bind(&host.kernel)
        .bind(page_size);
    query.fetch_one(connection).await.map(HostId)
}

/// Equal for two engines when all that is stored of them is.
pub(crate) fn engine_fingerprint(engine: &StoredEngine) -> String {
    let guest = &engine.guest;
    fingerprint(&[
        &engine.name,
        &engine.version,
        &engine.configuration,
        &engine.components.0.to_string(),
        &guest.vendor,
        &guest.brand,
        &guest.hypervisor,
        &guest.xcr0.to_string(),
        &guest.features.join(" "),
        &engine.host_cpu,
    ])
}

/// Equal for two hosts when all that is stored of them is.
pub(crate) fn host_fingerprint(host: &Host) -> String {
    fingerprint(&[
        &host.name,
        &host.architecture,
        &host.cpu_model,
        &host.cpu_count.to_string(),
        &host.kernel,
        &host.page_size.to_string(),
    ])
}

/// One value that is equal when all fields are; the lengths keep `["ab", "c"]` and `["a", "bc"]` apart.
fn fingerprint(fields: &[&str]) -> String {
    let mut hash = Sha256::new();
    for field in fields {
        hash.update((field.len() as u64).to_le_bytes());
        hash.update(field);
    }
    hex::encode(hash.finalize())
}

fn read_engine(row: &AnyRow) -> sqlx::Result<(EngineId, StoredEngine)> {
    let features: String = row.try_get("guest_features")?;
    let guest = Guest {
        vendor: row.try_get("guest_vendor")?,
        brand: row.try_get("guest_brand")?,
        hypervisor: row.try_get("guest_hypervisor")?,
        xcr0: column::read_u64(row, "guest_xcr0")?,
        features: features.split_whitespace().map(str::to_owned).collect(),
    };
    let engine = StoredEngine {
        name: row.try_get("name")?,
        version: row.try_get("version")?,
        configuration: row.try_get("configuration")?,
        components: Components(column::read_small_integer(row, "components")?),
        guest,
        host_cpu: row.try_get("host_cpu")?,
    };
    Ok((EngineId(row.try_get("id")?), engine))
}

fn read_host(row: &AnyRow) -> sqlx::Result<Host> {
    Ok(Host {
        name: row.try_get("name")?,
        architecture: row.try_get("architecture")?,
        cpu_model: row.try_get("cpu_model")?,
        cpu_count: column::read_small_integer(row, "cpu_count")?,
        kernel: row.try_get("kernel")?,
        page_size: column::read_small_integer(row, "page_size")?,
    })
}
