//! UDP sockets for media: datagrams in batches both ways, with the kernel's segmentation offload where it has it.
use std::fmt;
use std::io::{self, IoSliceMut};
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, SystemTime};

use quinn_udp::{BATCH_SIZE, RecvMeta, UdpSocketState};
use sansfu::server::Transmit;
use sansfu::wire::demux::{Kind, classify};

use crate::held::Held;
use crate::{Counters, overflow};

/// Asked of the kernel for each direction of each socket, in bytes; it gives what its limits allow.
const SOCKET_BUFFER_BYTES: usize = 4 << 20;

/// The largest UDP payload that IPv6 carries, less some headers that the kernel may add: the limit of one offloaded send.
const MAX_SEND_BYTES: usize = 65_000;

/// The longest that one receive buffer may have to be: what the kernel coalesces at most.
const RECEIVE_BUFFER_BYTES: usize = 65_536;

/// Media that has waited longer in the kernel's buffer is dropped. When more comes than can be sent, something must be dropped: better
/// what is late already than what is fresh, and all that comes behind it by as many seconds as the buffer is long. What holds
/// connections together, and what tells of them, is of use when it is late.
const MAX_AGE: Duration = Duration::from_millis(500);

/// A bound, non-blocking UDP socket on one address of the host.
pub struct MediaSocket {
    socket: Arc<UdpSocket>,
    state: UdpSocketState,
    local: SocketAddr,
    held: Held,
    /// The kernel's count of datagrams dropped for want of room, when it was read last.
    receive_drops: u32,
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
        Ok(MediaSocket { socket: Arc::new(socket), state, local, held: Held::default(), receive_drops: 0 })
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
        let now = since_1970();
        for (slice, meta) in slices.iter_mut().zip(&meta).take(count) {
            let is_late = meta.timestamp.is_some_and(|at| now.saturating_sub(at) > MAX_AGE);
            // Nothing can be answered to port 0, and trying would make the kernel refuse segmentation offload.
            if meta.addr.port() == 0 {
                counters.dropped_port_zero.fetch_add(1, Ordering::Relaxed);
                continue;
            }
            let len = meta.len.min(slice.len());
            for datagram in slice[..len].chunks_mut(meta.stride.max(1)) {
                if is_late && classify(datagram) == Kind::Rtp {
                    counters.received_too_late.fetch_add(1, Ordering::Relaxed);
                } else {
                    take(meta.addr, datagram);
                }
            }
        }
        count == BATCH_SIZE
    }

    /// Sends datagrams to one destination, as many as the kernel takes: a worker must not wait. Of what is left pictures are
    /// dropped; control and sound are held until [`Self::flush`], as long as there is room. Gives the number of datagrams
    /// dropped, which are the last ones of the transmit.
    pub fn send(&mut self, transmit: &Transmit<'_>, counters: &Counters) -> usize {
        let segment = transmit.segment_size.unwrap_or(transmit.payload.len()).max(1);
        let mut left = transmit.payload;
        if self.held.is_empty() {
            left = self.try_send(transmit.remote, left, segment, counters);
        }
        if left.is_empty() {
            return 0;
        }
        let datagrams = left.len().div_ceil(segment);
        let is_held = self.held.push(transmit.class, transmit.remote, left, segment);
        let counter = if is_held { &counters.sends_held } else { &counters.sends_dropped };
        counter.fetch_add(datagrams as u64, Ordering::Relaxed);
        if is_held { 0 } else { datagrams }
    }

    /// Sends what is held, as much as the kernel takes.
    pub fn flush(&mut self, counters: &Counters) {
        while let Some(first) = self.held.pop() {
            let sent = first.payload.len()
                - self.try_send(first.remote, &first.payload, first.segment_size, counters).len();
            if sent < first.payload.len() {
                return self.held.put_back(first, sent);
            }
        }
    }

    /// Whether something waits for room.
    pub fn is_full(&self) -> bool {
        !self.held.is_empty()
    }

    /// Counts what the kernel has dropped since the last call because the receive buffer was full.
    pub fn count_overflows(&mut self, counters: &Counters) {
        let Some(drops) = overflow::receive_drops(&self.socket) else { return };
        // The kernel's counter has 32 bits and wraps.
        let new = drops.wrapping_sub(self.receive_drops);
        self.receive_drops = drops;
        counters.receive_overflows.fetch_add(new.into(), Ordering::Relaxed);
    }

    /// Sends as long as there is room; what there is none for is left.
    fn try_send<'a>(
        &self,
        remote: SocketAddr,
        payload: &'a [u8],
        segment: usize,
        counters: &Counters,
    ) -> &'a [u8] {
        let mut rest = payload;
        while !rest.is_empty() {
            let segments = self.state.max_gso_segments().min(MAX_SEND_BYTES / segment).max(1);
            let (now, later) = rest.split_at(rest.len().min(segments * segment));
            let size = (now.len() > segment).then_some(segment);
            let transmit = quinn_udp::Transmit {
                destination: remote,
                ecn: None,
                contents: now,
                segment_size: size,
                src_ip: None,
            };
            match self.state.try_send((&*self.socket).into(), &transmit) {
                Ok(()) => {}
                Err(error) if is_full(&error) => return rest,
                // Offload has just been found missing and switched off: the same again, one by one.
                Err(_) if size.is_some() && self.state.max_gso_segments() == 1 => continue,
                Err(_) => {
                    let datagrams = now.len().div_ceil(segment) as u64;
                    counters.send_errors.fetch_add(datagrams, Ordering::Relaxed);
                }
            }
            rest = later;
        }
        rest
    }
}

