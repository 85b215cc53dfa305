//! The UDP sockets of a worker: found by address, bound and closed while it runs, and waited for together.
use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

use polling::{Event, Events, PollMode, Poller};
use sansfu::server::Transmit;

use crate::{Counters, MediaSocket, ReceiveBuffers};

/// Batches taken from one socket before its output is sent: enough for long runs of segments, and short in time.
const MAX_BATCHES_PER_TURN: usize = 4;

/// So many sockets are read without having been found ready: asking takes some system calls, reading in vain takes one.
const MAX_SOCKETS_TRIED: usize = 2;

/// Bound sockets, registered with a poller for as long as they are here.
pub struct MediaSockets {
    poller: Arc<Poller>,
    /// By the key of their registration.
    sockets: Vec<Option<MediaSocket>>,
    keys: BTreeMap<SocketAddr, usize>,
    free_keys: Vec<usize>,
    events: Events,
    /// Keys of sockets that could be read when they were last waited for.
    ready: Vec<usize>,
    /// And of full ones that have room again.
    writable: Vec<usize>,
    buffers: ReceiveBuffers,
}

impl MediaSockets {
    /// None yet.
    ///
    /// Errors: the system has no poller to give.
    pub fn new() -> io::Result<MediaSockets> {
        Ok(MediaSockets {
            poller: Arc::new(Poller::new()?),
            sockets: Vec::new(),
            keys: BTreeMap::new(),
            free_keys: Vec::new(),
            events: Events::new(),
            ready: Vec::new(),
            writable: Vec::new(),
            buffers: ReceiveBuffers::new(),
        })
    }

    /// Binds a socket to `address` (port 0: any free one). Returns the bound address.
    pub fn bind(&mut self, address: SocketAddr) -> io::Result<SocketAddr> {
        let socket = MediaSocket::bind(address)?;
        let (local, fd) = (socket.local(), socket.readiness());
        let key = self.free_keys.pop().unwrap_or(self.sockets.len());
        // SAFETY: the socket is kept in `sockets` until `close` or `drop` has taken it out of the poller.
        unsafe { self.poller.add_with_mode(&*fd, Event::readable(key), PollMode::Level)? };
        if key == self.sockets.len() {
            self.sockets.push(None);
        }
        self.sockets[key] = Some(socket);
        self.keys.insert(local, key);
        Ok(local)
    }

    /// Closes the socket of `local`, if there is one.
    pub fn close(&mut self, local: SocketAddr) {
        let Some(key) = self.keys.remove(&local) else { return };
        if let Some(socket) = self.sockets[key].take() {
            // It may fail only for what is not registered.
            let _ = self.poller.delete(&*socket.readiness());
        }
        // Nobody who gets the key next is to be taken for ready.
        self.ready.retain(|ready| *ready != key);
        self.writable.retain(|writable| *writable != key);
        self.free_keys.push(key);
    }

    /// Waits until a socket can be read, somebody notifies the poller, or the time is over; `None`: for as long as it takes.
    pub fn wait(&mut self, timeout: Option<Duration>) -> io::Result<()> {
        self.events.clear();
        match self.poller.wait(&mut self.events, timeout) {
            Err(error) if error.kind() != io::ErrorKind::Interrupted => return Err(error),
            _ => {}
        }
        self.ready.clear();
        self.writable.clear();
        for event in self.events.iter() {
            if event.readable {
                self.ready.push(event.key);
            }
            if event.writable {
                self.writable.push(event.key);
            }
        }
        Ok(())
    }

    /// Notes which sockets could be read, or may be: of a few it is cheaper to try than to ask.
    pub fn look(&mut self) -> io::Result<()> {
        let is_full = self.sockets.iter().flatten().any(MediaSocket::is_full);
        if is_full || self.keys.len() > MAX_SOCKETS_TRIED {
            return self.wait(Some(Duration::ZERO));
        }
        self.ready.clear();
        self.ready.extend(self.keys.values());
        Ok(())
    }

    /// Sends by the socket of the transmit's local address, as [`MediaSocket::send`] does. Gives the number of datagrams dropped.
    pub fn send(&mut self, transmit: &Transmit<'_>, counters: &Counters) -> usize {
        let Some(key) = self.keys.get(&transmit.local).copied() else { return 0 };
        let Some(Some(socket)) = self.sockets.get_mut(key) else { return 0 };
        let was_full = socket.is_full();
        let dropped = socket.send(transmit, counters);
        if socket.is_full() && !was_full {
            self.watch(key);
        }
        dropped
    }

    /// Sends what was held for sockets that have room again.
    pub fn flush(&mut self, counters: &Counters) {
        while let Some(key) = self.writable.pop() {
            let Some(Some(socket)) = self.sockets.get_mut(key) else { continue };
            socket.flush(counters);
            if !socket.is_full() {
                self.watch(key);
            }
        }
    }

    /// Counts what the kernel has dropped because it was not read.
    pub fn count_overflows(&mut self, counters: &Counters) {
        self.sockets.iter_mut().flatten().for_each(|socket| socket.count_overflows(counters));
    }

