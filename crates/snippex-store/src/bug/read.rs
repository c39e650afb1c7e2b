//! Reading of bugs.

use std::collections::BTreeMap;

use snippex_core::case::Case;
use snippex_core::observation::Observation;
use snippex_triage::cause::{Attribution, CauseId, of_signature};
use snippex_triage::signature::{BugKind, CodeForm, Signature, SignatureId};
use sqlx::Row;
use sqlx::any::AnyRow;

use crate::column;
use crate::error::StoreError;
use crate::ids::{BlockNumber, EngineId, RunId, UnixMillis};
use crate::open::Store;

/// A stored bug.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredBug {
    /// Its cause, and what showed of it.
    pub attribution: Attribution,
    /// When the signature was first met.
    pub first_seen: UnixMillis,
    /// Where it was met, by run and engine.
    pub sightings: Vec<Sighting>,
}

/// How often a run met a bug on an engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sighting {
    /// The run.
    pub run: RunId,
    /// The engine.
    pub engine: EngineId,
    /// Diverging runs.
    pub runs: u64,
    /// Blocks with such a run.
    pub blocks: u64,
}

/// That there is an example, and how good it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExampleEntry {
    /// Name of the cause.
    pub cause: CauseId,
    /// Id of the signature.
    pub signature: SignatureId,
    /// The engine that is wrong.
    pub engine: EngineId,
    /// Whether the case was reduced.
    pub reduced: bool,
    /// How often it was repeated in fresh processes.
    pub confirmations: u32,
    /// When it was found.
    pub found: UnixMillis,
}

/// The plainest case of a bug on an engine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BugExample {
    /// The engine that is wrong.
    pub engine: EngineId,
    /// The engine that it is compared with.
    pub reference: EngineId,
    /// The block in which it was met, if it is stored.
    pub block: Option<BlockNumber>,
    /// What ran.
    pub case: Case,
    /// How it ended on the reference engine.
    pub expected: Observation,
    /// How it ended on the engine.
    pub actual: Observation,
    /// The differing fields, as JSON.
    pub differences: String,
    /// Whether the case was reduced.
    pub reduced: bool,
    /// How often it was repeated in fresh processes.
    pub confirmations: u32,
    /// When it was found.
    pub found: UnixMillis,
}

