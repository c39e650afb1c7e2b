//! Pages and badges, as a browser asks for them.

use reqwest::header::{
    ACCEPT, CACHE_CONTROL, CONTENT_SECURITY_POLICY, COOKIE, ETAG, IF_NONE_MATCH, SET_COOKIE,
};
use reqwest::{Method, RequestBuilder};
use serde_json::json;

use crate::place::Place;
use crate::running::{Running, run};

struct Answer {
    status: u16,
    body: String,
    headers: reqwest::header::HeaderMap,
}

async fn send(request: RequestBuilder) -> Answer {
    let response = request.header(ACCEPT, "text/html").send().await.unwrap();
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    Answer {
        status,
        headers,
        body: response.text().await.unwrap(),
    }
}

async fn get(service: &Running, path: &str, token: &str) -> Answer {
    let request = service.client.get(format!("{}{path}", service.url));
    let request = if token.is_empty() {
        request
    } else {
        request.header(COOKIE, format!("a=b; regressd_token={token}"))
    };
    let answer = send(request).await;
    assert!(!answer.body.contains("<script>alert"), "{path}: {}", answer.body);
    answer
}

pub(crate) async fn pages_show_what_is_stored_to_those_who_may_see_it(place: Place) {
    let service = Running::start(place).await;
    let token = service.token("octo/*", "admin").await;
    let other = service.token("other/*", "admin").await;
    service.history(&token, "octo/hello").await;
    let mut body = run("octo/hello", "main", "cafe0123", &[1300, 900]);
    let evil = "go<script>alert(1)</script>";
    body["component"] = json!(evil);
    let (_, answer) = service.upload(&token, &body).await;
    let run_page = format!("/runs/{}", answer["run"]);
    service.judged(&answer["run"], &token).await;

    let first = get(&service, "/", &token).await;
    assert_eq!(first.status, 200);
    assert!(first.body.contains("octo/<wbr>hello"), "{}", first.body);
    assert!(
        first.headers[CONTENT_SECURITY_POLICY]
            .to_str()
            .unwrap()
            .contains("default-src 'none'")
    );
    let repository = get(&service, "/repositories/Octo/hello", &token).await;
    assert!(repository.body.contains("class=\"series\"") && repository.body.contains("<polyline"));
    let series = repository.body.rsplit("href=\"/series/").next().unwrap();
    let series = format!(
        "/series/{}",
        series.split('"').next().unwrap().replace("&amp;", "&")
    );
    let page = get(&service, &series, &token).await;
    assert_eq!(page.status, 200);
    assert!(
        page.body.contains("class=\"band\"") && page.body.contains("https://github.com/octo/hello/commit/")
    );
    let judged = get(&service, &run_page, &token).await;
    assert!(
        judged.body.contains("Whole history") || judged.body.contains("first time"),
        "{}",
        judged.body
    );
    let none = get(
        &service,
        "/repositories/octo/hello?q=zzz%3Cscript%3Ealert&branch=%00",
        &token,
    )
    .await;
    assert!(
        none.status == 200 && none.body.contains("&lt;script&gt;"),
        "{}",
        none.body
    );

    // Others learn nothing, not even that it is there.
    for path in [
        "/repositories/octo/hello",
        "/repositories/octo/none",
        &series,
        &run_page,
        "/runs/99999999",
        "/series/x",
    ] {
        let nobody = get(&service, path, "").await;
        assert_eq!(nobody.status, 401, "{path}");
        assert!(nobody.body.contains("action=\"/sign-in\""));
        let stranger = get(&service, path, &other).await;
        assert_eq!(stranger.status, 404, "{path}");
    }
    assert!(!get(&service, "/", &other).await.body.contains("octo"));
    assert_eq!(get(&service, "/no/such/page", &token).await.status, 404);
    assert_eq!(
        service.get("/no/such/page", &token).await.0,
        404,
        "and a problem for programs"
    );

    // Until its owner opens it.
    let config = json!({ "public": true });
    service
        .ask(Method::PUT, "/config/octo/hello", &token, Some(&config))
        .await;
    for path in ["/", "/repositories/octo/hello", &series, &run_page] {
        assert_eq!(get(&service, path, "").await.status, 200, "{path}");
    }
    for path in ["/style.css", "/icon.svg", "/api/", "/openapi.json"] {
        assert_eq!(get(&service, path, "").await.status, 200, "{path}");
    }
}

