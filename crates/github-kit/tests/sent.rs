//! Whether a request was sent: what "never twice" rests on. A server that misbehaves in each way, and the one POST that
//! is sent to it.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use github_kit::{
    Again, BreakerSettings, Breakers, Credentials, GitHub, GitHubError, GitHubSettings, MemoryContentRate,
    Repository, rerun_workflow,
};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpSocket, TcpStream};

/// A server that handles each connection with `handle`: its address, and the number of requests it has read.
struct Server {
    address: String,
    requests: Arc<AtomicUsize>,
}

impl Server {
    async fn start<F>(handle: impl Fn(TcpStream, String, usize) -> F + Send + 'static) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let requests = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&requests);
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let request = read_request(&mut stream).await;
                let index = counted.fetch_add(1, Ordering::SeqCst);
                tokio::spawn(handle(stream, request, index));
            }
        });
        Self { address, requests }
    }

    fn requests(&self) -> usize {
        self.requests.load(Ordering::SeqCst)
    }
}

/// Reads up to the body of the request, which is `{}`.
async fn read_request(stream: &mut TcpStream) -> String {
    let mut text = String::new();
    let mut bytes = [0; 4096];
    while !text.ends_with("\r\n\r\n{}") {
        match stream.read(&mut bytes).await {
            Ok(0) | Err(_) => break,
            Ok(count) => text.push_str(&String::from_utf8_lossy(&bytes[..count])),
        }
        // A client that speaks TLS says something else first.
        if !text.starts_with("POST") {
            break;
        }
    }
    text
}

async fn respond(mut stream: TcpStream, head: &str, body: &str) {
    let answer = format!("HTTP/1.1 {head}\r\ncontent-length: {}\r\n\r\n{body}", body.len());
    stream.write_all(answer.as_bytes()).await.unwrap();
}

async fn repository(api: &str, breakers: &Breakers) -> Repository {
    let settings = GitHubSettings {
        api: api.to_owned(),
        timeout: Duration::from_millis(500),
        ..GitHubSettings::default()
    };
    let credentials = Credentials::Token("s3cret".to_owned());
    let limiter = Arc::new(MemoryContentRate::default());
    let github = GitHub::new(&settings, credentials, breakers, limiter).unwrap();
    github.find_repository("octo/app", None).await.unwrap()
}

/// Sends one POST and gives its failure.
async fn post(api: &str) -> GitHubError {
    let repository = repository(api, &Breakers::default()).await;
    rerun_workflow(&repository, 1).await.unwrap_err()
}

fn shown(error: &GitHubError) -> String {
    format!("{error} {error:?}")
}

#[tokio::test]
async fn a_connection_that_is_refused_was_not_sent() {
    // Bound and not listening: nobody else gets the port meanwhile.
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(([127, 0, 0, 1], 0).into()).unwrap();
    let address = socket.local_addr().unwrap();
    let error = post(&format!("http://{address}")).await;
    assert!(
        matches!(error, GitHubError::Network { sent: false, .. }),
        "{error:?}"
    );
    assert!(!error.may_have_happened());
    assert!(!shown(&error).contains("s3cret"), "{error:?}");
}

#[tokio::test]
async fn a_host_that_has_no_address_was_not_sent_to() {
    let error = post("http://no-such-host.invalid").await;
    assert!(
        matches!(error, GitHubError::Network { sent: false, .. }),
        "{error:?}"
    );
}

#[tokio::test]
async fn a_handshake_that_fails_was_not_sent() {
    let server = Server::start(|stream, _, _| respond(stream, "200 OK", "no TLS here")).await;
    let error = post(&format!("https://{}", server.address)).await;
    assert!(
        matches!(error, GitHubError::Network { sent: false, .. }),
        "{error:?}"
    );
}

/// The one request that `handle` got may have been sent, and there was no second.
async fn may_have_been_sent_once<F>(handle: impl Fn(TcpStream, String, usize) -> F + Send + 'static)
where
    F: Future<Output = ()> + Send + 'static,
{
    let server = Server::start(handle).await;
    let error = post(&format!("http://{}", server.address)).await;
    assert!(
        matches!(error, GitHubError::Network { sent: true, .. }),
        "{error:?}"
    );
    assert!(error.may_have_happened());
    assert_eq!((error.when_to_retry(), server.requests()), (Again::Later, 1));
}

#[tokio::test]
async fn a_connection_that_ends_after_the_request_may_have_been_sent_and_is_not_repeated() {
    may_have_been_sent_once(|stream, _, _| async move { drop(stream) }).await;
}

#[tokio::test]
async fn an_answer_that_does_not_come_in_time_may_have_been_sent_and_is_not_repeated() {
    may_have_been_sent_once(|stream, _, _| async move {
        tokio::time::sleep(Duration::from_secs(5)).await;
        drop(stream);
    })
    .await;
}

#[tokio::test]
async fn an_answer_that_breaks_off_may_have_been_sent_and_is_not_repeated() {
    may_have_been_sent_once(|mut stream, _, _| async move {
        let half = "HTTP/1.1 201 Created\r\ncontent-length: 100\r\n\r\n{\"id\"";
        stream.write_all(half.as_bytes()).await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn a_breaker_that_is_open_sends_nothing() {
    let server = Server::start(|stream, _, _| async move { drop(stream) }).await;
    let breakers = Breakers::new(BreakerSettings {
        failures: 1,
        ..BreakerSettings::default()
    });
    let repository = repository(&format!("http://{}", server.address), &breakers).await;
    let first = rerun_workflow(&repository, 1).await.unwrap_err();
    assert!(
        matches!(first, GitHubError::Outage { .. }) && first.may_have_happened(),
        "{first:?}"
    );
    let second = rerun_workflow(&repository, 1).await.unwrap_err();
    assert!(matches!(second, GitHubError::BreakerOpen { .. }), "{second:?}");
    assert!(!second.may_have_happened());
    assert_eq!(server.requests(), 1);
}

#[tokio::test]
async fn a_repository_that_was_renamed_gets_the_body_too() {
    let server = Server::start(|stream, request, index| async move {
        match index {
            0 => {
                respond(
                    stream,
                    "307 Temporary Redirect\r\nconnection: close\r\nlocation: /elsewhere",
                    "",
                )
                .await;
            }
            _ => {
                assert!(
                    request.starts_with("POST /elsewhere") && request.ends_with("{}"),
                    "{request}"
                );
                respond(stream, "201 Created", "{}").await;
            }
        }
    })
    .await;
    let repository = repository(&format!("http://{}", server.address), &Breakers::default()).await;
    rerun_workflow(&repository, 1).await.unwrap();
    assert_eq!(server.requests(), 2);
}
