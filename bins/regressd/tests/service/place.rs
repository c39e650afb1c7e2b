//! A fresh database for a test, gone at its end.

use std::sync::atomic::{AtomicU32, Ordering};

use regressd::database::Location;
use sqlx::{AnyConnection, AssertSqlSafe, Connection as _};

const VARIABLE: &str = "REGRESSD_TEST_POSTGRES";

/// A database of one test.
pub(crate) struct Place {
    pub(crate) location: Location,
    _folder: Option<tempfile::TempDir>,
    server: Option<(String, String)>,
}

impl Place {
    pub(crate) fn sqlite() -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self {
            location: Location::Sqlite(folder.path().join("test.db")),
            _folder: Some(folder),
            server: None,
        }
    }

    pub(crate) async fn postgres() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let server = std::env::var(VARIABLE)
            .unwrap_or_else(|_| panic!("{VARIABLE} is not set: run `cargo xtask test`"));
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("regressd_test_{}_{number}", std::process::id());
        execute(&server, format!("CREATE DATABASE {name}")).await;
        Self {
            location: Location::Postgres(with_database(&server, &name)),
            _folder: None,
            server: Some((server, name)),
        }
    }

    /// Runs a statement on the database itself.
    pub(crate) async fn execute(&self, statement: &str) {
        let url = match &self.location {
            Location::Postgres(url) => url.clone(),
            Location::Sqlite(path) => format!("sqlite:{}", path.display()),
        };
        execute(&url, statement.to_owned()).await;
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Some((server, name)) = self.server.take() {
            let drop_it = format!("DROP DATABASE {name} WITH (FORCE)");
            // On a thread of its own: the test's runtime may be ending.
            let dropping = std::thread::spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread()
                    .enable_all()
                    .build()
                    .unwrap();
                runtime.block_on(execute(&server, drop_it));
            });
            drop(dropping.join());
        }
    }
}

/// `url` with another database name, its query kept.
fn with_database(url: &str, name: &str) -> String {
    let (base, query) = url
        .split_once('?')
        .map_or((url, String::new()), |(base, query)| (base, format!("?{query}")));
    let authority = base.find("://").map_or(0, |at| at + 3);
    let end = base[authority..]
        .find('/')
        .map_or(base.len(), |at| authority + at);
    format!("{}/{name}{query}", &base[..end])
}

async fn execute(url: &str, statement: String) {
    sqlx::any::install_default_drivers();
    let mut connection = AnyConnection::connect(url).await.unwrap();
    sqlx::raw_sql(AssertSqlSafe(statement))
        .execute(&mut connection)
        .await
        .unwrap();
    connection.close().await.unwrap();
}
