//! What the workspace's tests share.

use std::hash::{BuildHasher, RandomState};
use std::net::TcpListener;
use std::ops::Range;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

/// Below the ports that Linux (from 32768), macOS and Windows (from 49152) give to who asks for any. A port out of that range
/// can be taken, by a connection of another test, between the look at it and the start of the server that shall have it.
const PORTS: Range<u16> = 16_384..32_768;

/// A TCP port of 127.0.0.1 on which nobody listens, for a server that has to be told its port, also when it is started again.
/// Every call of a process gives another one; processes begin at random places.
///
/// # Panics
///
/// When no port can be had.
#[must_use]
pub fn free_port() -> u16 {
    static NEXT: OnceLock<AtomicU64> = OnceLock::new();
    let next = NEXT.get_or_init(|| AtomicU64::new(RandomState::new().hash_one(std::process::id()) >> 1));
    PORTS
        .map(|_| {
            let place = next.fetch_add(1, Ordering::Relaxed) % u64::from(PORTS.end - PORTS.start);
            PORTS.start + u16::try_from(place).expect("less than there are ports")
        })
        .find(|&port| TcpListener::bind(("127.0.0.1", port)).is_ok())
        .expect("a free port of 127.0.0.1")
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::net::TcpListener;

    use super::{PORTS, free_port};

    #[test]
    fn ports_are_free_and_none_is_given_twice() {
        let ports: Vec<u16> = (0..100).map(|_| free_port()).collect();
        assert_eq!(ports.iter().collect::<HashSet<_>>().len(), ports.len());
        for port in ports {
            assert!(PORTS.contains(&port), "{port}");
            TcpListener::bind(("127.0.0.1", port)).unwrap();
        }
    }
}
