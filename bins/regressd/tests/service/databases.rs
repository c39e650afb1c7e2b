//! What both databases must do alike.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use regressd::database::deliveries::{self, DeliveryState};
use regressd::database::judgements::{self, Judgement};
use regressd::database::runs::{self, NewRun};
use regressd::database::streams::{self, SeriesName};
use regressd::database::{Database, repositories, retention};
use regressd::domain::{HistoryPlace, RepoName, RepositoryId, RunId, SeriesId, StreamId, UnixMillis};
use regressd::github::{ContentLimits, ContentRateLimiter as _, Leases as _};
use regressd::series_directory::SeriesDirectory;

use crate::place::Place;

/// A repository with a stream.
pub(crate) async fn stream(database: &Database) -> (RepositoryId, StreamId) {
    let write = database.run_in_transaction(|connection| {
        Box::pin(async move {
            let name: RepoName = "octo/hello".parse().unwrap();
            let repository = repositories::insert_repository(connection, &name).await?;
            let environment = streams::insert_environment(connection, "os=linux", "{}").await?;
            Ok((
                repository,
                streams::insert_stream(connection, repository, environment, "default").await?,
            ))
        })
    });
    write.await.unwrap()
}

pub(crate) fn new_run(
    (repository, stream): (RepositoryId, StreamId),
    commit: &str,
    received: UnixMillis,
) -> NewRun {
    NewRun {
        repository,
        stream,
        branch: "main".to_owned(),
        target: "main".to_owned(),
        commit: commit.to_owned(),
        pull_request: None,
        key: "1".to_owned(),
        received,
        uploader: "token:1".to_owned(),
        workflow_run: None,
        commit_time: None,
        results: "[[1,[5]]]".to_owned(),
        base: None,
        problems: None,
    }
}

/// Stores a run of the history of main.
pub(crate) async fn accepted(database: &Database, run: NewRun) -> RunId {
    let write = database.run_in_transaction(move |connection| {
        let run = run.clone();
        Box::pin(async move {
            let id = runs::insert_run(connection, &run).await?.unwrap();
            let judgement = Judgement {
                run: id,
                stream: run.stream,
                branch: run.branch,
                accepted: true,
                at: run.received,
                outcome: regress_core::detect::Outcome::Unchanged,
                judged: UnixMillis::now(),
                verdicts: "{\"verdicts\":[]}".to_owned(),
            };
            judgements::put_judgement(connection, &judgement).await?;
            Ok(id)
        })
    });
    write.await.unwrap()
}

pub(crate) async fn repositories_and_series_are_stored_once(place: Place) {
    let database = Database::open(&place.location).await.unwrap();
    let (first, second) = (stream(&database).await, stream(&database).await);
    assert_eq!(first, second);
    let write = database.run_in_transaction(move |connection| {
        Box::pin(async move {
            let name = SeriesName {
                benchmark: "sort".to_owned(),
                measure: "latency".to_owned(),
                unit: "ns".to_owned(),
                direction: regress_core::measurement::Direction::SmallerIsBetter,
            };
            let one = streams::insert_series(connection, first.1, &name).await?;
            let again = streams::insert_series(connection, first.1, &name).await?;
            let other = SeriesName {
                unit: "B".to_owned(),
                ..name
            };
            let third = streams::insert_series(connection, first.1, &other).await?;
            repositories::set_github(connection, first.0, Some(u64::MAX), None).await?;
            repositories::set_github(connection, first.0, None, Some("develop")).await?;
            Ok((one, again, third))
        })
    });
    let (one, again, third) = write.await.unwrap();
    assert!(one == again && one != third);
    let mut connection = database.acquire_reader().await.unwrap();
    let repository = repositories::by_id(&mut connection, first.0)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(repository.installation, Some(u64::MAX));
    assert_eq!(repository.default_branch.as_deref(), Some("develop"));
}

pub(crate) async fn deliveries_are_done_once(place: Place) {
    let database = Database::open(&place.location).await.unwrap();
    let insert = || async {
        let write = database.run_in_transaction(|connection| {
            let delivery = deliveries::StoredDelivery {
                id: "1".to_owned(),
                event: "push".to_owned(),
                payload: "{}".to_owned(),
            };
            Box::pin(async move { deliveries::insert_delivery(connection, &delivery).await })
        });
        write.await.unwrap()
    };
    let set = |state: DeliveryState| {
        database.run_in_transaction(move |connection| Box::pin(deliveries::set_state(connection, "1", state)))
    };
    assert!(insert().await);
    assert!(!insert().await, "it waits");
    set(DeliveryState::Done).await.unwrap();
    assert!(!insert().await, "it is done");
    set(DeliveryState::Failed).await.unwrap();
    assert!(insert().await, "a redelivery of a failed one works");
}

