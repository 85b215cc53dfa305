//! The socket of one transport: datagrams are read many at a time, each with the time at which it came.
use std::fmt;
use std::io::{self, IoSliceMut};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, SystemTime};

use quinn_udp::{RecvMeta, UdpSocketState};

/// Asked of the kernel, which gives what its limits allow.
const RECEIVE_BUFFER_BYTES: usize = 4 << 20;
/// Runs of datagrams that are read by one system call.
const BATCH: usize = 8;
/// The longest run that the kernel makes of datagrams.
const RUN_BYTES: usize = 65_536;

/// A connected socket, non-blocking.
pub struct Socket {
    socket: UdpSocket,
    state: UdpSocketState,
}

/// Memory for one batch, shared by the sockets of a thread.
pub struct Buffers(Vec<u8>);

impl Socket {
    /// A socket by which `server` is spoken to.
    ///
    /// # Errors
    /// The system has no port or no descriptor left, or no way there.
    pub fn connect(server: SocketAddr) -> io::Result<Self> {
        let any: IpAddr =
            if server.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
        let socket = UdpSocket::bind((any, 0))?;
        socket.connect(server)?;
        let state = UdpSocketState::new((&socket).into())?;
        state.set_recv_buffer_size((&socket).into(), RECEIVE_BUFFER_BYTES)?;
        Ok(Socket { socket, state })
    }

    /// Sends a datagram; what the system does not take is lost, as it may be on the way.
    pub fn send(&self, datagram: &[u8]) {
        let _ = self.socket.send(datagram);
    }

    /// Hands out what has come, each datagram with the time since 1970 at which the kernel had it.
    pub fn receive(&self, buffers: &mut Buffers, mut take: impl FnMut(&mut [u8], Duration)) {
        loop {
            let mut runs = buffers.0.chunks_exact_mut(RUN_BYTES);
            let mut runs: [IoSliceMut<'_>; BATCH] =
                std::array::from_fn(|_| IoSliceMut::new(runs.next().unwrap_or_default()));
            let mut meta = [RecvMeta::default(); BATCH];
            // Errors tell that a datagram of ours did not arrive: the server is not there, or not there yet.
            let count = self.state.recv((&self.socket).into(), &mut runs, &mut meta).unwrap_or(0);
            for (run, meta) in runs.iter_mut().zip(&meta).take(count) {
                let came_at = meta.timestamp.unwrap_or_else(since_1970);
                let bytes = meta.len.min(run.len());
                run[..bytes].chunks_mut(meta.stride.max(1)).for_each(|datagram| take(datagram, came_at));
            }
            if count < BATCH {
                return;
            }
        }
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl fmt::Debug for Socket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Socket").field("socket", &self.socket).finish_non_exhaustive()
    }
}

impl Buffers {
    /// Room for one batch.
    pub fn new() -> Self {
        Buffers(vec![0; RUN_BYTES * BATCH])
    }
}

impl Default for Buffers {
    fn default() -> Self {
        Buffers::new()
    }
}

impl fmt::Debug for Buffers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Buffers").finish_non_exhaustive()
    }
}

/// The clock by which the kernel tells when datagrams come.
pub fn since_1970() -> Duration {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default()
}
