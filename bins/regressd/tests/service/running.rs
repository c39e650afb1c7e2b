//! The service in this process, listening on a free port, and a client of it.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use regressd::auth::{hash_token, new_token};
use regressd::database::tokens::{self, StoredToken};
use regressd::database::{Database, Location};
use regressd::domain::UnixMillis;
use regressd::settings::SettingsSources;
use regressd::state::AppState;
use regressd::{jobs, server};
use reqwest::Method;
use serde_json::{Value, json};

use crate::place::Place;

/// A running service.
pub(crate) struct Running {
    pub(crate) state: AppState,
    pub(crate) url: String,
    pub(crate) client: reqwest::Client,
    work: Option<tokio::task::JoinHandle<()>>,
    place: Option<Place>,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.state.ending.cancel();
        drop(self.place.take());
    }
}

impl Running {
    /// Starts one with workers.
    pub(crate) async fn start(place: Place) -> Self {
        Self::with(place, &[]).await
    }

    /// Starts one with settings of its own.
    pub(crate) async fn with(place: Place, settings: &[(&str, &str)]) -> Self {
        let mut running = Self::at(&place.location, settings).await;
        running.place = Some(place);
        running
    }

    /// Starts another one on the same database.
    pub(crate) async fn beside(&self, settings: &[(&str, &str)]) -> Self {
        Self::at(self.state.database.location(), settings).await
    }

    async fn at(location: &Location, settings: &[(&str, &str)]) -> Self {
        let usual = [
            ("server.listen", "127.0.0.1:0"),
            ("server.requests_per_token_minute", "0"),
        ];
        let flags = usual
            .iter()
            .chain(settings)
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
        let layers = SettingsSources {
            file: Some("/dev/null".into()),
            environment: BTreeMap::from([(
                "REGRESSD_GITHUB_WEBHOOK_SECRET".to_owned(),
                "It's a Secret to Everybody".to_owned(),
            )]),
            flags: flags.collect(),
        };
        let settings = layers.read_settings().unwrap();
        let database = Database::open(location).await.unwrap();
        let state = AppState::new(layers, settings, database).unwrap();
        let (tell, told) = tokio::sync::oneshot::channel();
        let serving = state.clone();
        tokio::spawn(async move {
            let router = server::build_router(serving.clone());
            let listening = |address: SocketAddr| tell.send(address).unwrap();
            server::serve_requests(serving, router, listening).await.unwrap();
        });
        let work = tokio::spawn(jobs::run_workers(state.clone()));
        Self {
            state,
            url: format!("http://{}", told.await.unwrap()),
            client: reqwest::Client::new(),
            work: Some(work),
            place: None,
        }
    }

    /// Ends the service and waits for the work in hand.
    pub(crate) async fn end(&mut self) {
        self.state.ending.cancel();
        self.work.take().unwrap().await.unwrap();
    }

    /// A new token.
    pub(crate) async fn token(&self, repository: &str, role: &str) -> String {
        self.token_with_id(repository, role, None).await.1
    }

    pub(crate) async fn token_with_id(
        &self,
        repository: &str,
        role: &str,
        expires: Option<UnixMillis>,
    ) -> (String, String) {
        let secret = new_token();
        let token = StoredToken {
            id: hash_token(&secret)[..12].to_owned(),
            name: String::new(),
            hash: hash_token(&secret),
            grant: repository.parse().unwrap(),
            role: role.parse().unwrap(),
            created: UnixMillis::now(),
            expires,
            revoked: None,
        };
        let id = token.id.clone();
        let write = self.state.database.run_in_transaction(move |connection| {
            let token = token.clone();
            Box::pin(async move { tokens::insert_token(connection, &token).await })
        });
        write.await.unwrap();
        (id, secret)
    }

    /// Asks, and gives status and JSON.
    pub(crate) async fn ask(
        &self,
        method: Method,
        path: &str,
        token: &str,
        body: Option<&Value>,
    ) -> (u16, Value) {
        let mut request = self.client.request(method, format!("{}{path}", self.url));
        if !token.is_empty() {
            request = request.bearer_auth(token);
        }
        if let Some(body) = body {
            request = request.json(body);
        }
        let response = request.send().await.unwrap();
        let status = response.status().as_u16();
        let kind = response.headers()["content-type"].to_str().unwrap().to_owned();
        let body: Value = response.json().await.unwrap();
        if status >= 400 {
            assert_eq!(kind, "application/problem+json", "{body}");
            assert_eq!(body["status"], status);
        }
        (status, body)
    }

    pub(crate) async fn get(&self, path: &str, token: &str) -> (u16, Value) {
        self.ask(Method::GET, path, token, None).await
    }

    /// Uploads.
    pub(crate) async fn upload(&self, token: &str, body: &Value) -> (u16, Value) {
        self.ask(Method::POST, "/analyze", token, Some(body)).await
    }

    /// Waits until a run is judged and saved, and gives it.
    pub(crate) async fn judged(&self, run: &Value, token: &str) -> Value {
        for _ in 0..1200 {
            let (status, stored) = self.get(&format!("/v1/runs/{run}"), token).await;
            assert_eq!(status, 200, "{stored}");
            if stored["run"]["state"] == "judged" {
                return stored;
            }
            tokio::time::sleep(std::time::Duration::from_millis(25)).await;
        }
        panic!("run {run} was not judged");
    }

    /// Ten runs on main, around 1000 and 500 ns, each judged before the next.
    pub(crate) async fn history(&self, token: &str, repository: &str) {
        for number in 0..10 {
            let body = run(
                repository,
                "main",
                &format!("{:040x}", 1000 + number),
                &[1000 + number, 500 + number],
            );
            let (status, answer) = self.upload(token, &body).await;
            assert!(status == 200 || status == 202, "{answer}");
            self.judged(&answer["run"], token).await;
        }
    }
}

/// An upload of Go benchmarks `A`, `B` and so on.
pub(crate) fn run(repository: &str, branch: &str, commit: &str, values: &[u64]) -> Value {
    let mut text = String::from("goos: linux\npkg: p\n");
    for (name, value) in ('A'..).zip(values) {
        text.push_str(&format!("Benchmark{name}-8 1000 {value} ns/op\n"));
    }
    json!({
        "repository": repository, "branch": branch, "commit": commit, "run_id": "1",
        "environment": { "name": "ci" }, "results": [{ "text": text }],
    })
}