/// By the clock of the kernel's receive times.
fn since_1970() -> Duration {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default()
}

/// Whether the kernel refuses for want of room: in the socket's buffer, or in the queue of the interface.
fn is_full(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::WouldBlock
        || error.raw_os_error() == Some(rustix::io::Errno::NOBUFS.raw_os_error())
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

    use sansfu::server::{Protocol, TransmitClass};

    fn send(
        socket: &mut MediaSocket,
        remote: SocketAddr,
        payload: &[u8],
        segment_size: Option<usize>,
        counters: &Counters,
    ) -> usize {
        let (local, protocol, class) = (socket.local(), Protocol::Udp, TransmitClass::Video);
        socket.send(&Transmit { local, remote, protocol, class, payload, segment_size }, counters)
    }

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
        let mut a = MediaSocket::bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let b = MediaSocket::bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let counters = Counters::default();
        // 100 segments of 1200 bytes and a shorter one: more than one offloaded send can carry.
        let payload: Vec<u8> = (0..100 * 1200 + 7).map(|index: usize| (index / 1200) as u8).collect();
        assert_eq!(send(&mut a, b.local(), &payload, Some(1200), &counters), 0);
        let datagrams = receive_all(&b, 101);
        assert_eq!(datagrams.len(), 101);
        assert_eq!(datagrams.concat(), payload);
        assert!(datagrams[..100].iter().all(|datagram| datagram.len() == 1200));
        assert_eq!(counters.send_errors.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn a_single_datagram_and_an_empty_one_do_no_harm() {
        let mut a = MediaSocket::bind("[::1]:0".parse().unwrap()).unwrap();
        let b = MediaSocket::bind("[::1]:0".parse().unwrap()).unwrap();
        let counters = Counters::default();
        a.readiness().send_to(&[], b.local()).unwrap();
        send(&mut a, b.local(), &[1, 2, 3], None, &counters);
        assert_eq!(receive_all(&b, 1), [vec![1, 2, 3]]);
    }

    #[test]
    fn what_cannot_be_sent_is_counted_and_forgotten() {
        let mut a = MediaSocket::bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let counters = Counters::default();
        send(&mut a, "[::1]:9".parse().unwrap(), &[0; 100], Some(30), &counters);
        assert_eq!(counters.send_errors.load(Ordering::Relaxed), 4);
    }

    #[test]
    fn what_the_kernel_drops_before_it_is_read_is_counted_once() {
        let (mut a, counters) =
            (MediaSocket::bind("127.0.0.1:0".parse().unwrap()).unwrap(), Counters::default());
        a.count_overflows(&counters);
        let client = UdpSocket::bind("127.0.0.1:0").unwrap();
        // More than any buffer that was asked for holds.
        let sent = 20 * SOCKET_BUFFER_BYTES / 60_000;
        let delivered = (0..sent).filter(|_| client.send_to(&[0; 60_000], a.local()).is_ok()).count();
        a.count_overflows(&counters);
        let dropped = counters.receive_overflows.load(Ordering::Relaxed);
        assert!(dropped > 0 || cfg!(not(target_os = "linux")), "{delivered} datagrams and none dropped");
        a.count_overflows(&counters);
        assert_eq!(counters.receive_overflows.load(Ordering::Relaxed), dropped);
    }

    #[test]
    fn media_that_has_waited_for_too_long_is_dropped_and_nothing_else_is() {
        const MEDIA: [u8; 20] = [0x80; 20];
        const STUN: [u8; 20] = [0; 20];
        let (mut buffers, counters) = (ReceiveBuffers::new(), Counters::default());
        let socket = MediaSocket::bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let client = UdpSocket::bind("127.0.0.1:0").unwrap();
        client.send_to(&MEDIA, socket.local()).unwrap();
        client.send_to(&STUN, socket.local()).unwrap();
        std::thread::sleep(MAX_AGE + Duration::from_millis(50));
        let mut heard = Vec::new();
        socket.receive(&mut buffers, &counters, |_, bytes| heard.push(bytes.to_vec()));
        let too_late = counters.received_too_late.load(Ordering::Relaxed);
        assert_eq!(too_late, u64::from(cfg!(target_os = "linux")));
        assert_eq!(heard.last().map(Vec::as_slice), Some(&STUN[..]));
        assert_eq!(heard.len() as u64, 2 - too_late);
        // However slow the machine is, one of these is read in time.
        let is_heard = (0..100).any(|_| {
            client.send_to(&MEDIA, socket.local()).unwrap();
            let mut is_heard = false;
            socket.receive(&mut buffers, &counters, |_, bytes| is_heard |= *bytes == MEDIA);
            is_heard
        });
        assert!(is_heard);
    }
}