impl Store {
    /// The bugs of which a signature's id begins with `prefix` (all, when it is empty), by cause and id, with all their
    /// sightings, or those of one run.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn list_bugs(&self, prefix: &str, run: Option<RunId>) -> Result<Vec<StoredBug>, StoreError> {
        let failed = self.failed_to("list bugs");
        // Ids are hexadecimal: no character of the pattern means anything else.
        let digits: String = prefix.chars().filter(char::is_ascii_hexdigit).collect();
        let pattern = digits.to_lowercase() + "%";
        let sql = "SELECT signature, kind, form, encoding, fields, first_seen FROM bugs
                   WHERE signature LIKE $1 ORDER BY signature";
        let rows = sqlx::query(sql)
            .bind(pattern.clone())
            .fetch_all(&self.pool)
            .await
            .map_err(&failed)?;
        let mut signatures: BTreeMap<String, (Signature, UnixMillis)> = BTreeMap::new();
        for row in &rows {
            let id: String = row.try_get("signature").map_err(&failed)?;
            let first_seen = UnixMillis(row.try_get("first_seen").map_err(&failed)?);
            signatures.insert(id, (self.read_signature(row)?, first_seen));
        }
        let sql = "SELECT cause, signature, run_id, engine_id, runs, blocks FROM bug_sightings
                   WHERE signature LIKE $1 AND (CAST($2 AS BIGINT) IS NULL OR run_id = $2)
                   ORDER BY cause, signature, run_id, engine_id";
        let rows = sqlx::query(sql)
            .bind(pattern)
            .bind(run.map(|run| run.0))
            .fetch_all(&self.pool)
            .await
            .map_err(&failed)?;
        let mut bugs: Vec<StoredBug> = Vec::new();
        for row in &rows {
            let (id, sighting) = read_sighting(row).map_err(&failed)?;
            let Some((signature, first_seen)) = signatures.get(&id) else {
                continue;
            };
            let cause = self.read_cause(row, signature)?;
            match bugs.last_mut() {
                Some(bug) if bug.attribution.cause == cause && bug.attribution.signature == *signature => {
                    bug.sightings.push(sighting);
                }
                _ => bugs.push(StoredBug {
                    attribution: Attribution {
                        cause,
                        signature: signature.clone(),
                    },
                    first_seen: *first_seen,
                    sightings: vec![sighting],
                }),
            }
        }
        Ok(bugs)
    }

    /// The names of all causes, in their order.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn cause_names(&self) -> Result<Vec<CauseId>, StoreError> {
        let sql = "SELECT DISTINCT cause FROM bug_sightings WHERE cause <> '' ORDER BY cause";
        let failed = self.failed_to("list bugs");
        let rows: Vec<String> = sqlx::query_scalar(sql)
            .fetch_all(&self.pool)
            .await
            .map_err(failed)?;
        let parsed = rows.into_iter().map(|name| {
            name.parse().map_err(|_| StoreError::Value {
                location: self.location.clone(),
                what: "name of a bug",
                value: name.clone(),
            })
        });
        parsed.collect()
    }

    /// The bugs of one cause, as [`Store::list_bugs`] has them.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn bugs_of_cause(&self, cause: &CauseId) -> Result<Vec<StoredBug>, StoreError> {
        let failed = self.failed_to("list bugs");
        let sql = "SELECT bugs.signature AS signature, kind, form, encoding, fields, first_seen, run_id, engine_id, runs, blocks
                   FROM bug_sightings JOIN bugs ON bugs.signature = bug_sightings.signature
                   WHERE cause = $1 ORDER BY bugs.signature, run_id, engine_id";
        let rows = sqlx::query(sql)
            .bind(cause.as_str().to_owned())
            .fetch_all(&self.pool)
            .await
            .map_err(&failed)?;
        let mut bugs: Vec<(String, StoredBug)> = Vec::new();
        for row in &rows {
            let (id, sighting) = read_sighting(row).map_err(&failed)?;
            match bugs.last_mut() {
                Some((last, bug)) if *last == id => bug.sightings.push(sighting),
                _ => {
                    let bug = StoredBug {
                        attribution: Attribution {
                            cause: cause.clone(),
                            signature: self.read_signature(row)?,
                        },
                        first_seen: UnixMillis(row.try_get("first_seen").map_err(&failed)?),
                        sightings: vec![sighting],
                    };
                    bugs.push((id, bug));
                }
            }
        }
        Ok(bugs.into_iter().map(|(_, bug)| bug).collect())
    }

    /// Which examples there are, of one cause or of all.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn example_entries(&self, cause: Option<&CauseId>) -> Result<Vec<ExampleEntry>, StoreError> {
        let failed = self.failed_to("list examples");
        let of_one = "SELECT cause, signature, engine_id, reduced, confirmations, found FROM bug_examples
                      WHERE cause = $1 ORDER BY signature, engine_id";
        let of_all = "SELECT cause, signature, engine_id, reduced, confirmations, found FROM bug_examples
                      WHERE cause <> '' ORDER BY cause, signature, engine_id";
        let query = match cause {
            Some(cause) => sqlx::query(of_one).bind(cause.as_str().to_owned()),
            None => sqlx::query(of_all),
        };
        let rows = query.fetch_all(&self.pool).await.map_err(&failed)?;
        let entry = |row: &AnyRow| {
            let text = |column: &str| row.try_get::<String, _>(column).map_err(&failed);
            let number = |column: &str| row.try_get::<i64, _>(column).map_err(&failed);
            let invalid = |what, value: &String| StoreError::Value {
                location: self.location.clone(),
                what,
                value: value.clone(),
            };
            let (cause, signature) = (text("cause")?, text("signature")?);
            Ok(ExampleEntry {
                cause: cause.parse().map_err(|_| invalid("name of a bug", &cause))?,
                signature: signature
                    .parse()
                    .map_err(|_| invalid("id of a signature", &signature))?,
                engine: EngineId(number("engine_id")?),
                reduced: number("reduced")? != 0,
                confirmations: column::read_small_integer(row, "confirmations").map_err(&failed)?,
                found: UnixMillis(number("found")?),
            })
        };
        rows.iter().map(entry).collect()
    }

    /// The examples of a bug, by engine, the newest first.
    ///
    /// # Errors
    /// When the database cannot be read, or holds damaged evidence.
    pub async fn bug_examples(
        &self,
        cause: &CauseId,
        signature: SignatureId,
    ) -> Result<Vec<BugExample>, StoreError> {
        self.list_examples(cause.as_str(), signature).await
    }

    pub(super) async fn list_examples(
        &self,
        cause: &str,
        signature: SignatureId,
    ) -> Result<Vec<BugExample>, StoreError> {
        let failed = self.failed_to("read the examples of a bug");
        let sql = "SELECT engine_id, reference_id, block, reduced, confirmations, differences, expected, actual, found,
                       cases.bytes AS case_bytes
                   FROM bug_examples JOIN cases ON cases.id = case_id WHERE cause = $1 AND signature = $2
                   ORDER BY found DESC, engine_id DESC";
        let rows = sqlx::query(sql)
            .bind(cause.to_owned())
            .bind(signature.to_string())
            .fetch_all(&self.pool)
            .await
            .map_err(&failed)?;
        rows.iter().map(|row| self.read_example(row)).collect()
    }

    /// The bugs of an engine that have a reduced case.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn reduced_bugs(&self, engine: EngineId) -> Result<Vec<Attribution>, StoreError> {
        let sql = "SELECT cause, kind, form, encoding, fields FROM bugs JOIN bug_examples
                       ON bug_examples.signature = bugs.signature
                   WHERE engine_id = $1 AND reduced = 1 ORDER BY cause, bugs.signature";
        let rows = sqlx::query(sql).bind(engine.0).fetch_all(&self.pool).await;
        let rows = rows.map_err(self.failed_to("list reduced bugs"))?;
        rows.iter()
            .map(|row| {
                let signature = self.read_signature(row)?;
                let cause = self.read_cause(row, &signature)?;
                Ok(Attribution { cause, signature })
            })
            .collect()
    }

    /// The cause in a row; as far as the signature tells it where nobody has looked at the example yet.
    fn read_cause(&self, row: &AnyRow, signature: &Signature) -> Result<CauseId, StoreError> {
        let name: String = row.try_get("cause").map_err(self.failed_to("read a bug"))?;
        let invalid = || StoreError::Value {
            location: self.location.clone(),
            what: "name of a bug",
            value: name.clone(),
        };
        if name.is_empty() {
            let guess = of_signature(signature).into_iter().next();
            return guess.map(|attribution| attribution.cause).ok_or_else(invalid);
        }
        name.parse().map_err(|_| invalid())
    }

    pub(crate) fn read_signature(&self, row: &AnyRow) -> Result<Signature, StoreError> {
        let failed = self.failed_to("read a bug");
        let text = |column: &str| row.try_get::<String, _>(column).map_err(&failed);
        let kind = text("kind")?;
        let unknown = StoreError::Value {
            location: self.location.clone(),
            what: "kind of bug",
            value: kind.clone(),
        };
        Ok(Signature {
            kind: BugKind::from_name(&kind).ok_or(unknown)?,
            form: CodeForm {
                text: text("form")?,
                encoding: text("encoding")?,
            },
            fields: text("fields")?.lines().map(str::to_owned).collect(),
        })
    }

    fn read_example(&self, row: &AnyRow) -> Result<BugExample, StoreError> {
        let failed = self.failed_to("read an example");
        let bytes = |column: &str| row.try_get::<Vec<u8>, _>(column).map_err(&failed);
        let number = |column: &str| row.try_get::<i64, _>(column).map_err(&failed);
        let (case, case_bytes) = self.decode_case(&bytes("case_bytes")?)?;
        Ok(BugExample {
            engine: EngineId(number("engine_id")?),
            reference: EngineId(number("reference_id")?),
            block: row
                .try_get::<Option<i64>, _>("block")
                .map_err(&failed)?
                .map(BlockNumber),
            case,
            expected: self.decode_observation(&bytes("expected")?, &case_bytes)?,
            actual: self.decode_observation(&bytes("actual")?, &case_bytes)?,
            differences: row.try_get("differences").map_err(&failed)?,
            reduced: number("reduced")? != 0,
            confirmations: column::read_small_integer(row, "confirmations").map_err(&failed)?,
            found: UnixMillis(number("found")?),
        })
    }
}

fn read_sighting(row: &AnyRow) -> sqlx::Result<(String, Sighting)> {
    let sighting = Sighting {
        run: RunId(row.try_get("run_id")?),
        engine: EngineId(row.try_get("engine_id")?),
        runs: column::read_u64(row, "runs")?,
        blocks: column::read_u64(row, "blocks")?,
    };
    Ok((row.try_get("signature")?, sighting))
}
