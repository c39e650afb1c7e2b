//! Blocks and the numbers by which users name them.

use std::collections::{BTreeSet, HashMap};

use snippex_core::block::Block;
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, AssertSqlSafe, Row};

use database_kit::Dialect;

use crate::binary::{self, NewBinary};
use crate::error::StoreError;
use crate::ids::{BinaryId, BlockNumber};
use crate::insert::Insert;
use crate::names;
use crate::open::Store;
use crate::selection::Selection;

/// A stored block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredBlock {
    /// The number by which users name it.
    pub number: BlockNumber,
    /// Where it comes from.
    pub binary: BinaryId,
    /// The block.
    pub block: Block,
}

/// What [`Store::add_blocks`] did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Added {
    /// The number of each block that was given, in the same order.
    pub numbers: Vec<BlockNumber>,
    /// How many of them were not there before.
    pub new: u64,
}

/// Address and length: what makes two blocks of one binary the same.
type Key = (u64, u64);

impl Store {
    /// Adds the blocks of a binary that are not there yet, all or none. New blocks get consecutive numbers in
    /// the given order; a block that is there already keeps its number.
    ///
    /// # Errors
    /// When the database cannot be written, or the binary is not there.
    pub async fn add_blocks(&self, binary: BinaryId, blocks: &[Block]) -> Result<Added, StoreError> {
        let failed = self.failed_to("add blocks");
        let mut transaction = self.begin_transaction("add blocks").await?;
        let added = add(&mut transaction, binary, blocks).await.map_err(&failed)?;
        transaction.commit().await.map_err(failed)?;
        Ok(added)
    }

    /// Adds a binary and blocks of it as [`Store::add_binary`] and [`Store::add_blocks`] do, both or neither: whoever
    /// is stopped meanwhile leaves no binary without blocks behind.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub async fn add_binary_with_blocks(
        &self,
        binary: &NewBinary,
        blocks: &[Block],
    ) -> Result<Added, StoreError> {
        let failed = self.failed_to("add blocks");
        let mut transaction = self.begin_transaction("add blocks").await?;
        // In the order in which whoever removes a binary takes the locks.
        reserve_numbers(&mut transaction, 0).await.map_err(&failed)?;
        let id = binary::insert_binary(&mut transaction, binary)
            .await
            .map_err(&failed)?;
        let added = add(&mut transaction, id, blocks).await.map_err(&failed)?;
        transaction.commit().await.map_err(failed)?;
        Ok(added)
    }

    /// The first `limit` selected blocks with a number above `after`, in ascending order of number; only those
    /// of `binary` if it is given. The next page starts after the last number of this one.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn list_blocks(
        &self,
        selection: &Selection,
        binary: Option<BinaryId>,
        after: Option<BlockNumber>,
        limit: u32,
    ) -> Result<Vec<StoredBlock>, StoreError> {
        let after = after.map_or(0, |number| number.0);
        let mut page = Vec::new();
        for (first, last) in selection.ranges() {
            let left = i64::from(limit) - page.len() as i64;
            if left == 0 {
                break;
            }
            if last.0 <= after {
                continue;
            }
            let first = first.0.max(after + 1);
            let rows = select_range(&self.pool, first, last.0, binary, left).await;
            for row in &rows.map_err(self.failed_to("list blocks"))? {
                page.push(self.read_block(row)?);
            }
        }
        Ok(page)
    }

    /// The binaries that selected blocks are of, each once, in the order in which they were added.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn binaries_of_blocks(&self, selection: &Selection) -> Result<Vec<BinaryId>, StoreError> {
        let mut binaries = BTreeSet::new();
        let sql = "SELECT DISTINCT binary_id FROM blocks WHERE number BETWEEN $1 AND $2";
        for (first, last) in selection.ranges() {
            let query = sqlx::query_scalar(sql).bind(first.0).bind(last.0);
            let found: sqlx::Result<Vec<i64>> = query.fetch_all(&self.pool).await;
            binaries.extend(found.map_err(self.failed_to("list the binaries of blocks"))?);
        }
        Ok(binaries.into_iter().map(BinaryId).collect())
    }

    /// How many blocks are selected and there; only those of `binary` if it is given.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn count_blocks(
        &self,
        selection: &Selection,
        binary: Option<BinaryId>,
    ) -> Result<u64, StoreError> {
        let mut total = 0;
        for (first, last) in selection.ranges() {
            let count = count_range(&self.pool, first.0, last.0, binary).await;
            total += count.map_err(self.failed_to("count blocks"))?.cast_unsigned();
        }
        Ok(total)
    }

    /// One block.
    ///
    /// # Errors
    /// [`StoreError::Missing`] when there is none with this number.
    pub async fn load_block(&self, number: BlockNumber) -> Result<StoredBlock, StoreError> {
        let found = self
            .list_blocks(&Selection::from_numbers([number]), None, None, 1)
            .await?;
        found
            .into_iter()
            .next()
            .ok_or_else(|| self.missing_row("block", number.0))
    }

    pub(crate) fn read_block(&self, row: &AnyRow) -> Result<StoredBlock, StoreError> {
        let raw = RawBlock::read(row).map_err(self.failed_to("read a block"))?;
        let number = BlockNumber(raw.number);
        raw.into_block().map_err(|(what, value)| StoreError::Value {
            location: self.location.clone(),
            what,
            value: format!("{value} (block {number})"),
        })
    }
}

