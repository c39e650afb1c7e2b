//! The order of runs: that of the times of their commits where they say so, else that of their arrival.

use serde_json::{Value, json};

use crate::place::Place;
use crate::running::{Running, run};

/// Noon of a day of November 2020.
fn noon(day: u64) -> String {
    format!("2020-11-{day:02}T12:00:00+01:00")
}

/// Uploads what was measured of the commit of a day, and waits until it is judged.
async fn import(service: &Running, token: &str, day: u64, value: u64) -> Value {
    let mut body = run(
        "octo/hello",
        "main",
        &format!("{day:040x}"),
        &[value, 500 + day % 3],
    );
    body["commit_time"] = json!(noon(day));
    let (status, answer) = service.upload(token, &body).await;
    assert!(status == 200 || status == 202, "{answer}");
    service.judged(&answer["run"], token).await
}

/// The days of the commits of a series' history, newest first, with their values.
async fn history(service: &Running, token: &str) -> Vec<(u64, f64)> {
    let (_, series) = service.get("/v1/repositories/octo/hello/series", token).await;
    let number = &series["items"][0]["series"];
    let mut all = Vec::new();
    // In pages of three, so that their cursors are tried too.
    let mut path = format!("/v1/series/{number}/history?limit=3");
    loop {
        let (status, page) = service.get(&path, token).await;
        assert_eq!(status, 200, "{page}");
        for item in page["items"].as_array().unwrap() {
            let commit = u64::from_str_radix(item["commit"].as_str().unwrap(), 16).unwrap();
            all.push((commit, item["value"].as_f64().unwrap()));
        }
        match page["next"].as_str() {
            Some(next) => path = format!("/v1/series/{number}/history?limit=3&cursor={next}"),
            None => return all,
        }
    }
}

fn of_a(judged: &Value) -> &Value {
    &judged["results"][0]
}

pub(crate) async fn history_goes_by_the_time_of_its_commits(place: Place) {
    let service = Running::start(place).await;
    let token = service.token("*", "admin").await;
    // From the ninth on it is twice as slow. The days come out of order, the last ones first.
    for day in [14, 13, 12, 11, 10, 9, 2, 4, 6, 8, 1, 3, 5, 7] {
        let level = if day < 9 { 1000 } else { 2000 };
        import(&service, &token, day, level + day).await;
    }
    let days: Vec<u64> = history(&service, &token)
        .await
        .into_iter()
        .map(|(day, _)| day)
        .collect();
    assert_eq!(days, (1..=14).rev().collect::<Vec<u64>>());
    // An older commit is judged by what came before it, and not by the newest.
    let mut late = run("octo/hello", "main", &format!("{:040x}", 99), &[1004, 500]);
    late["commit_time"] = json!("2020-11-08T20:00:00Z");
    let (_, answer) = service.upload(&token, &late).await;
    let judged = service.judged(&answer["run"], &token).await;
    assert_eq!(of_a(&judged)["sample_size"], 8, "{judged}");
    assert_eq!(judged["results"][0]["verdict"], "unchanged", "{judged}");
    let newest = run("octo/hello", "main", &format!("{:040x}", 100), &[2005, 500]);
    let (_, answer) = service.upload(&token, &newest).await;
    let judged = service.judged(&answer["run"], &token).await;
    assert!(of_a(&judged)["sample_size"].as_u64().unwrap() >= 9, "{judged}");
    assert_eq!(
        history(&service, &token).await[0].0,
        100,
        "without a time it stands where it arrives"
    );
    let (status, problem) = {
        let mut body = run("octo/hello", "main", &"f".repeat(40), &[1]);
        body["commit_time"] = json!("2999-01-01T00:00:00Z");
        service.upload(&token, &body).await
    };
    assert_eq!(status, 422, "{problem}");
    assert!(
        problem["detail"].as_str().unwrap().contains("future"),
        "{problem}"
    );
    let mut body = run("octo/hello", "main", &"f".repeat(40), &[1]);
    body["commit_time"] = json!("yesterday");
    assert_eq!(service.upload(&token, &body).await.0, 422);
}

