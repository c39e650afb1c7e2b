//! Binaries: the files that blocks come from.

use sqlx::any::AnyRow;
use sqlx::{AnyConnection, Row};

use crate::column;
use crate::error::StoreError;
use crate::ids::BinaryId;
use crate::open::Store;

/// A file that blocks were extracted from, or what stands for one when blocks are generated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewBinary {
    /// SHA-256 of the file in lower-case hexadecimal digits: what makes two binaries the same.
    pub sha256: String,
    /// Name that is shown to people.
    pub name: String,
    /// Absolute path where it was last seen, in whatever form makes it text.
    pub path: String,
    /// Bytes in the file.
    pub size: u64,
    /// "elf" or "pe"; "generated" when there is no file, and the path says how its blocks were made.
    pub format: String,
}

/// A stored binary.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Binary {
    /// Its identity.
    pub id: BinaryId,
    /// What was stored.
    pub binary: NewBinary,
    /// How many of its blocks are stored.
    pub blocks: u64,
}

impl Store {
    /// Adds a binary; one that is there already gets its new name and path.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub async fn add_binary(&self, binary: &NewBinary) -> Result<BinaryId, StoreError> {
        let failed = self.failed_to("add a binary");
        let mut transaction = self.begin_transaction("add a binary").await?;
        let id = insert_binary(&mut transaction, binary).await.map_err(&failed)?;
        transaction.commit().await.map_err(failed)?;
        Ok(id)
    }

    /// All binaries, in the order in which they were added.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn list_binaries(&self) -> Result<Vec<Binary>, StoreError> {
        let sql = "SELECT binaries.id, sha256, name, path, binaries.size, format,
                       (SELECT COUNT(*) FROM blocks WHERE binary_id = binaries.id) AS blocks
                   FROM binaries ORDER BY binaries.id";
        let rows = sqlx::query(sql).fetch_all(&self.pool).await;
        let rows = rows.and_then(|rows| rows.iter().map(read).collect());
        rows.map_err(self.failed_to("list binaries"))
    }

    /// One binary.
    ///
    /// # Errors
    /// [`StoreError::Missing`] when there is none with this id.
    pub async fn load_binary(&self, id: BinaryId) -> Result<Binary, StoreError> {
        let sql = "SELECT binaries.id, sha256, name, path, binaries.size, format,
                       (SELECT COUNT(*) FROM blocks WHERE binary_id = binaries.id) AS blocks
                   FROM binaries WHERE binaries.id = $1";
        let row = sqlx::query(sql).bind(id.0).fetch_optional(&self.pool).await;
        let row = row.and_then(|row| row.as_ref().map(read).transpose());
        row.map_err(self.failed_to("read a binary"))?
            .ok_or_else(|| self.missing_row("binary", id.0))
    }
}

pub(crate) async fn insert_binary(
    connection: &mut AnyConnection,
    binary: &NewBinary,
) -> sqlx::Result<BinaryId> {
    let sql = "INSERT INTO binaries (sha256, name, path, size, format) VALUES ($1, $2, $3, $4, $5)
               ON CONFLICT (sha256) DO UPDATE SET name = excluded.name, path = excluded.path RETURNING id";
    let query = sqlx::query_scalar(sql)
        .bind(&binary.sha256)
        .bind(&binary.name)
        .bind(&binary.path)
        .bind(binary.size.cast_signed())
        .bind(&binary.format);
    query.fetch_one(connection).await.map(BinaryId)
}

fn read(row: &AnyRow) -> sqlx::Result<Binary> {
    Ok(Binary {
        id: BinaryId(row.try_get("id")?),
        binary: NewBinary {
            sha256: row.try_get("sha256")?,
            name: row.try_get("name")?,
            path: row.try_get("path")?,
            size: column::read_u64(row, "size")?,
            format: row.try_get("format")?,
        },
        blocks: column::read_u64(row, "blocks")?,
    })
}
