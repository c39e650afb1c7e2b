//! regressd's OpenAPI document as others read it: two validators, and a client that is generated from it and used against a
//! service that runs.

use std::path::Path;
use std::process::Command;

use crate::{Failure, shell};

/// What is copied beside the tools that read it.
const FILES: [&str; 5] = [
    "package.json",
    "package-lock.json",
    "redocly.yaml",
    "requirements.txt",
    "check_client.py",
];

/// Writes the document and has it read.
pub(crate) fn check() -> Result<(), Failure> {
    shell::run(&mut shell::cargo([
        "build",
        "--locked",
        "--workspace",
        "--all-features",
        "--bins",
        // With them the features are those that tests are built with, and little is built anew.
        "--examples",
    ]))?;
    let regressd = shell::target().join("debug/regressd");
    let folder = shell::target().join("xtask-tools/openapi");
    prepare(&folder, &regressd)?;
    lint(&folder)?;
    use_client(&folder, &regressd)
}

fn prepare(folder: &Path, regressd: &Path) -> Result<(), Failure> {
    std::fs::create_dir_all(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    for name in FILES {
        let from = shell::root().join("xtask/openapi").join(name);
        std::fs::copy(&from, folder.join(name)).map_err(|error| format!("{}: {error}", from.display()))?;
    }
    let document = shell::capture(Command::new(regressd).arg("openapi"))?;
    let file = folder.join("openapi.json");
    std::fs::write(&file, document).map_err(|error| format!("{}: {error}", file.display()))
}

/// Redocly's recommended rules, but for those that `redocly.yaml` names.
fn lint(folder: &Path) -> Result<(), Failure> {
    shell::install_node_packages(folder)?;
    let mut redocly = Command::new(folder.join("node_modules/.bin/redocly"));
    redocly
        .current_dir(folder)
        .env("REDOCLY_TELEMETRY", "off")
        .env("REDOCLY_SUPPRESS_UPDATE_NOTICE", "true");
    shell::run(redocly.args(["lint", "--max-problems=200", "openapi.json"]))
}

fn use_client(folder: &Path, regressd: &Path) -> Result<(), Failure> {
    let modules = folder.join("python");
    let python = || {
        let mut command = Command::new("python3");
        command
            .current_dir(folder)
            .env("PYTHONPATH", &modules)
            .env("PIP_ROOT_USER_ACTION", "ignore");
        command
    };
    let pip = [
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
        "--upgrade",
    ];
    shell::run(
        python()
            .args(pip)
            .args(["--requirement", "requirements.txt", "--target"])
            .arg(&modules),
    )?;
    shell::run(python().args(["-m", "openapi_spec_validator", "openapi.json"]))?;
    let client = folder.join("client");
    std::fs::create_dir_all(&client).map_err(|error| format!("{}: {error}", client.display()))?;
    shell::run(
        python()
            .args([
                "-m",
                "openapi_python_client",
                "generate",
                "--path",
                "openapi.json",
            ])
            .args([
                "--meta",
                "none",
                "--overwrite",
                "--output-path",
                "client/regressd_client",
            ]),
    )?;
    shell::run(python().arg("check_client.py").arg(regressd).arg(&client))
}
