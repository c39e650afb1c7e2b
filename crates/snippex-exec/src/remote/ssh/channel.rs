//! One shell of a connection, as a stream of bytes that is read and written like a file.

use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex};

use russh::ChannelMsg;
use russh::client::Handle;
use tokio::io::{AsyncWriteExt, BufReader};
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::Notify;

use super::connect::Client;
use crate::remote::transport::{Link, keep_words};

/// Whatever the login shell is, it hands over to a POSIX one.
const SHELL: &str = "exec /bin/sh";
/// Bytes that are sent at a time.
const PIECE: usize = 64 << 10;

/// Starts a shell. `ended` is done when that has ended.
pub(super) async fn open_shell(
    handle: &Handle<Client>,
    ended: impl Future<Output = ()> + Send + 'static,
) -> Result<Link, russh::Error> {
    let mut channel = handle.channel_open_session().await?;
    channel.exec(true, SHELL).await?;
    let (ours, theirs) = UnixStream::pair()?;
    theirs.set_nonblocking(true)?;
    let (from_here, to_here) = tokio::net::UnixStream::from_std(theirs)?.into_split();
    let writer = channel.make_writer();
    let words = Arc::new(Mutex::new(String::new()));
    let closed = Arc::new(Notify::new());
    let outgoing = tokio::spawn(send(from_here, writer));
    tokio::spawn({
        let (words, closed) = (Arc::clone(&words), Arc::clone(&closed));
        async move {
            tokio::select! {
                () = receive(&mut channel, to_here, &words) => {}
                () = closed.notified() => {}
            }
            outgoing.abort();
            // It may be closed already.
            let _ = channel.close().await;
            drop(channel);
            ended.await;
        }
    });
    let closer = ours.try_clone()?;
    Ok(Link {
        reader: Box::new(ours.try_clone()?),
        writer: Box::new(ours),
        close: Box::new(move || {
            // Whoever reads or writes here goes on.
            let _ = closer.shutdown(Shutdown::Both);
            closed.notify_one();
        }),
        agent: None,
        words,
    })
}

async fn send(from_here: OwnedReadHalf, mut writer: impl tokio::io::AsyncWrite + Unpin) {
    let mut from_here = BufReader::with_capacity(PIECE, from_here);
    // An error shows on the reading side.
    let _ = tokio::io::copy_buf(&mut from_here, &mut writer).await;
    let _ = writer.shutdown().await;
}

/// Passes on what comes until the shell ends; what it says on standard error is kept.
async fn receive(
    channel: &mut russh::Channel<russh::client::Msg>,
    mut to_here: OwnedWriteHalf,
    words: &Mutex<String>,
) {
    while let Some(message) = channel.wait().await {
        match message {
            ChannelMsg::Data { data } => match to_here.write_all(&data).await {
                Ok(()) => {}
                Err(_) => return,
            },
            ChannelMsg::ExtendedData { data, .. } => keep_words(words, &data),
            ChannelMsg::Failure => keep_words(words, b"the host does not run /bin/sh\n"),
            ChannelMsg::Eof | ChannelMsg::Close => return,
            _ => {}
        }
    }
}
