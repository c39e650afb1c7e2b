//! Databases other than a fresh SQLite file: PostgreSQL, one of a newer snippex, one on a full disk.

use std::process::Command;

use serde_json::Value;
use sqlx::Connection as _;

use crate::sandbox::{BASH, Ended, PROGRAM, Sandbox, TINY, in_mount_namespace, tiny_program};

/// URL of a server on which this user may create databases.
const VARIABLE: &str = "SNIPPEX_TEST_POSTGRES";

pub(crate) fn execute(url: &str, sql: &'static str) {
    sqlx::any::install_default_drivers();
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
        .block_on(async {
            let mut connection = sqlx::AnyConnection::connect(url).await.unwrap();
            sqlx::raw_sql(sql).execute(&mut connection).await.unwrap();
            connection.close().await.unwrap();
        });
}

/// A fresh database on the server, removed at the end.
struct Postgres {
    server: String,
    name: String,
    url: String,
}

impl Postgres {
    fn fresh() -> Self {
        let server = std::env::var(VARIABLE)
            .unwrap_or_else(|_| panic!("{VARIABLE} is not set: run `cargo xtask test`"));
        let name = format!("snippex_cli_{}", std::process::id());
        let (base, query) = server
            .split_once('?')
            .map_or((&server[..], ""), |(base, query)| (base, query));
        let start = base.find("://").unwrap() + 3;
        let end = base[start..].find('/').map_or(base.len(), |at| start + at);
        let url = format!("{}/{name}?{query}", &base[..end]);
        execute(&server, format!("CREATE DATABASE {name}").leak());
        Self { server, name, url }
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        let drop_it = format!("DROP DATABASE {} WITH (FORCE)", self.name);
        execute(&self.server, drop_it.leak());
    }
}

#[test]
fn everything_works_on_postgresql() {
    let (sandbox, postgres) = (Sandbox::new(), Postgres::fresh());
    let on = |arguments: &[&str]| sandbox.json(&[arguments, &["--database", &postgres.url]].concat());
    let checked = on(&["check", PROGRAM, "-e", "mock", "--states", "8"]);
    let diverged = checked["summary"]["diverged"].as_u64().unwrap();
    assert!(diverged > 0, "{checked}");

    let binaries = on(&["list", "--binaries"]);
    assert_eq!(binaries[0]["name"], "true", "{binaries}");
    let blocks = on(&["list", "1-5"]);
    assert_eq!(blocks.as_array().unwrap().len(), 5);
    let compared = on(&["compare", "--divergence", "1"]);
    assert!(compared.to_string().contains("native"), "{compared}");
    let bugs = on(&["bugs"]);
    assert!(bugs.to_string().contains("mock"), "{bugs}");

    // What is stored says the same as on SQLite.
    let elsewhere = sandbox.json(&["check", PROGRAM, "-e", "mock", "--states", "8"]);
    for name in ["runs", "matched", "diverged", "inconclusive", "divergences"] {
        let without_ids = |document: &Value| document["summary"][name].to_string();
        assert_eq!(without_ids(&elsewhere), without_ids(&checked), "{name}");
    }
    on(&["remove", "all"]);
    assert_eq!(on(&["list", "--binaries"]).as_array().map(Vec::len), Some(0));
}

#[test]
fn a_server_that_is_not_there_is_named_without_its_password() {
    let sandbox = Sandbox::new();
    let url = "postgres://someone:secret@127.0.0.1:9/none";
    let ended = sandbox.run(&["list", "--database", url]);
    ended.refused(&["127.0.0.1:9"]);
    assert!(!ended.stderr.contains("secret"), "{ended:?}");
}