pub(crate) async fn an_old_commit_measured_again_stands_where_it_arrives(place: Place) {
    let service = Running::start(place).await;
    let token = service.token("*", "admin").await;
    for day in 1..=10 {
        import(&service, &token, day, 1000 + day).await;
    }
    // The second process of the newest commit belongs to its first.
    let mut second = run("octo/hello", "main", &format!("{:040x}", 10), &[1011, 500]);
    second["commit_time"] = json!(noon(10));
    second["run_id"] = json!("2");
    let (_, answer) = service.upload(&token, &second).await;
    service.judged(&answer["run"], &token).await;
    // The fourth day's commit is measured anew on a machine that has become slower.
    let mut again = run("octo/hello", "main", &format!("{:040x}", 4), &[1500, 750]);
    again["commit_time"] = json!(noon(4));
    again["run_id"] = json!("again");
    let (_, answer) = service.upload(&token, &again).await;
    service.judged(&answer["run"], &token).await;
    let days: Vec<u64> = history(&service, &token)
        .await
        .into_iter()
        .map(|(day, _)| day)
        .collect();
    assert_eq!(days, [4, 10, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1]);
}

pub(crate) async fn what_was_accepted_and_rejected_goes_by_the_order_of_the_history(place: Place) {
    let service = Running::start(place).await;
    let token = service.token("*", "admin").await;
    for day in 1..=10 {
        import(&service, &token, 2 * day, 1000 + day).await;
    }
    // Slower, twice in a row: those values are no baseline until somebody accepts them.
    let mut slow = Vec::new();
    for day in [21, 22, 23] {
        slow.push(import(&service, &token, day, 1500 + day).await);
    }
    let (_, series) = service.get("/v1/repositories/octo/hello/series", &token).await;
    let number = series["items"][0]["series"].clone();
    let baseline = async || {
        service
            .get(&format!("/v1/series/{number}/baseline"), &token)
            .await
            .1
    };
    let before = baseline().await;
    assert_eq!(
        (&before["sample_size"], before["highest"].as_f64()),
        (&json!(10), Some(1010.0)),
        "{before}"
    );
    let accept =
        json!({ "branch": "main", "from_run": slow[0]["run"]["run"], "justification": "it does more" });
    let path = format!("/v1/series/{number}/accept");
    let (status, answer) = service
        .ask(reqwest::Method::POST, &path, &token, Some(&accept))
        .await;
    assert_eq!(status, 200, "{answer}");
    // What is imported of the time before the accepted run comes after it by number, and before it in the history.
    import(&service, &token, 15, 1007).await;
    let after = baseline().await;
    assert_eq!(
        (&after["sample_size"], after["lowest"].as_f64()),
        (&json!(3), Some(1521.0)),
        "{after}"
    );
}

/// Uploads many runs of main at once, each of a commit of its own, and waits until all are judged.
async fn upload_at_once(service: &Running, token: &str, commits: std::ops::Range<u64>, level: u64) {
    let uploads = commits.map(|commit| async move {
        let values = [level + commit % 7, 500 + commit % 3];
        let body = run("octo/hello", "main", &format!("{commit:040x}"), &values);
        let (status, answer) = service.upload(token, &body).await;
        assert!(status == 200 || status == 202, "{answer}");
        service.judged(&answer["run"], token).await
    });
    futures_util::future::join_all(uploads).await;
}

