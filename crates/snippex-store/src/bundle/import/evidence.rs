//! Cases, bugs and their examples, and the list of known bugs.

use snippex_core::codec::{self, CaseId};
use snippex_triage::cause::{BugName, CauseId};
use snippex_triage::signature::{CodeForm, Signature};
use sqlx::Row;

use super::super::records::{BugRecord, CaseRecord, ExampleRecord, KnownBugRecord};
use super::super::{BundleError, Section};
use super::results::{ImportBatch, check_observation};
use super::{At, Import};
use crate::bug::{INSERT_EXAMPLES, KnownBug};
use crate::evidence::EncodedCase;
use crate::ids::UnixMillis;
use crate::insert::Statement;
use crate::packed::pack_bytes;

impl Import<'_> {
    pub(super) fn import_case(
        &mut self,
        at: At,
        record: &CaseRecord,
        batch: &mut ImportBatch,
    ) -> Result<(), BundleError> {
        let case = codec::decode_case(&record.bytes.0);
        let case = case.map_err(|error| at.invalid(format!("the case cannot be read: {error}")))?;
        let encoded = EncodedCase::from(&case);
        if encoded.id().to_string() != record.id {
            return Err(at.invalid(format!("its id should be {}", encoded.id())));
        }
        self.cases.insert(encoded.id().0);
        batch.cases.push(encoded);
        Ok(())
    }

    pub(super) fn has_case(&self, at: At, id: &str) -> Result<(), BundleError> {
        let is_there = id
            .parse::<CaseId>()
            .is_ok_and(|case| case.to_string() == id && self.cases.contains(&case.0));
        if is_there {
            Ok(())
        } else {
            Err(at.invalid(format!("its case {id:?} does not stand before it")))
        }
    }

    pub(super) fn has_signature(&self, at: At, signature: &str) -> Result<(), BundleError> {
        if self.signatures.contains(signature) {
            Ok(())
        } else {
            Err(at.invalid(format!("the bug {signature:?} does not stand before it")))
        }
    }

    pub(super) async fn import_bug(&mut self, at: At, record: &BugRecord) -> Result<(), BundleError> {
        at.plain(&[&record.form, &record.encoding])?;
        at.timed(&[record.first_seen_ms])?;
        let signature = Signature {
            kind: record.kind,
            form: CodeForm {
                text: record.form.clone(),
                encoding: record.encoding.clone(),
            },
            fields: record.fields.clone(),
        };
        if record
            .fields
            .iter()
            .any(|field| field.contains(['\n', '\r', '\0']))
        {
            return Err(at.invalid("a field is not one line"));
        }
        if signature.id().to_string() != record.signature {
            return Err(at.invalid(format!("its signature should be {}", signature.id())));
        }
        if !self.signatures.insert(record.signature.clone()) {
            return Err(at.invalid("it is there twice"));
        }
        let sql = "INSERT INTO bugs (signature, kind, form, encoding, fields, first_seen)
                   VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (signature) DO NOTHING";
        let query = sqlx::query(sql)
            .bind(&record.signature)
            .bind(signature.kind.name())
            .bind(&record.form)
            .bind(&record.encoding)
            .bind(record.fields.join("\n"))
            .bind(record.first_seen_ms);
        let inserted = query.execute(&mut *self.connection).await;
        let added = at.inserted(self.store, inserted)?.rows_affected();
        self.added(Section::Bugs, added);
        // Whichever met it first.
        let sql = "UPDATE bugs SET first_seen = $1 WHERE signature = $2 AND first_seen > $1";
        let query = sqlx::query(sql)
            .bind(record.first_seen_ms)
            .bind(&record.signature);
        query
            .execute(&mut *self.connection)
            .await
            .map_err(self.store.failed_to("import"))?;
        Ok(())
    }

    pub(super) async fn import_example(&mut self, at: At, record: ExampleRecord) -> Result<(), BundleError> {
        at.plain(&[&record.differences])?;
        at.json(&record.differences)?;
        at.timed(&[record.found_ms])?;
        self.has_signature(at, &record.signature)?;
        check_cause(at, &record.cause)?;
        self.has_case(at, &record.case)?;
        check_observation(at, &record.expected.0)?;
        check_observation(at, &record.actual.0)?;
        let engine = at.known(&self.engines, "engine", record.engine)?;
        let reference = at.known(&self.engines, "engine", record.reference)?;
        let block = record
            .block
            .map(|block| at.known(&self.blocks, "block", block))
            .transpose()?;
        let failed = self.store.failed_to("import");
        let sql = "SELECT COUNT(*) FROM bug_examples WHERE cause = $1 AND signature = $2 AND engine_id = $3";
        let query = sqlx::query_scalar(sql)
            .bind(&record.cause)
            .bind(&record.signature)
            .bind(engine);
        let there: i64 = query.fetch_one(&mut *self.connection).await.map_err(failed)?;
        let bind = |statement: Statement, record: &ExampleRecord| {
            statement
                .bind(record.cause.clone())
                .bind(record.signature.clone())
                .bind(engine)
                .bind(reference)
                .bind(block)
                .bind(record.case.clone())
                .bind(i64::from(record.reduced))
                .bind(i64::from(record.confirmations))
                .bind(record.differences.clone())
                .bind(pack_bytes(&record.expected.0, &[]))
                .bind(pack_bytes(&record.actual.0, &[]))
                .bind(record.found_ms)
        };
        let inserted = INSERT_EXAMPLES
            .insert_rows(self.connection, &[record], bind)
            .await;
        at.inserted(self.store, inserted)?;
        self.added(Section::Examples, u64::from(there == 0));
        Ok(())
    }

    pub(super) async fn import_known_bug(
        &mut self,
        at: At,
        record: KnownBugRecord,
    ) -> Result<(), BundleError> {
        at.plain(&[&record.engine, &record.issue, &record.note])?;
        at.timed(&[record.added_ms])?;
        let bug: BugName = record
            .bug
            .parse()
            .map_err(|_| at.invalid(format!("{:?} is no name of a bug", record.bug)))?;
        let entry = KnownBug {
            bug,
            engine: record.engine,
            issue: record.issue,
            note: record.note,
            added: UnixMillis(record.added_ms),
        };
        for known in self.known_entries(&entry.bug).await? {
            if known.contradicts(&entry) {
                self.report.contradicting_known_bugs += 1;
                return Ok(());
            }
            if known.engine == entry.engine {
                return Ok(());
            }
        }
        let sql = "INSERT INTO known_bugs (bug, engine, issue, note, added) VALUES ($1, $2, $3, $4, $5)";
        let query = sqlx::query(sql)
            .bind(entry.bug.to_string())
            .bind(entry.engine)
            .bind(entry.issue)
            .bind(entry.note)
            .bind(entry.added.0);
        let inserted = query.execute(&mut *self.connection).await;
        at.inserted(self.store, inserted)?;
        self.added(Section::KnownBugs, 1);
        Ok(())
    }

    async fn known_entries(&mut self, bug: &BugName) -> Result<Vec<KnownBug>, BundleError> {
        let sql = "SELECT engine, issue, note, added FROM known_bugs WHERE bug = $1 ORDER BY engine";
        let rows = sqlx::query(sql)
            .bind(bug.to_string())
            .fetch_all(&mut *self.connection)
            .await;
        let failed = self.store.failed_to("import");
        let mut entries = Vec::new();
        for row in &rows.map_err(&failed)? {
            entries.push(KnownBug {
                bug: bug.clone(),
                engine: row.try_get("engine").map_err(&failed)?,
                issue: row.try_get("issue").map_err(&failed)?,
                note: row.try_get("note").map_err(&failed)?,
                added: UnixMillis(row.try_get("added").map_err(&failed)?),
            });
        }
        Ok(entries)
    }
}

/// A cause is empty where nobody has looked for it yet.
pub(super) fn check_cause(at: At, cause: &str) -> Result<(), BundleError> {
    if cause.is_empty() || cause.parse::<CauseId>().is_ok() {
        Ok(())
    } else {
        Err(at.invalid(format!("{cause:?} is no name of a cause")))
    }
}