pub(crate) async fn a_run_is_there_as_files(place: Place) {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(
        folder.path().join("my summary.txt"),
        "{{ report.outcome }}: {{ counts }}",
    )
    .unwrap();
    std::fs::write(folder.path().join("wrong.txt"), "{{ report.none }}").unwrap();
    std::fs::write(folder.path().join(".hidden"), "x").unwrap();
    let templates = folder.path().display().to_string();
    let service = Running::with(place, &[("reports.templates", templates.as_str())]).await;
    let token = service.token("octo/*", "admin").await;
    service.history(&token, "octo/hello").await;
    let body = run("octo/hello", "main", "cafe0123", &[1300, 900]);
    let (_, answer) = service.upload(&token, &body).await;
    service.judged(&answer["run"], &token).await;
    let place = format!("/runs/{}", answer["run"]);
    let page = get(&service, &place, &token).await.body;
    for (file, kind, part) in [
        ("report.pdf", "application/pdf", "%PDF-"),
        ("report.csv", "text/csv; charset=utf-8", "benchmark,unit"),
        ("report.md", "text/markdown; charset=utf-8", "### "),
        ("report.json", "application/json", "\"outcome\""),
        ("my%20summary.txt", "application/octet-stream", ": "),
    ] {
        let path = format!("{place}/{file}");
        assert!(page.contains(&format!("href=\"{path}\"")), "{file}: {page}");
        let url = format!("{}{path}", service.url);
        let response = service.client.get(url).bearer_auth(&token).send().await.unwrap();
        assert_eq!(response.status(), 200, "{file}");
        assert_eq!(response.headers()["content-type"], kind);
        let bytes = response.bytes().await.unwrap();
        assert!(String::from_utf8_lossy(&bytes).contains(part), "{file}");
        // Whoever may not see the run gets no file of it.
        assert_eq!(get(&service, &path, "").await.status, 401, "{file}");
    }
    for file in ["report.doc", ".hidden", "..%2Fregressd.toml", "%2Fetc%2Fpasswd"] {
        assert_eq!(
            get(&service, &format!("{place}/{file}"), &token).await.status,
            404,
            "{file}"
        );
    }
    let wrong = get(&service, &format!("{place}/wrong.txt"), &token).await;
    assert_eq!(wrong.status, 500);
    assert!(!wrong.body.contains(&templates), "{}", wrong.body);
}

