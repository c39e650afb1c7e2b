//! Writes that are committed together.

use regressd::database::Database;
use regressd::database::runs;
use regressd::domain::{RepositoryId, RunId, UnixMillis};

use crate::databases::{new_run, stream};
use crate::place::Place;

pub(crate) async fn one_failed_operation_leaves_the_others_alone(place: Place) {
    let database = Database::open(&place.location).await.unwrap();
    let (repository, stream) = stream(&database).await;
    let insert = |number: usize| {
        // Every third belongs to a repository that is not there.
        let repository = if number.is_multiple_of(3) {
            RepositoryId(999)
        } else {
            repository
        };
        let run = new_run((repository, stream), &format!("{number:040x}"), UnixMillis::now());
        database.run_in_transaction(move |connection| {
            let run = run.clone();
            Box::pin(async move { runs::insert_run(connection, &run).await })
        })
    };
    let outcomes = futures_util::future::join_all((0..60).map(insert)).await;
    for (number, outcome) in outcomes.iter().enumerate() {
        assert_eq!(outcome.is_err(), number.is_multiple_of(3), "{number} {outcome:?}");
    }
    let mut connection = database.acquire_reader().await.unwrap();
    let all = runs::of_repository(&mut connection, repository, None, RunId(i64::MAX), 100)
        .await
        .unwrap();
    assert_eq!(all.len(), 40);
}

pub(crate) async fn many_writers_lose_nothing(place: Place) {
    let database = Database::open(&place.location).await.unwrap();
    let other = Database::open(&place.location).await.unwrap();
    let whose = stream(&database).await;
    let insert = |number: usize| {
        let database = if number.is_multiple_of(2) {
            &database
        } else {
            &other
        };
        let run = new_run(whose, &format!("{:040x}", number / 2), UnixMillis::now());
        database.run_in_transaction(move |connection| {
            let run = run.clone();
            Box::pin(async move { runs::insert_run(connection, &run).await })
        })
    };
    let outcomes = futures_util::future::join_all((0..400).map(insert)).await;
    let stored = outcomes
        .iter()
        .filter(|outcome| outcome.as_ref().unwrap().is_some())
        .count();
    assert_eq!(
        stored, 200,
        "each upload came twice, over two processes, and is stored once"
    );
}
