//! How many connections there may be, and how long one may say nothing.
//!
//! Every connection is an open file, and a process that has no file left cannot even answer that it lives. So it takes as
//! many files as the system lets it have, leaves some for the database and for GitHub, and closes connections beyond that
//! at once rather than letting them wait.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum_server::accept::Accept;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Sleep, sleep};

/// Files that are left for everything but connections.
const RESERVED: u64 = 128;
/// More connections than this are never asked of a process.
const MAX_CONNECTIONS: u64 = 65_536;

/// Raises the number of files this process may open as far as it may, and gives the number of connections that leaves
/// room for.
pub(super) fn make_room() -> usize {
    let limit = getrlimit(Resource::Nofile);
    let wanted = limit.maximum.unwrap_or(MAX_CONNECTIONS).min(MAX_CONNECTIONS);
    let current = limit.current.unwrap_or(wanted);
    let raised = Rlimit {
        current: Some(wanted),
        maximum: limit.maximum,
    };
    let files = match wanted > current && setrlimit(Resource::Nofile, raised).is_ok() {
        true => wanted,
        false => current,
    };
    let room = files
        .saturating_sub(RESERVED)
        .max(files / 2)
        .clamp(1, MAX_CONNECTIONS);
    usize::try_from(room).unwrap_or(usize::MAX)
}

/// Takes connections while there is room, and closes those that say nothing.
#[derive(Clone, Debug)]
pub(super) struct Bounded<A> {
    inner: A,
    room: Arc<Semaphore>,
    silence: Duration,
}

impl<A> Bounded<A> {
    /// At most `connections` at once, each of which says something within `silence`.
    pub(super) fn new(inner: A, connections: usize, silence: Duration) -> Self {
        let room = Arc::new(Semaphore::new(connections.min(Semaphore::MAX_PERMITS)));
        Self { inner, room, silence }
    }
}

type Accepting<T, S> = Pin<Box<dyn Future<Output = io::Result<(T, S)>> + Send>>;

impl<A, S> Accept<TcpStream, S> for Bounded<A>
where
    A: Accept<Connection<TcpStream>, S>,
    A::Future: Send + 'static,
    A::Stream: Send + 'static,
    A::Service: Send + 'static,
{
    type Stream = Connection<A::Stream>;
    type Service = A::Service;
    type Future = Accepting<Self::Stream, Self::Service>;

    fn accept(&self, stream: TcpStream, service: S) -> Self::Future {
        let Ok(place) = Arc::clone(&self.room).try_acquire_owned() else {
            metrics::counter!("regressd_connections_refused_total").increment(1);
            return Box::pin(async {
                Err(io::Error::other("there are as many connections as there may be"))
            });
        };
        let silence = self.silence;
        let accepting = self.inner.accept(Connection::new(stream, silence, None), service);
        Box::pin(async move {
            let (stream, service) = accepting.await?;
            Ok((Connection::new(stream, silence, Some(place)), service))
        })
    }
}

/// A connection that ends when nothing is read from it before its time is over. What comes after the first bytes is the
/// matter of HTTP.
#[derive(Debug)]
pub(super) struct Connection<T> {
    stream: T,
    silence: Option<Pin<Box<Sleep>>>,
    _place: Option<OwnedSemaphorePermit>,
}

impl<T> Connection<T> {
    fn new(stream: T, silence: Duration, place: Option<OwnedSemaphorePermit>) -> Self {
        Self {
            stream,
            silence: Some(Box::pin(sleep(silence))),
            _place: place,
        }
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Connection<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let read = Pin::new(&mut self.stream).poll_read(context, buffer);
        if read.is_ready() {
            self.silence = None;
            return read;
        }
        let over = self
            .silence
            .as_mut()
            .is_some_and(|silence| silence.as_mut().poll(context).is_ready());
        match over {
            true => Poll::Ready(Err(io::ErrorKind::TimedOut.into())),
            false => Poll::Pending,
        }
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Connection<T> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, bytes)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use axum_server::accept::DefaultAcceptor;
    use tokio::io::AsyncReadExt as _;
    use tokio::net::TcpListener;

    use super::*;

    async fn connected(listener: &TcpListener) -> (TcpStream, TcpStream) {
        let address: SocketAddr = listener.local_addr().unwrap();
        let (client, accepted) = tokio::join!(TcpStream::connect(address), listener.accept());
        (client.unwrap(), accepted.unwrap().0)
    }

    #[tokio::test]
    async fn who_says_nothing_is_not_waited_for() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (_client, server) = connected(&listener).await;
        let acceptor = Bounded::new(DefaultAcceptor, 1, Duration::from_millis(50));
        let (mut stream, ()) = acceptor.accept(server, ()).await.unwrap();
        let error = stream.read_u8().await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    }

    #[tokio::test]
    async fn there_is_room_for_so_many_and_again_when_one_ends() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let acceptor = Bounded::new(DefaultAcceptor, 1, Duration::from_secs(60));
        let (_first, server) = connected(&listener).await;
        let held = acceptor.accept(server, ()).await.unwrap();
        let (mut second, server) = connected(&listener).await;
        assert!(acceptor.accept(server, ()).await.is_err());
        assert_eq!(
            second.read(&mut [0; 8]).await.unwrap(),
            0,
            "it is closed, not left to wait"
        );
        drop(held);
        let (_third, server) = connected(&listener).await;
        assert!(acceptor.accept(server, ()).await.is_ok());
    }

    #[test]
    fn some_files_are_left() {
        assert!((1..=65_536).contains(&make_room()));
    }
}