async fn add(connection: &mut AnyConnection, binary: BinaryId, blocks: &[Block]) -> sqlx::Result<Added> {
    // Takes the lock first, so that what is known does not change while it is looked at.
    reserve_numbers(connection, 0).await?;
    let mut known = known_blocks(connection, binary).await?;
    let mut new = Vec::new();
    for block in blocks {
        known.entry(key(block)).or_insert_with(|| {
            new.push(block);
            0
        });
    }
    let count = new.len() as u64;
    let last = reserve_numbers(connection, count).await?;
    let first = last - count.cast_signed() + 1;
    let numbered: Vec<(i64, &Block)> = (first..).zip(new).collect();
    insert_blocks(connection, binary, &numbered).await?;
    known.extend(numbered.iter().map(|(number, block)| (key(block), *number)));
    let numbers = blocks
        .iter()
        .map(|block| BlockNumber(known[&key(block)]))
        .collect();
    Ok(Added { numbers, new: count })
}

/// Gives out the next `count` numbers and returns the last of them. Whoever adds or removes blocks at the same
/// time waits until this transaction ends.
pub(crate) async fn reserve_numbers(connection: &mut AnyConnection, count: u64) -> sqlx::Result<i64> {
    let sql = "UPDATE block_numbers SET last = last + $1 RETURNING last";
    sqlx::query_scalar(sql)
        .bind(count.cast_signed())
        .fetch_one(connection)
        .await
}

/// Blocks that are looked up at once: their list is a text of about 2 MB.
const LOOKED_UP: i64 = 65_536;

/// The numbers of all blocks of a binary. A page of them comes as one JSON text, as handing over a row costs about ten
/// times as much as finding it.
async fn known_blocks(connection: &mut AnyConnection, binary: BinaryId) -> sqlx::Result<HashMap<Key, i64>> {
    let list = match Dialect::of_connection(connection) {
        Dialect::Sqlite => "json_group_array(json_array(address, size, number))",
        Dialect::Postgres => {
            "CAST(COALESCE(json_agg(json_build_array(address, size, number)), '[]') AS TEXT)"
        }
    };
    // Safe: made of constants only. Signed addresses are in ascending order, as the index has them.
    let sql = format!(
        "SELECT {list} FROM (SELECT address, size, number FROM blocks
         WHERE binary_id = $1 AND (address, size) > ($2, $3) ORDER BY address, size LIMIT $4) AS page"
    );
    let mut known = HashMap::new();
    let mut last = (i64::MIN, i64::MIN);
    loop {
        let text: String = sqlx::query_scalar(AssertSqlSafe(sql.clone()))
            .bind(binary.0)
            .bind(last.0)
            .bind(last.1)
            .bind(LOOKED_UP)
            .fetch_one(&mut *connection)
            .await?;
        let page: Vec<(i64, i64, i64)> =
            serde_json::from_str(&text).map_err(|error| sqlx::Error::Decode(error.into()))?;
        let is_last = (page.len() as i64) < LOOKED_UP;
        known.reserve(page.len());
        for (address, size, number) in page {
            last = last.max((address, size));
            known.insert((address.cast_unsigned(), size.cast_unsigned()), number);
        }
        if is_last {
            return Ok(known);
        }
    }
}