pub(crate) async fn leases_end_by_themselves(place: Place) {
    let database = Database::open(&place.location).await.unwrap();
    let life = Duration::from_secs(3);
    assert_eq!(database.acquire_lease("c", "one", life).await.unwrap(), None);
    let left = database.acquire_lease("c", "two", life).await.unwrap().unwrap();
    assert!(left <= life);
    database.release_lease("c", "two").await.unwrap();
    assert!(
        database.acquire_lease("c", "two", life).await.unwrap().is_some(),
        "only the holder gives it back"
    );
    tokio::time::sleep(life).await;
    assert_eq!(database.acquire_lease("c", "two", life).await.unwrap(), None);
    database.release_lease("c", "two").await.unwrap();
    assert_eq!(database.acquire_lease("c", "one", life).await.unwrap(), None);
}

pub(crate) async fn processes_share_the_pace_of_content(place: Place) {
    let limits = ContentLimits {
        a_minute: 10,
        an_hour: 500,
    };
    let one = Database::open(&place.location).await.unwrap();
    let other = Database::open(&place.location).await.unwrap();
    let asking = (0..20).map(|turn| {
        let database = if turn % 2 == 0 { &one } else { &other };
        database.reserve_content_request(7, limits)
    });
    let answers = futures_util::future::join_all(asking).await;
    let answers: Vec<Option<u64>> = answers.into_iter().map(Result::unwrap).collect();
    let taken = answers.iter().filter(|wait| wait.is_none()).count();
    assert_eq!(taken, 10, "together no more than allowed: {answers:?}");
    assert!(answers.iter().flatten().all(|wait| (1..=60_000).contains(wait)));
    assert_eq!(
        one.reserve_content_request(8, limits).await.unwrap(),
        None,
        "another installation has its own"
    );
}

pub(crate) async fn old_runs_go_and_baselines_stay(place: Place) {
    let database = Database::open(&place.location).await.unwrap();
    let whose = stream(&database).await;
    let long_ago = UnixMillis::now().saturating_sub(Duration::from_secs(400 * 86_400));
    let mut ids = Vec::new();
    for number in 0..10 {
        let time = if number < 8 { long_ago } else { UnixMillis::now() };
        ids.push(accepted(&database, new_run(whose, &format!("{number:040x}"), time)).await);
    }
    let month = UnixMillis::now().saturating_sub(Duration::from_secs(30 * 86_400));
    let removed = retention::remove_old_runs(&database, month, 5).await.unwrap();
    assert_eq!(removed, 5, "five stay for the baseline");
    let mut connection = database.acquire_reader().await.unwrap();
    let history = runs::list_history_runs(&mut connection, whose.1, "main", HistoryPlace::LAST, 100)
        .await
        .unwrap();
    let left: Vec<RunId> = history.iter().map(|(id, ..)| *id).rev().collect();
    assert_eq!(left, ids[5..]);
}

pub(crate) async fn series_are_found_again_however_many_there_are(place: Place) {
    let database = Database::open(&place.location).await.unwrap();
    let (_, stream) = stream(&database).await;
    let name = |number: usize| {
        Arc::new(SeriesName {
            benchmark: format!("b{}", number / 2),
            measure: ["latency", "throughput"][number % 2].to_owned(),
            unit: "ns".to_owned(),
            direction: regress_core::measurement::Direction::SmallerIsBetter,
        })
    };
    // More than are remembered of one run, in another order the second time, with new ones between.
    let directory = SeriesDirectory::default();
    let names: Vec<Arc<SeriesName>> = (0..11_000).map(name).collect();
    let numbers = directory.find_or_insert(&database, stream, &names).await.unwrap();
    assert_eq!(numbers.iter().collect::<BTreeSet<_>>().len(), names.len());
    let more: Vec<Arc<SeriesName>> = (0..11_004).rev().map(name).collect();
    let again = directory.find_or_insert(&database, stream, &more).await.unwrap();
    assert_eq!(again.len(), more.len());
    assert!(again[4..].iter().eq(numbers.iter().rev()));
    let few = directory
        .find_or_insert(&database, stream, &names[..20])
        .await
        .unwrap();
    assert_eq!(few, numbers[..20]);
    let named = directory
        .names_of(&database, numbers.iter().copied().chain([SeriesId(i64::MAX)]))
        .await
        .unwrap();
    assert_eq!(named.len(), names.len());
    assert!(
        numbers
            .iter()
            .zip(&names)
            .all(|(number, name)| named[number] == *name)
    );
    directory.forget_all();
    let after = directory
        .find_or_insert(&database, stream, &names[..3])
        .await
        .unwrap();
    assert_eq!(after, numbers[..3]);
}
