//! How many connections there may be, and how long one may say nothing.
//!
//! Every connection is an open file, and a process that has no file left cannot even answer that it lives. So it takes as
//! many files as the system lets it have, and leaves some for the database and for GitHub. When all places are taken, the
//! oldest connection that has not said anything makes room for a new one; where all are at work, the new one is closed
//! rather than left to wait.

use std::collections::VecDeque;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use axum_server::accept::Accept;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use tokio::time::{Sleep, sleep, timeout};

/// Files that are left for everything but connections.
const RESERVED: u64 = 128;
/// More connections than this are never asked of a process.
const MAX_CONNECTIONS: u64 = 65_536;
/// How long a new connection waits for the place of one that is told to go.
const PATIENCE: Duration = Duration::from_secs(1);

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
    silent: SilentConnections,
    silence: Duration,
}

/// The connections that have not said anything yet, oldest first: each can be told to go.
#[derive(Clone, Debug, Default)]
struct SilentConnections(Arc<Mutex<VecDeque<oneshot::Sender<()>>>>);

impl SilentConnections {
    /// Adds one; those that have spoken or are gone are forgotten now and then.
    fn add(&self, connection: oneshot::Sender<()>) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() == all.capacity() {
            all.retain(|one| !one.is_closed());
        }
        all.push_back(connection);
    }

    /// Tells the oldest one to go, if there is one.
    fn close_oldest(&self) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        while let Some(oldest) = all.pop_front() {
            if oldest.send(()).is_ok() {
                return;
            }
        }
    }
}

impl<A> Bounded<A> {
    /// At most `connections` at once, each of which says something within `silence`.
    pub(super) fn new(inner: A, connections: usize, silence: Duration) -> Self {
        let room = Arc::new(Semaphore::new(connections.min(Semaphore::MAX_PERMITS)));
        Self {
            inner,
            room,
            silent: SilentConnections::default(),
            silence,
        }
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
        let (room, silent, silence) = (Arc::clone(&self.room), self.silent.clone(), self.silence);
        let (go, told_to_go) = oneshot::channel();
        let below = Connection::new(stream, silence, None, Some(told_to_go));
        let accepting = self.inner.accept(below, service);
        Box::pin(async move {
            let place = find_place(room, &silent).await?;
            silent.add(go);
            let (stream, service) = accepting.await?;
            Ok((Connection::new(stream, silence, Some(place), None), service))
        })
    }
}

async fn find_place(room: Arc<Semaphore>, silent: &SilentConnections) -> io::Result<OwnedSemaphorePermit> {
    if let Ok(place) = Arc::clone(&room).try_acquire_owned() {
        return Ok(place);
    }
    silent.close_oldest();
    match timeout(PATIENCE, room.acquire_owned()).await {
        Ok(Ok(place)) => Ok(place),
        _ => {
            metrics::counter!("regressd_connections_refused_total").increment(1);
            Err(io::Error::other("there are as many connections as there may be"))
        }
    }
}

/// A connection that ends when nothing is read from it before its time is over. What comes after the first bytes is the
/// matter of HTTP.
#[derive(Debug)]
pub(super) struct Connection<T> {
    stream: T,
    silence: Option<Pin<Box<Sleep>>>,
    told_to_go: Option<oneshot::Receiver<()>>,
    _place: Option<OwnedSemaphorePermit>,
}

impl<T> Connection<T> {
    fn new(
        stream: T,
        silence: Duration,
        place: Option<OwnedSemaphorePermit>,
        told_to_go: Option<oneshot::Receiver<()>>,
    ) -> Self {
        Self {
            stream,
            silence: Some(Box::pin(sleep(silence))),
            told_to_go,
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
            self.told_to_go = None;
            return read;
        }
        let over = self
            .silence
            .as_mut()
            .is_some_and(|silence| silence.as_mut().poll(context).is_ready());
        let told = self
            .told_to_go
            .as_mut()
            .is_some_and(|told| matches!(Pin::new(told).poll(context), Poll::Ready(Ok(()))));
        match over || told {
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
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
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
        let (mut first, server) = connected(&listener).await;
        let mut held = acceptor.accept(server, ()).await.unwrap();
        // It has spoken, so that it is not told to go.
        first.write_u8(b'x').await.unwrap();
        held.0.read_u8().await.unwrap();
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

    #[tokio::test]
    async fn who_says_nothing_makes_room_for_others() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let acceptor = Bounded::new(DefaultAcceptor, 2, Duration::from_secs(60));
        let mut clients = Vec::new();
        for _ in 0..20 {
            let (client, server) = connected(&listener).await;
            let (mut stream, ()) = acceptor.accept(server, ()).await.unwrap();
            tokio::spawn(async move { stream.read_u8().await });
            clients.push(client);
        }
        for client in &mut clients[..18] {
            assert_eq!(client.read(&mut [0; 8]).await.unwrap(), 0, "it is closed");
        }
        let open = timeout(Duration::from_millis(50), clients[19].read_u8()).await;
        assert!(open.is_err(), "the newest is not");
    }

    #[test]
    fn some_files_are_left() {
        assert!((1..=65_536).contains(&make_room()));
    }
}