#[test]
fn a_newer_schema_is_refused_and_left_as_it_is() {
    let sandbox = Sandbox::new();
    sandbox.run(&[
        "check",
        PROGRAM,
        "-e",
        "mock",
        "-n",
        "20",
        "--states",
        "2",
        "--database",
        "one.db",
    ]);
    let path = sandbox.path("one.db");
    execute(
        &format!("sqlite:{}", path.display()),
        "UPDATE snippex_schema SET version = 999; PRAGMA wal_checkpoint(TRUNCATE)",
    );
    let before = std::fs::read(&path).unwrap();
    for arguments in [
        &["list"][..],
        &["check", PROGRAM, "-e", "mock"],
        &["bugs"],
        &["remove", "all"],
    ] {
        let ended = sandbox.run(&[arguments, &["--database", "one.db"]].concat());
        ended.refused(&["schema version 999", "one.db", "hint: "]);
    }
    assert!(std::fs::read(&path).unwrap() == before);
}

/// On a file system of one megabyte, in a mount namespace of its own.
#[test]
fn a_full_disk_costs_nothing_that_was_saved() {
    let sandbox = Sandbox::new();
    let snippex = env!("CARGO_BIN_EXE_snippex");
    let script = format!(
        "mkdir small && mount -t tmpfs -o size=1400k none small && export HOME=$PWD \
         && {snippex} check {PROGRAM} -e mock -n 20 --states 2 --database small/one.db >/dev/null; \
         {snippex} check {BASH} -e mock --database small/one.db >out 2>err; echo $? >code; \
         {snippex} list --binaries --format json --database small/one.db >list"
    );
    let output = in_mount_namespace(&script)
        .current_dir(sandbox.path(""))
        .output()
        .unwrap();
    assert!(output.status.success(), "{:?}", Ended::of(&output));
    let read = |name: &str| std::fs::read_to_string(sandbox.path(name)).unwrap();
    assert_eq!(read("code").trim(), "2", "{}", read("err"));
    let error = read("err");
    assert!(
        error.contains("error: the disk is full") && error.contains("hint: "),
        "{error}"
    );
    assert!(!error.contains("panicked"), "{error}");
    let binaries: Value = serde_json::from_str(&read("list")).unwrap();
    assert_eq!(binaries[0]["name"], "true", "{binaries}");
}

#[test]
fn a_database_that_may_only_be_read_is_read() {
    use std::os::unix::fs::{MetadataExt, PermissionsExt};
    let sandbox = Sandbox::new();
    let (folder, program) = (sandbox.path("kept"), sandbox.path("snippex"));
    std::fs::create_dir(&folder).unwrap();
    sandbox.file(TINY, &tiny_program());
    let checked = sandbox.run(&["check", TINY, "-e", "mock", "--database", "kept/a.db"]);
    assert_eq!(checked.code, Some(1), "{checked:?}");
    std::fs::copy(env!("CARGO_BIN_EXE_snippex"), &program).unwrap();
    for (path, mode) in [
        (folder.join("a.db"), 0o444),
        (folder, 0o555),
        (sandbox.path(""), 0o755),
    ] {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    }
    let run = |arguments: &str| {
        // Nothing is forbidden to root.
        let line = format!("exec {} {arguments} --database kept/a.db", program.display());
        let mut command = if sandbox.path("").metadata().unwrap().uid() == 0 {
            let mut other = Command::new("setpriv");
            other.args(["--reuid=65534", "--regid=65534", "--clear-groups", "sh"]);
            other
        } else {
            Command::new("sh")
        };
        command.args(["-c", &line]).current_dir(sandbox.path(""));
        Ended::of(&command.env("HOME", sandbox.path("")).output().unwrap())
    };
    for command in ["list", "list --runs", "disasm 1", "analyze all", "bugs"] {
        let ended = run(command);
        assert_eq!(ended.code, Some(0), "{command}: {ended:?}");
    }
    let compared = run("compare --divergence 1");
    assert_eq!(compared.code, Some(1), "{compared:?}");
    for command in ["remove 1", "simulate 1 -e native", "check /bin/true -e native"] {
        let ended = run(command);
        ended.refused(&["kept/a.db", "--database"]);
    }
}
