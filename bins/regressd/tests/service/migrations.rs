//! The schema's versions.

use regressd::database::runs::{self, RunId};
use regressd::database::{self, Database, DatabaseError, LATEST};
use regressd::domain::Moment;

use crate::databases::{accepted, new_run, stream};
use crate::place::Place;

/// What a database held is there after it was opened again, however many processes do that at once.
pub(crate) async fn a_filled_database_is_migrated_once(place: Place) {
    let all = futures_util::future::join_all((0..6).map(|_| database::migrate(&place.location))).await;
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
            new_run(whose, &format!("{number:040x}"), Moment::now()),
        )
        .await;
    }
    database.close().await;
    assert_eq!(database::migrate(&place.location).await.unwrap(), LATEST);
    let database = Database::open(&place.location).await.unwrap();
    let mut connection = database.read().await.unwrap();
    let history = runs::history(&mut connection, whose.1, "main", RunId(i64::MAX), 100)
        .await
        .unwrap();
    assert_eq!(history.len(), 50);
}

pub(crate) async fn a_newer_schema_is_refused(place: Place) {
    database::migrate(&place.location).await.unwrap();
    place
        .execute("INSERT INTO regressd_schema (version) VALUES (99)")
        .await;
    let error = Database::open(&place.location).await.unwrap_err();
    assert!(matches!(error, DatabaseError::Newer { found: 99, .. }), "{error}");
    assert!(error.to_string().contains("use a newer regressd"));
}