pub(crate) async fn a_clock_set_back_under_load_leaves_runs_in_their_order(place: Place) {
    // Most of them wait for workers.
    let service = Running::with(place, &[("server.judged_at_once", "1")]).await;
    let token = service.token("*", "admin").await;
    upload_at_once(&service, &token, 0..16, 1000).await;
    // What arrived so far arrived within the next hour, by the clock of now.
    let set_back = service.state.database.run_in_transaction(|connection| {
        Box::pin(async move {
            for sql in [
                "UPDATE runs SET received = received + 3600000, commit_time = commit_time + 3600000",
                "UPDATE judgements SET at = at + 3600000",
            ] {
                sqlx::query(sql).execute(&mut *connection).await?;
            }
            Ok(())
        })
    });
    set_back.await.unwrap();
    service.state.directory.forget_all();
    upload_at_once(&service, &token, 16..32, 2000).await;
    let mut body = run("octo/hello", "main", &format!("{:040x}", 32), &[2003, 501]);
    body["commit_time"] = json!(jiff::Timestamp::now().to_string());
    let (_, answer) = service.upload(&token, &body).await;
    service.judged(&answer["run"], &token).await;
    let order = history(&service, &token).await;
    let slow = order.iter().take_while(|(_, value)| *value >= 2000.0).count();
    assert_eq!((order.len(), slow), (33, 16), "{order:?}");
    let imported = order.iter().position(|(commit, _)| *commit == 32);
    assert_eq!(
        imported,
        Some(32),
        "its commit is older than all others: {order:?}"
    );
    // The next run stands behind all of them, and is judged by what came before.
    let last = run("octo/hello", "main", &format!("{:040x}", 33), &[2003, 501]);
    let (_, answer) = service.upload(&token, &last).await;
    let judged = service.judged(&answer["run"], &token).await;
    assert_eq!(history(&service, &token).await[0].0, 33);
    assert!(of_a(&judged)["sample_size"].as_u64() >= Some(16), "{judged}");
}

pub(crate) async fn processes_share_the_order_of_arrival(place: Place) {
    // Nothing is judged while it arrives: runs that wait have their place, too.
    let queued = [("server.judged_at_once", "0")];
    let one = Running::with(place, &queued).await;
    let other = one.beside(&queued).await;
    let token = one.token("*", "admin").await;
    let upload = async |service: &Running, commit: u64, level: u64, time: Option<String>| {
        let mut body = run(
            "octo/hello",
            "main",
            &format!("{commit:040x}"),
            &[level + commit, 500],
        );
        if let Some(time) = time {
            body["commit_time"] = json!(time);
        }
        let (status, answer) = service.upload(&token, &body).await;
        assert!(status == 200 || status == 202, "{answer}");
        answer["run"].clone()
    };
    // Both know the stream. What the second takes then, it takes by a clock that is an hour ahead of the first one's.
    let mut runs = vec![
        upload(&one, 0, 1000, None).await,
        upload(&other, 1, 1000, None).await,
    ];
    for commit in 2..5 {
        runs.push(upload(&other, commit, 1000, None).await);
    }
    for number in &runs {
        one.judged(number, &token).await;
    }
    let ahead = one.state.database.run_in_transaction(|connection| {
        Box::pin(async move {
            for sql in [
                "UPDATE runs SET received = received + 3600000, commit_time = commit_time + 3600000 WHERE id > 1",
                "UPDATE judgements SET at = at + 3600000 WHERE run_id > 1",
            ] {
                sqlx::query(sql).execute(&mut *connection).await?;
            }
            Ok(())
        })
    });
    ahead.await.unwrap();
    for commit in 5..8 {
        runs.push(upload(&one, commit, 2000, None).await);
    }
    // The commit was made after all of that by the other clock, and long before by its own time.
    let soon = jiff::Timestamp::now() + jiff::SignedDuration::from_hours(3);
    runs.push(upload(&one, 8, 2000, Some(soon.to_string())).await);
    runs.push(upload(&one, 9, 1000, Some(noon(3))).await);
    runs.push(upload(&other, 10, 2000, None).await);
    for number in &runs {
        one.judged(number, &token).await;
    }
    let order: Vec<u64> = history(&one, &token)
        .await
        .into_iter()
        .map(|(commit, _)| commit)
        .collect();
    assert_eq!(order, [10, 8, 7, 6, 5, 4, 3, 2, 1, 0, 9]);
}
