//! UDP sockets for media: datagrams in batches both ways, with the kernel's segmentation offload where it has it.
use std::fmt;
use std::io::{self, IoSliceMut};
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use quinn_udp::{BATCH_SIZE, RecvMeta, Transmit, UdpSocketState};

use crate::Counters;

/// Asked of the kernel for each direction of each socket, in bytes; it gives what its limits allow.
const SOCKET_BUFFER_BYTES: usize = 4 << 20;

/// The largest UDP payload that IPv6 carries, less some headers that the kernel may add: the limit of one offloaded send.
const MAX_SEND_BYTES: usize = 65_000;

/// The longest that one receive buffer may have to be: what the kernel coalesces at most.
const RECEIVE_BUFFER_BYTES: usize = 65_536;

/// A bound, non-blocking UDP socket on one address of the host.
pub struct MediaSocket {
    socket: Arc<UdpSocket>,
    state: UdpSocketState,
    local: SocketAddr,
}

/// Memory for one batch; a worker uses one for all its sockets.
pub struct ReceiveBuffers {
    memory: Vec<u8>,
}

impl MediaSocket {
    /// Binds a socket to `address` (port 0: any free one) and prepares it.
    pub fn bind(address: SocketAddr) -> io::Result<MediaSocket> {
        let socket = UdpSocket::bind(address)?;
        let local = socket.local_addr()?;
        let state = UdpSocketState::new((&socket).into())?;
        state.set_recv_buffer_size((&socket).into(), SOCKET_BUFFER_BYTES)?;
        state.set_send_buffer_size((&socket).into(), SOCKET_BUFFER_BYTES)?;
        Ok(MediaSocket { socket: Arc::new(socket), state, local })
    }

    /// The bound address.
    pub fn local(&self) -> SocketAddr {
        self.local
    }

    /// The socket, for waiting until it can be read.
    pub fn readiness(&self) -> Arc<UdpSocket> {
        self.socket.clone()
    }

    /// Receives at most one batch and hands out each datagram with its source. Returns whether there may be more.
    pub fn receive(
        &self,
        buffers: &mut ReceiveBuffers,
        counters: &Counters,
        mut take: impl FnMut(SocketAddr, &mut [u8]),
    ) -> bool {
        let mut slices = buffers.memory.chunks_exact_mut(RECEIVE_BUFFER_BYTES);
        let mut slices: [IoSliceMut<'_>; BATCH_SIZE] =
            std::array::from_fn(|_| IoSliceMut::new(slices.next().unwrap_or_default()));
        let mut meta = [RecvMeta::default(); BATCH_SIZE];
        let count = match self.state.recv((&*self.socket).into(), &mut slices, &mut meta) {
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return false,
            Err(_) => {
                counters.receive_errors.fetch_add(1, Ordering::Relaxed);
                return false;
            }
        };
        for (slice, meta) in slices.iter_mut().zip(&meta).take(count) {
            // Nothing can be answered to port 0, and trying would make the kernel refuse segmentation offload.
            if meta.addr.port() == 0 {
                counters.dropped_port_zero.fetch_add(1, Ordering::Relaxed);
                continue;
            }
            let len = meta.len.min(slice.len());
            for datagram in slice[..len].chunks_mut(meta.stride.max(1)) {
                take(meta.addr, datagram);
            }
        }
        count == BATCH_SIZE
    }

    /// Sends datagrams to one destination. What the kernel does not take at once is dropped and counted: UDP may lose, but a
    /// worker must not wait.
    pub fn send(&self, remote: SocketAddr, payload: &[u8], segment_size: Option<usize>, counters: &Counters) {
        let segment = segment_size.unwrap_or(payload.len()).max(1);
        let mut rest = payload;
        while !rest.is_empty() {
            let segments = self.state.max_gso_segments().min(MAX_SEND_BYTES / segment).max(1);
            let (now, later) = rest.split_at(rest.len().min(segments * segment));
            let size = (now.len() > segment).then_some(segment);
            let transmit =
                Transmit { destination: remote, ecn: None, contents: now, segment_size: size, src_ip: None };
            match self.state.try_send((&*self.socket).into(), &transmit) {
                Ok(()) => {}
                // Offload has just been found missing and switched off: the same again, one by one.
                Err(_) if size.is_some() && self.state.max_gso_segments() == 1 => continue,
                Err(error) => {
                    let is_full = error.kind() == io::ErrorKind::WouldBlock;
                    let counter = if is_full { &counters.sends_dropped } else { &counters.send_errors };
                    counter.fetch_add(now.len().div_ceil(segment) as u64, Ordering::Relaxed);
                }
            }
            rest = later;
        }
    }
}

impl fmt::Debug for MediaSocket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MediaSocket").field("local", &self.local).finish_non_exhaustive()
    }
}

impl ReceiveBuffers {
    /// Room for one batch: 2 MiB on Linux, of which the kernel touches what it fills.
    pub fn new() -> ReceiveBuffers {
        ReceiveBuffers { memory: vec![0; RECEIVE_BUFFER_BYTES * BATCH_SIZE] }
    }
}

impl Default for ReceiveBuffers {
    fn default() -> Self {
        ReceiveBuffers::new()
    }
}

impl fmt::Debug for ReceiveBuffers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReceiveBuffers").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn receive_all(socket: &MediaSocket, count: usize) -> Vec<Vec<u8>> {
        let (mut buffers, counters, mut datagrams) = (ReceiveBuffers::new(), Counters::default(), Vec::new());
        for _ in 0..1000 {
            socket.receive(&mut buffers, &counters, |_, bytes| datagrams.push(bytes.to_vec()));
            if datagrams.len() >= count {
                break;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        datagrams
    }

    #[test]
    fn a_run_of_segments_arrives_as_single_datagrams_in_order() {
        let a = MediaSocket::bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let b = MediaSocket::bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let counters = Counters::default();
        // 100 segments of 1200 bytes and a shorter one: more than one offloaded send can carry.
        let payload: Vec<u8> = (0..100 * 1200 + 7).map(|index: usize| (index / 1200) as u8).collect();
        a.send(b.local(), &payload, Some(1200), &counters);
        let datagrams = receive_all(&b, 101);
        assert_eq!(datagrams.len(), 101);
        assert_eq!(datagrams.concat(), payload);
        assert!(datagrams[..100].iter().all(|datagram| datagram.len() == 1200));
        assert_eq!(counters.send_errors.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn a_single_datagram_and_an_empty_one_do_no_harm() {
        let a = MediaSocket::bind("[::1]:0".parse().unwrap()).unwrap();
        let b = MediaSocket::bind("[::1]:0".parse().unwrap()).unwrap();
        let counters = Counters::default();
        a.readiness().send_to(&[], b.local()).unwrap();
        a.send(b.local(), &[1, 2, 3], None, &counters);
        assert_eq!(receive_all(&b, 1), [vec![1, 2, 3]]);
    }

    #[test]
    fn what_cannot_be_sent_is_counted_and_forgotten() {
        let a = MediaSocket::bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let counters = Counters::default();
        a.send("[::1]:9".parse().unwrap(), &[0; 100], Some(30), &counters);
        assert_eq!(counters.send_errors.load(Ordering::Relaxed), 4);
    }
}