pub(crate) async fn the_badge_tells_its_states(place: Place) {
    let service = Running::start(place).await;
    let token = service.token("octo/*", "admin").await;
    let words = async |path: &str, token: &str| {
        let badge = get(&service, path, token).await;
        assert_eq!(
            (badge.status, badge.headers["content-type"].to_str().unwrap()),
            (200, "image/svg+xml")
        );
        let title = badge.body.split("<title>").nth(1).unwrap();
        title.split("</title>").next().unwrap().to_owned()
    };
    let path = "/badge/octo/hello.svg";
    assert_eq!(words(path, &token).await, "benchmarks: unknown");
    service
        .ask(Method::PUT, "/config/octo/hello", &token, Some(&json!({})))
        .await;
    assert_eq!(words(path, &token).await, "benchmarks: no data");
    let first = run("octo/hello", "main", "aaaa0123", &[1000, 505]);
    let (_, answer) = service.upload(&token, &first).await;
    service.judged(&answer["run"], &token).await;
    assert_eq!(words(path, &token).await, "benchmarks: not judged");
    service.history(&token, "octo/hello").await;
    assert_eq!(words(path, &token).await, "benchmarks: passing");
    for (id, said) in [("1", "benchmarks: suspected"), ("2", "benchmarks: 1 regression")] {
        let mut slow = run("octo/hello", "main", "beef0123", &[1300, 505]);
        slow["run_id"] = json!(id);
        let (_, answer) = service.upload(&token, &slow).await;
        service.judged(&answer["run"], &token).await;
        assert_eq!(words(path, &token).await, said);
    }
    assert_eq!(words(path, "").await, "benchmarks: unknown", "it is private");
    assert_eq!(
        words("/badge/..%2f/%3Cscript%3E.svg", &token).await,
        "benchmarks: unknown"
    );
    let badge = get(&service, path, &token).await;
    assert_eq!(badge.headers[CACHE_CONTROL], "private, max-age=60");
    let again = service
        .client
        .get(format!("{}{path}", service.url))
        .bearer_auth(&token)
        .header(IF_NONE_MATCH, &badge.headers[ETAG]);
    assert_eq!(send(again).await.status, 304);
}

pub(crate) async fn a_browser_signs_in_with_a_token(place: Place) {
    let service = Running::start(place).await;
    let token = service.token("octo/*", "read").await;
    let client = reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .build()
        .unwrap();
    let enter = async |body: String| {
        let request = client
            .post(format!("{}/sign-in", service.url))
            .header("content-type", "application/x-www-form-urlencoded")
            .body(body);
        send(request).await
    };
    for wrong in ["token=nonsense", "token=a%3B+Domain%3Devil", "token="] {
        let refused = enter(wrong.to_owned()).await;
        assert!(
            refused.status == 401 && !refused.headers.contains_key(SET_COOKIE),
            "{wrong}"
        );
    }
    let entered = enter(format!("token={token}&next=%2Fruns%2F7")).await;
    assert_eq!(
        (entered.status, entered.headers["location"].to_str().unwrap()),
        (303, "/runs/7")
    );
    let cookie = entered.headers[SET_COOKIE].to_str().unwrap();
    assert!(
        cookie.contains("HttpOnly; SameSite=Lax") && cookie.contains(&token),
        "{cookie}"
    );
    let elsewhere = enter(format!("token={token}&next=https%3A%2F%2Fevil.example")).await;
    assert_eq!(elsewhere.headers["location"], "/");
    assert!(get(&service, "/sign-in", &token).await.body.contains("Sign out"));
    // Another site can make a browser send the form, but not say that it did not.
    for foreign in [
        ("origin", "https://evil.example"),
        ("sec-fetch-site", "cross-site"),
    ] {
        for path in ["sign-in", "sign-out"] {
            let request = client
                .post(format!("{}/{path}", service.url))
                .header("content-type", "application/x-www-form-urlencoded")
                .header(foreign.0, foreign.1)
                .body(format!("token={token}"));
            let refused = send(request).await;
            assert_eq!(refused.status, 403, "{path} {foreign:?}");
            assert!(!refused.headers.contains_key(SET_COOKIE), "{path} {foreign:?}");
        }
    }
    let left = client.post(format!("{}/sign-out", service.url));
    assert!(
        send(left).await.headers[SET_COOKIE]
            .to_str()
            .unwrap()
            .contains("Max-Age=0")
    );
}

