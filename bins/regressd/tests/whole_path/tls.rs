//! TLS from certificate files.

use std::path::Path;
use std::process::Command;

use crate::service::{Service, command};

/// A certificate for 127.0.0.1, signed by itself.
fn certificate(folder: &Path) {
    let made = Command::new("openssl")
        .current_dir(folder)
        .args([
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:prime256v1",
            "-nodes",
        ])
        .args([
            "-days",
            "2",
            "-subj",
            "/CN=regressd test",
            "-addext",
            "subjectAltName=IP:127.0.0.1",
        ])
        .args(["-addext", "basicConstraints=critical,CA:FALSE"])
        .args(["-keyout", "key.pem", "-out", "cert.pem"])
        .output()
        .expect("openssl is needed for this test");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
}

fn client(certificate: &Path) -> reqwest::Client {
    let pem = std::fs::read(certificate).unwrap();
    let trusted = reqwest::Certificate::from_pem(&pem).unwrap();
    reqwest::Client::builder()
        .tls_certs_only([trusted])
        .build()
        .unwrap()
}

#[tokio::test]
async fn it_is_served_from_certificate_files() {
    let folder = tempfile::tempdir().unwrap();
    certificate(folder.path());
    let (cert, key) = (folder.path().join("cert.pem"), folder.path().join("key.pem"));
    let settings = [
        format!("server.tls_certificate={}", cert.display()),
        format!("server.tls_key={}", key.display()),
    ];
    let settings: Vec<&str> = settings.iter().map(String::as_str).collect();
    let service = Service::start_with_client(&settings, "https", client(&cert)).await;
    let health = client(&cert).get(format!("{}/health", service.url)).send().await;
    assert_eq!(health.unwrap().status(), 200);
    let upload = client(&cert)
        .post(format!("{}/analyze", service.url))
        .bearer_auth(&service.token)
        .json(&serde_json::json!({
            "repository": "octo/hello", "branch": "main", "commit": "abcd",
            "results": [{ "text": "pkg: p\nBenchmarkA-8 1000 5 ns/op\n" }],
        }));
    assert!(upload.send().await.unwrap().status().is_success());
    // Who does not trust the certificate gets nothing, and neither does who speaks plainly.
    assert!(reqwest::get(format!("{}/health", service.url)).await.is_err());
    let plain = service.url.replace("https://", "http://");
    assert!(reqwest::get(format!("{plain}/health")).await.is_err());
}

#[test]
fn half_of_it_or_something_else_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    certificate(folder.path());
    std::fs::write(folder.path().join("other.pem"), "no key").unwrap();
    for (settings, says) in [
        (vec!["server.tls_certificate=cert.pem"], "TLS needs both"),
        (
            vec!["server.tls_certificate=cert.pem", "server.tls_key=other.pem"],
            "cannot use the certificate cert.pem with the key other.pem",
        ),
        (
            vec!["server.tls_certificate=none.pem", "server.tls_key=key.pem"],
            "cannot use the certificate none.pem",
        ),
    ] {
        let settings: Vec<String> = settings.into_iter().map(str::to_owned).collect();
        let ended = command(&folder, &settings)
            .args([
                "serve",
                "--listen",
                "127.0.0.1:0",
                "--metrics-listen",
                "127.0.0.1:0",
            ])
            .output()
            .unwrap();
        let error = String::from_utf8_lossy(&ended.stderr).into_owned();
        assert_eq!(ended.status.code(), Some(2), "{error}");
        assert!(error.lines().last().unwrap().contains(says), "{error}");
    }
}
