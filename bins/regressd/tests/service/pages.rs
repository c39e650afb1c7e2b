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
    service.history(&token, "octo/hello").await;
    assert_eq!(words(path, &token).await, "benchmarks: passing");
    for id in ["1", "2"] {
        let mut slow = run("octo/hello", "main", "beef0123", &[3000, 505]);
        slow["run_id"] = json!(id);
        let (_, answer) = service.upload(&token, &slow).await;
        service.judged(&answer["run"], &token).await;
    }
    assert_eq!(words(path, &token).await, "benchmarks: 1 regression");
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
    let left = client.post(format!("{}/sign-out", service.url));
    assert!(
        send(left).await.headers[SET_COOKIE]
            .to_str()
            .unwrap()
            .contains("Max-Age=0")
    );
}