pub(crate) async fn runs_and_pull_requests_have_pages(place: Place) {
    let service = Running::start(place).await;
    let token = service.token("octo/*", "admin").await;
    let other = service.token("other/*", "admin").await;
    for batch in 0..6 {
        for number in 0..10 {
            let values = [1000 + number, 500 + number];
            let commit = format!("{:040x}", 100 * batch + number + 1);
            let (status, answer) = service
                .upload(&token, &run("octo/hello", "main", &commit, &values))
                .await;
            assert!(status < 300, "{answer}");
        }
    }
    let mut slow = run("octo/hello", "topic", &"a".repeat(40), &[1004, 5000]);
    slow["pull_request"] = json!(7);
    let (_, answer) = service.upload(&token, &slow).await;
    service.judged(&answer["run"], &token).await;
    let newest = answer["run"].as_i64().unwrap();

    // All runs, page by page.
    let first = get(&service, "/repositories/octo/hello/runs", &token).await;
    let shown = |page: &Answer| page.body.matches("name=\"after\"").count();
    assert_eq!((first.status, shown(&first)), (200, 50), "{}", first.body);
    let older = first
        .body
        .split("/repositories/octo/hello/runs?before=")
        .nth(1)
        .unwrap();
    let older = format!(
        "/repositories/octo/hello/runs?before={}",
        older.split('"').next().unwrap()
    );
    let second = get(&service, &older, &token).await;
    assert_eq!(shown(&second), 11);
    assert!(second.body.contains(">Newest<") && !second.body.contains(">Older<"));

    // The pull request has a page, and its runs lead there.
    assert!(first.body.contains("href=\"/repositories/octo/hello/pulls/7\""));
    let pull = get(&service, "/repositories/octo/hello/pulls/7", &token).await;
    assert!(
        pull.body.contains("Pull request #7") && pull.body.contains("regression"),
        "{}",
        pull.body
    );
    assert!(pull.body.contains(&format!("/runs/{newest}\"")));

    // Two runs beside each other.
    let compared = format!("/compare?before={}&after={newest}", newest - 1);
    let page = get(&service, &compared, &token).await;
    assert_eq!(page.status, 200, "{}", page.body);
    assert!(
        page.body.contains("p.B") && page.body.contains("5.000 µs"),
        "{}",
        page.body
    );
    assert_eq!(
        get(&service, "/compare?before=x&after=1", &token).await.status,
        400
    );
    let mut elsewhere = run("octo/hello", "main", &"b".repeat(40), &[1, 2]);
    elsewhere["environment"] = json!({ "name": "another" });
    let (_, foreign) = service.upload(&token, &elsewhere).await;
    let path = format!("/compare?before={}&after={newest}", foreign["run"]);
    assert_eq!(get(&service, &path, &token).await.status, 409);

    for path in [older.as_str(), "/repositories/octo/hello/pulls/7", &compared] {
        assert_eq!(get(&service, path, "").await.status, 401, "{path}");
        assert_eq!(get(&service, path, &other).await.status, 404, "{path}");
    }
    assert_eq!(
        get(&service, "/repositories/octo/hello/pulls/8", &token)
            .await
            .status,
        404
    );

    // A benchmark's page shows the days that are asked for, and is not a hundred tab stops.
    let series = series_path(&service, &token).await;
    let points = |page: &Answer| page.body.matches("<circle").count();
    let all = get(&service, &series, &token).await;
    assert!(points(&all) > 50);
    assert_eq!(
        all.body.matches("<a href=\"/runs/").count() - all.body.matches("tabindex=\"-1\"").count(),
        50
    );
    let today = get(
        &service,
        &format!("{series}&since=2020-01-01&until=2099-12-31"),
        &token,
    )
    .await;
    assert_eq!(points(&today), points(&all));
    // Another one in the same drawing.
    assert!(!all.body.contains("Beside others") && all.body.contains("name=\"add\""));
    let (_, listed) = service.get("/v1/repositories/octo/hello/series", &token).await;
    let second = &listed["items"][1]["series"];
    let both = get(
        &service,
        &format!("{series}&with={second},x,999999&add={second}"),
        &token,
    )
    .await;
    assert!(
        both.body.contains("Beside others") && both.body.contains("class=\"beside-1\""),
        "{}",
        both.body
    );
    assert!(!both.body.contains("beside-2"));
    let past = get(&service, &format!("{series}&until=2020-01-01"), &token).await;
    assert!(past.status == 200 && points(&past) == 0, "{}", past.body);
    assert_eq!(
        get(&service, &format!("{series}&since=%3Cscript%3Ealert"), &token)
            .await
            .status,
        200
    );
}

