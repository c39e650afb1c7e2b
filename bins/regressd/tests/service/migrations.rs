//! The schema's versions.

use regressd::database::repositories;
use regressd::database::runs;
use regressd::database::{self, Database, DatabaseError, LATEST, Location, jobs, pull_requests};
use regressd::domain::{HistoryPlace, RepositoryId, StreamId, UnixMillis};

use crate::databases::{accepted, new_run, stream};
use crate::place::Place;
use crate::running::Running;

/// What a database held is there after it was opened again, however many processes do that at once.
pub(crate) async fn a_filled_database_is_migrated_once(place: Place) {
    let all =
        futures_util::future::join_all((0..6).map(|_| database::migrate_database(&place.location))).await;
    let versions: Vec<i64> = all.into_iter().map(Result::unwrap).collect();
    assert_eq!(
        versions.iter().filter(|version| **version < LATEST).count(),
        1,
        "{versions:?}"
    );
    let database = Database::open(&place.location).await.unwrap();
    let whose = stream(&database).await;
    for number in 0..50 {
        accepted(
            &database,
            new_run(whose, &format!("{number:040x}"), UnixMillis::now()),
        )
        .await;
    }
    database.close().await;
    assert_eq!(database::migrate_database(&place.location).await.unwrap(), LATEST);
    let database = Database::open(&place.location).await.unwrap();
    let mut connection = database.acquire_reader().await.unwrap();
    let history = runs::list_history_runs(&mut connection, whose.1, "main", HistoryPlace::LAST, 100)
        .await
        .unwrap();
    assert_eq!(history.len(), 50);
}

/// Version 1 as it was released.
const VERSION_1: &str = include_str!("../../src/database/migrations/0001_initial.sql");

/// Rows of every table that version 2 touches or reads anew.
const ROWS: &str = "
    INSERT INTO repositories (owner, name, default_branch, created) VALUES ('octo', 'hello', 'main', 1);
    INSERT INTO environments (canonical, parts) VALUES ('name=ci', '{}');
    INSERT INTO streams (repository_id, environment_id, component) VALUES (1, 1, 'default');
    INSERT INTO series (stream_id, benchmark, measure, unit, direction)
        VALUES (1, 'sort', 'latency', 'ns', 'smaller-is-better');
    INSERT INTO runs (repository_id, stream_id, branch, target, commit_sha, run_key, received, uploader, results)
        VALUES (1, 1, 'main', 'main', 'aaaa', '1', 5, 'token:1', '[[1,[100]]]');
    INSERT INTO runs (repository_id, stream_id, branch, target, commit_sha, run_key, received, uploader, results)
        VALUES (1, 1, 'main', 'main', 'bbbb', '1', 6, 'token:1', '[[1,[200]]]');
    INSERT INTO judgements (run_id, stream_id, branch, accepted, outcome, judged, verdicts)
        VALUES (1, 1, 'main', 1, 'not-judged', 5, '{\"verdicts\":[]}');
    INSERT INTO rejections (series_id, run_id) VALUES (1, 1);
    INSERT INTO pull_requests (repository_id, number, head_sha, base_branch, open) VALUES (1, 7, 'cccc', 'main', 1);
    INSERT INTO jobs (kind, key, payload, correlation, state, due, created)
        VALUES ('judge', 'judge:2', '{\"run\":2}', 'x', 'waiting', 6, 6);
    INSERT INTO jobs (kind, key, payload, correlation, state, attempts, due, created, error)
        VALUES ('comment', 'comment:1:7', '{}', 'x', 'dead', 8, 6, 6, 'refused');";

/// A database that version 1 filled is brought up to date with all it holds, and its waiting work is done.
pub(crate) async fn a_filled_database_of_version_1_is_kept(place: Place) {
    let schema = match &place.location {
        Location::Postgres(_) => VERSION_1.to_owned(),
        Location::Sqlite(path) => {
            std::fs::File::create(path).unwrap();
            let words = VERSION_1.replace("BIGSERIAL PRIMARY KEY", "INTEGER PRIMARY KEY AUTOINCREMENT");
            format!("PRAGMA journal_mode = WAL; PRAGMA application_id = 1380405828; {words}")
        }
    };
    place.execute(&schema).await;
    let version =
        "CREATE TABLE regressd_schema (version BIGINT NOT NULL); INSERT INTO regressd_schema VALUES (1);";
    place.execute(version).await;
    place.execute(ROWS).await;
    assert_eq!(database::migrate_database(&place.location).await.unwrap(), 1);
    assert_eq!(database::migrate_database(&place.location).await.unwrap(), LATEST);
    let service = Running::start(place).await;
    let token = service.token("*", "admin").await;
    let judged = service.judged(&serde_json::json!(2), &token).await;
    assert_eq!(
        judged["results"][0]["sample_size"], 0,
        "run 1 was rejected: {judged}"
    );
    let mut connection = service.state.database.acquire_reader().await.unwrap();
    let repository = repositories::by_id(&mut connection, RepositoryId(1))
        .await
        .unwrap();
    let repository = repository.unwrap();
    assert_eq!(repository.default_branch.as_deref(), Some("main"));
    let pull = pull_requests::find_pull_request(&mut connection, repository.id, 7)
        .await
        .unwrap();
    let pull = pull.unwrap();
    assert_eq!((pull.head_sha.as_str(), pull.from_fork), ("cccc", None));
    let dead = jobs::dead_letters(&mut connection, 0, 10).await.unwrap();
    assert_eq!(dead[0].error.as_deref(), Some("refused"));
    let history = runs::list_history_runs(&mut connection, StreamId(1), "main", HistoryPlace::LAST, 10).await;
    assert_eq!(history.unwrap().len(), 2);
}

pub(crate) async fn a_newer_schema_is_refused(place: Place) {
    database::migrate_database(&place.location).await.unwrap();
    place
        .execute("INSERT INTO regressd_schema (version) VALUES (99)")
        .await;
    let error = Database::open(&place.location).await.unwrap_err();
    assert!(matches!(error, DatabaseError::Newer { found: 99, .. }), "{error}");
    assert!(error.to_string().contains("use a newer regressd"));
}