/// Adds blocks that are not there, with their numbers.
pub(crate) async fn insert_blocks(
    connection: &mut AnyConnection,
    binary: BinaryId,
    blocks: &[(i64, &Block)],
) -> sqlx::Result<()> {
    let insert = Insert {
        head: "INSERT INTO blocks (number, binary_id, address, size, bytes, instruction_count, terminator,
               successors, origin, unrunnable)",
        columns: 10,
        tail: "",
    };
    let bind = |statement: crate::insert::Statement, (number, block): &(i64, &Block)| {
        statement
            .bind(*number)
            .bind(binary.0)
            .bind(block.address.cast_signed())
            .bind(block.bytes.len() as i64)
            .bind(block.bytes.as_slice())
            .bind(i64::from(block.instruction_count))
            .bind(names::word_from_variant(&block.terminator))
            .bind(write_addresses(&block.successors))
            .bind(names::word_from_variant(&block.origin))
            .bind(block.unrunnable.as_ref().map(names::word_from_variant))
    };
    insert.insert_rows(connection, blocks, bind).await
}

async fn select_range(
    pool: &sqlx::AnyPool,
    first: i64,
    last: i64,
    binary: Option<BinaryId>,
    limit: i64,
) -> sqlx::Result<Vec<AnyRow>> {
    let sql = "SELECT number, binary_id, address, bytes, instruction_count, terminator, successors, origin,
                   unrunnable
               FROM blocks
               WHERE number BETWEEN $1 AND $2 AND (CAST($3 AS BIGINT) IS NULL OR binary_id = $3)
               ORDER BY number LIMIT $4";
    let binary = binary.map(|binary| binary.0);
    sqlx::query(sql)
        .bind(first)
        .bind(last)
        .bind(binary)
        .bind(limit)
        .fetch_all(pool)
        .await
}

async fn count_range(
    pool: &sqlx::AnyPool,
    first: i64,
    last: i64,
    binary: Option<BinaryId>,
) -> sqlx::Result<i64> {
    let sql = "SELECT COUNT(*) FROM blocks
               WHERE number BETWEEN $1 AND $2 AND (CAST($3 AS BIGINT) IS NULL OR binary_id = $3)";
    let binary = binary.map(|binary| binary.0);
    sqlx::query_scalar(sql)
        .bind(first)
        .bind(last)
        .bind(binary)
        .fetch_one(pool)
        .await
}

fn key(block: &Block) -> Key {
    (block.address, block.bytes.len() as u64)
}

/// A row before its words are understood.
struct RawBlock {
    number: i64,
    binary: i64,
    address: i64,
    bytes: Vec<u8>,
    instruction_count: i64,
    terminator: String,
    successors: String,
    origin: String,
    unrunnable: Option<String>,
}

impl RawBlock {
    fn read(row: &AnyRow) -> sqlx::Result<Self> {
        Ok(Self {
            number: row.try_get(0)?,
            binary: row.try_get(1)?,
            address: row.try_get(2)?,
            bytes: row.try_get(3)?,
            instruction_count: row.try_get(4)?,
            terminator: row.try_get(5)?,
            successors: row.try_get(6)?,
            origin: row.try_get(7)?,
            unrunnable: row.try_get(8)?,
        })
    }

    /// The block; or what the value should be that is not understood, and the value.
    fn into_block(self) -> Result<StoredBlock, (&'static str, String)> {
        let unrunnable = match self.unrunnable {
            None => None,
            Some(word) => Some(names::variant_from_word(&word).ok_or(("reason not to run a block", word))?),
        };
        let block = Block {
            address: self.address.cast_unsigned(),
            bytes: self.bytes,
            instruction_count: u32::try_from(self.instruction_count)
                .map_err(|_| ("number of instructions", self.instruction_count.to_string()))?,
            terminator: names::variant_from_word(&self.terminator).ok_or(("terminator", self.terminator))?,
            successors: read_addresses(&self.successors).ok_or(("list of addresses", self.successors))?,
            origin: names::variant_from_word(&self.origin).ok_or(("origin", self.origin))?,
            unrunnable,
        };
        Ok(StoredBlock {
            number: BlockNumber(self.number),
            binary: BinaryId(self.binary),
            block,
        })
    }
}

/// Addresses as `0x401000,0x401020`: readable in any database shell.
fn write_addresses(addresses: &[u64]) -> String {
    let words: Vec<String> = addresses.iter().map(|address| format!("{address:#x}")).collect();
    words.join(",")
}

fn read_addresses(text: &str) -> Option<Vec<u64>> {
    let words = text.split(',').filter(|word| !word.is_empty());
    words
        .map(|word| u64::from_str_radix(word.strip_prefix("0x")?, 16).ok())
        .collect()
}