/// The page of the first benchmark.
async fn series_path(service: &Running, token: &str) -> String {
    let (_, series) = service.get("/v1/repositories/octo/hello/series", token).await;
    format!("/series/{}?branch=main", series["items"][0]["series"])
}

pub(crate) async fn an_admin_accepts_a_shift_by_a_button(place: Place) {
    let service = Running::start(place).await;
    let token = service.token("octo/*", "admin").await;
    let reader = service.token("octo/*", "read").await;
    service.history(&token, "octo/hello").await;
    let (_, answer) = service
        .upload(&token, &run("octo/hello", "main", "beef", &[3000, 505]))
        .await;
    service.judged(&answer["run"], &token).await;
    let series = series_path(&service, &token).await;
    assert!(
        get(&service, &series, &token)
            .await
            .body
            .contains("Accept a new level")
    );
    assert!(
        !get(&service, &series, &reader)
            .await
            .body
            .contains("Accept a new level")
    );
    let action = series.split('?').next().unwrap();
    let client = reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .build()
        .unwrap();
    let press = async |token: &str, headers: &[(&str, &str)]| {
        let mut request = client
            .post(format!("{}{action}/accept", service.url))
            .header("content-type", "application/x-www-form-urlencoded")
            .header(COOKIE, format!("regressd_token={token}"))
            .body(format!(
                "branch=main&from_run={}&justification=it+does+more",
                answer["run"]
            ));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        send(request).await
    };
    let own = [("sec-fetch-site", "same-origin")];
    // Another site, and a client that says nothing of where the form comes from.
    for foreign in [
        &[("sec-fetch-site", "cross-site")][..],
        &[("origin", "https://evil.example")],
        &[],
    ] {
        assert_eq!(press(&token, foreign).await.status, 403, "{foreign:?}");
    }
    assert_eq!(press(&reader, &own).await.status, 403);
    assert_eq!(press("nonsense", &own).await.status, 401);
    let all = service.token("*", "admin").await;
    let (_, audit) = service.get("/v1/audit", &all).await;
    assert!(!audit.to_string().contains("baseline.accept"), "{audit}");
    let accepted = press(&token, &own).await;
    assert_eq!(
        (accepted.status, &accepted.headers["location"]),
        (303, &series.parse().unwrap())
    );
    let (_, audit) = service.get("/v1/audit", &all).await;
    assert!(
        audit.to_string().contains("baseline.accept") && audit.to_string().contains("it does more"),
        "{audit}"
    );
    assert!(
        get(&service, &series, &token)
            .await
            .body
            .contains("accepted: it does more")
    );
}

pub(crate) async fn a_repository_is_archived_and_removed(place: Place) {
    let service = Running::start(place).await;
    let token = service.token("octo/*", "admin").await;
    let writer = service.token("octo/*", "upload").await;
    service.history(&token, "octo/hello").await;
    let more = run("octo/hello", "main", "beef", &[1001, 505]);
    let archive = async |archived: bool| {
        let config = json!({ "archived": archived });
        service
            .ask(Method::PUT, "/config/octo/hello", &token, Some(&config))
            .await
    };
    assert_eq!(archive(true).await.0, 200);
    let (status, problem) = service.upload(&token, &more).await;
    assert!(
        status == 403 && problem["detail"].as_str().unwrap().contains("archived"),
        "{problem}"
    );
    assert_eq!(
        get(&service, "/repositories/octo/hello", &token).await.status,
        200
    );
    archive(false).await;
    assert!(service.upload(&token, &more).await.0 < 300);

    let path = "/v1/repositories/octo/hello";
    assert_eq!(service.ask(Method::DELETE, path, &writer, None).await.0, 403);
    let delete = service
        .client
        .delete(format!("{}{path}", service.url))
        .bearer_auth(&token);
    assert_eq!(send(delete).await.status, 204);
    assert_eq!(service.get(&format!("{path}/runs"), &token).await.0, 404);
    assert_eq!(
        get(&service, "/repositories/octo/hello", &token).await.status,
        404
    );
    let all = service.token("*", "admin").await;
    let (_, audit) = service.get("/v1/audit", &all).await;
    assert!(audit.to_string().contains("repository.delete"), "{audit}");
    // It begins anew when results come again.
    let (status, answer) = service.upload(&token, &more).await;
    assert!(status < 300, "{answer}");
    service.judged(&answer["run"], &token).await;
    let (_, runs) = service.get(&format!("{path}/runs"), &token).await;
    assert_eq!(runs["items"].as_array().unwrap().len(), 1);
}