    /// Waits for room, too, as long as a socket is full.
    fn watch(&mut self, key: usize) {
        let Some(Some(socket)) = self.sockets.get(key) else { return };
        let interest = if socket.is_full() { Event::all(key) } else { Event::readable(key) };
        // It may fail only for what is not registered.
        let _ = self.poller.modify_with_mode(&*socket.readiness(), interest, PollMode::Level);
    }

    /// Takes some batches from each socket that could be read, and hands out each datagram with its destination and source.
    /// Returns whether there may be more.
    pub fn receive(
        &mut self,
        counters: &Counters,
        mut take: impl FnMut(SocketAddr, SocketAddr, &mut [u8]),
    ) -> bool {
        let MediaSockets { sockets, ready, buffers, .. } = self;
        let mut more = false;
        for key in ready.drain(..) {
            let Some(Some(socket)) = sockets.get(key) else { continue };
            let local = socket.local();
            let mut batches = 0;
            while socket.receive(buffers, counters, |remote, payload| take(local, remote, payload)) {
                batches += 1;
                if batches == MAX_BATCHES_PER_TURN {
                    more = true;
                    break;
                }
            }
        }
        more
    }

    /// The socket of an address.
    pub fn find(&self, local: SocketAddr) -> Option<&MediaSocket> {
        self.sockets.get(*self.keys.get(&local)?)?.as_ref()
    }

    /// The bound addresses.
    pub fn addresses(&self) -> impl Iterator<Item = SocketAddr> {
        self.sockets.iter().flatten().map(MediaSocket::local)
    }

    /// What wakes [`MediaSockets::wait`] from another thread.
    pub fn poller(&self) -> Arc<Poller> {
        self.poller.clone()
    }

    /// A descriptor that can be read while a socket can, for those who wait by other means than [`MediaSockets::wait`].
    pub fn readiness(&self) -> io::Result<OwnedFd> {
        use std::os::fd::AsFd as _;
        self.poller.as_fd().try_clone_to_owned()
    }
}

impl Drop for MediaSockets {
    fn drop(&mut self) {
        for local in self.addresses().collect::<Vec<_>>() {
            self.close(local);
        }
    }
}

impl fmt::Debug for MediaSockets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.addresses()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{Ipv4Addr, UdpSocket};

    const ANY: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

    /// Waits until a datagram has come; where to, and its bytes.
    fn next(sockets: &mut MediaSockets) -> (SocketAddr, Vec<u8>) {
        let mut got = None;
        while got.is_none() {
            sockets.wait(None).unwrap();
            sockets.receive(&Counters::default(), |local, _, bytes| got = Some((local, bytes.to_vec())));
        }
        got.unwrap()
    }

    #[test]
    fn each_socket_is_found_by_its_address_and_read_when_it_is_ready() {
        let mut sockets = MediaSockets::new().unwrap();
        let client = UdpSocket::bind(ANY).unwrap();
        let bound = [(); 3].map(|()| sockets.bind(ANY).unwrap());
        for (local, byte) in bound.iter().zip(0..) {
            client.send_to(&[byte], local).unwrap();
            assert_eq!(next(&mut sockets), (*local, vec![byte]));
            assert_eq!(sockets.find(*local).unwrap().local(), *local);
        }
        assert!(!sockets.receive(&Counters::default(), |_, _, _| panic!("nothing was sent")));
    }

    #[test]
    fn a_closed_socket_frees_its_port_and_its_key() {
        let mut sockets = MediaSockets::new().unwrap();
        let [kept, closed] = [(); 2].map(|()| sockets.bind(ANY).unwrap());
        assert!(sockets.bind(closed).is_err(), "in use");
        sockets.close(closed);
        sockets.close(closed);
        assert!(sockets.find(closed).is_none());
        assert_eq!(sockets.addresses().collect::<Vec<_>>(), [kept]);
        assert_eq!(sockets.bind(closed).unwrap(), closed);
        assert_eq!(sockets.sockets.len(), 2, "its key serves again");
        let client = UdpSocket::bind(ANY).unwrap();
        client.send_to(b"again", closed).unwrap();
        assert_eq!(next(&mut sockets), (closed, b"again".to_vec()));
        drop(sockets);
        UdpSocket::bind(closed).unwrap();
    }

    #[test]
    fn waiting_ends_by_time_by_notice_and_by_its_descriptor() {
        let mut sockets = MediaSockets::new().unwrap();
        let local = sockets.bind(ANY).unwrap();
        sockets.wait(Some(Duration::ZERO)).unwrap();
        sockets.poller().notify().unwrap();
        sockets.wait(None).unwrap();
        let outer = Poller::new().unwrap();
        let readiness = sockets.readiness().unwrap();
        // SAFETY: it is deleted below, before it is closed.
        unsafe { outer.add(&readiness, Event::readable(0)).unwrap() };
        UdpSocket::bind(ANY).unwrap().send_to(b"x", local).unwrap();
        let mut events = Events::new();
        outer.wait(&mut events, None).unwrap();
        assert_eq!(events.len(), 1);
        outer.delete(&readiness).unwrap();
        assert_eq!(next(&mut sockets).1, b"x");
    }
}
