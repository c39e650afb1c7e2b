//! Listening: plain or TLS, until the service is to end.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use axum_server::Handle;
use axum_server::tls_rustls::RustlsConfig;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use hyper_util::server::conn::auto::Builder;

use super::connections::{Bounded, make_room};
use crate::state::AppState;

/// How long requests in hand may take when the service is to end.
const FAREWELL: Duration = Duration::from_secs(20);
/// How long the headers of a request may take, and a connection may say nothing.
const HEADERS: Duration = Duration::from_secs(10);

/// Why the service cannot listen.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The address cannot be used.
    #[error("cannot listen on {address}: {source}; choose another with {option}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// The option that says which.
        option: &'static str,
        /// The system's answer.
        source: std::io::Error,
    },
    /// The certificate or its key cannot be used.
    #[error("cannot use the certificate {certificate} with the key {key}: {source}")]
    Certificate {
        /// The chain.
        certificate: PathBuf,
        /// The key.
        key: PathBuf,
        /// What is wrong.
        source: std::io::Error,
    },
    /// One of the two is missing.
    #[error("TLS needs both server.tls_certificate and server.tls_key")]
    HalfTls,
}

/// Answers requests until the service is to end. `listening` is told the address.
///
/// # Errors
/// When the address or the certificate cannot be used.
pub async fn serve_requests(
    state: AppState,
    router: axum::Router,
    listening: impl FnOnce(SocketAddr) + Send,
) -> Result<(), ServeError> {
    let settings = state.settings.load_full();
    let address = settings.server.listen;
    let option = "--listen";
    let failed = |source| ServeError::Listen {
        address,
        option,
        source,
    };
    let listener = std::net::TcpListener::bind(address).map_err(failed)?;
    listener.set_nonblocking(true).map_err(failed)?;
    let tls = match (&settings.server.tls_certificate, &settings.server.tls_key) {
        (Some(certificate), Some(key)) => {
            let config = RustlsConfig::from_pem_file(certificate, key).await;
            Some(config.map_err(|source| ServeError::Certificate {
                certificate: certificate.clone(),
                key: key.clone(),
                source,
            })?)
        }
        (None, None) => None,
        _ => return Err(ServeError::HalfTls),
    };
    listening(listener.local_addr().map_err(failed)?);
    let handle = Handle::new();
    tokio::spawn({
        let (handle, state) = (handle.clone(), state.clone());
        async move {
            state.ending.cancelled().await;
            handle.graceful_shutdown(Some(FAREWELL));
        }
    });
    let service = router.into_make_service_with_connect_info::<SocketAddr>();
    let room = make_room();
    tracing::debug!(room, "connections at once");
    let served = match tls {
        Some(tls) => {
            let mut server = axum_server::from_tcp_rustls(listener, tls).map_err(failed)?;
            be_impatient(server.http_builder());
            let server = server.map(|tls| Bounded::new(tls, room, HEADERS));
            server.handle(handle).serve(service).await
        }
        None => {
            let server = axum_server::from_tcp(listener).map_err(failed)?;
            let mut server = server.map(|plain| Bounded::new(plain, room, HEADERS));
            be_impatient(server.http_builder());
            // Without TLS everybody speaks HTTP/1. To find out which of the two it is, the first bytes would be waited for
            // without any limit, and a connection that never says anything would stay for ever.
            let builder = server.http_builder();
            *builder = std::mem::replace(builder, Builder::new(TokioExecutor::new())).http1_only();
            server.handle(handle).serve(service).await
        }
    };
    served.map_err(failed)
}

/// A client that sends its headers a byte a minute, or opens connections to say nothing, is not waited for.
fn be_impatient(builder: &mut Builder<TokioExecutor>) {
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADERS);
    builder
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(Some(HEADERS))
        .keep_alive_timeout(HEADERS);
}