pub(crate) async fn an_admin_archives_and_removes_by_buttons(place: Place) {
    let service = Running::start(place).await;
    let token = service.token("octo/*", "admin").await;
    let reader = service.token("octo/*", "read").await;
    service.history(&token, "octo/hello").await;
    let path = "/repositories/octo/hello";
    let page = async |token: &str| get(&service, path, token).await.body;
    assert!(page(&token).await.contains("Archive or delete this repository"));
    assert!(!page(&reader).await.contains("Archive or delete this repository"));
    let client = reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .build()
        .unwrap();
    let press = async |token: &str, site: &str, what: &str, body: &str| {
        let request = client
            .post(format!("{}{path}/{what}", service.url))
            .header("content-type", "application/x-www-form-urlencoded")
            .header("sec-fetch-site", site)
            .header(COOKIE, format!("regressd_token={token}"))
            .body(body.to_owned());
        send(request).await
    };
    assert_eq!(
        press(&token, "cross-site", "archive", "archived=true")
            .await
            .status,
        403
    );
    assert_eq!(
        press(&reader, "same-origin", "archive", "archived=true")
            .await
            .status,
        403
    );
    assert_eq!(
        press("nonsense", "same-origin", "delete", "name=octo%2Fhello")
            .await
            .status,
        401
    );
    let archived = press(&token, "same-origin", "archive", "archived=true").await;
    assert_eq!(
        (archived.status, &archived.headers["location"]),
        (303, &path.parse().unwrap())
    );
    let shown = page(&token).await;
    assert!(
        shown.contains("Archived") && shown.contains("Take results again"),
        "{shown}"
    );
    let more = run("octo/hello", "main", "beef", &[1001, 505]);
    assert_eq!(service.upload(&token, &more).await.0, 403);
    assert_eq!(
        press(&token, "same-origin", "archive", "archived=false")
            .await
            .status,
        303
    );
    assert!(service.upload(&token, &more).await.0 < 300);

    let mistaken = press(&token, "same-origin", "delete", "name=hello").await;
    assert_eq!(mistaken.status, 422);
    assert!(mistaken.body.contains("nothing was removed"), "{}", mistaken.body);
    assert_eq!(
        press(&reader, "same-origin", "delete", "name=octo%2Fhello")
            .await
            .status,
        403
    );
    assert_eq!(get(&service, path, &token).await.status, 200);
    let removed = press(&token, "same-origin", "delete", "name=octo%2Fhello").await;
    assert_eq!(
        (removed.status, &removed.headers["location"]),
        (303, &"/".parse().unwrap())
    );
    assert_eq!(get(&service, path, &token).await.status, 404);
    let all = service.token("*", "admin").await;
    let (_, audit) = service.get("/v1/audit", &all).await;
    for action in ["repository.archive", "repository.unarchive", "repository.delete"] {
        assert!(audit.to_string().contains(action), "{action}: {audit}");
    }
}
