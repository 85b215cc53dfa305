//! The ports that transports have of their own: which are free, whose they are, and which sockets the runtime is to open and close.
//!
//! Without a range ([`Config::transport_ports`]) all transports share the listen addresses, and nothing here happens.
//!
//! Invariant: a port is a transport's from the request that made the transport until its end, whether or not it could be bound.
//! Invariant: orders leave in the order in which they were decided, so a port that changes hands within a drain is closed before
//! it is opened again. There are at most two for each port and address: one that closes, one that opens.
use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;

use crate::config::{Config, ListenAddress, PortRange};
use crate::error::{RequestError, RequestErrorKind};
use crate::id::TransportId;

/// What the runtime has to do with a socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SocketOrder {
    /// Bind one.
    Listen {
        /// Whose it is.
        transport_id: TransportId,
        /// To this address.
        local: SocketAddr,
    },
    /// Close the one of this address.
    Unlisten {
        /// The address.
        local: SocketAddr,
    },
}

/// The ports of a range and their holders.
#[derive(Debug)]
pub(super) struct Ports {
    range: Option<PortRange>,
    /// How many ports of the range have ever been given out: the first ones.
    touched: usize,
    /// Ports given back. The one that has rested longest is next: what still comes for its last holder should have ebbed away, and a
    /// port that cannot be bound is not tried again at once.
    rested: VecDeque<u16>,
    held: HashMap<TransportId, u16>,
    orders: VecDeque<SocketOrder>,
}

impl Ports {
    /// All ports free.
    pub(super) fn new(config: &Config) -> Self {
        Ports {
            range: config.transport_ports,
            touched: 0,
            rested: VecDeque::new(),
            held: HashMap::new(),
            orders: VecDeque::new(),
        }
    }

    /// The port of the next transport; `None`: transports have none of their own.
    ///
    /// Errors: all are in use.
    pub(super) fn next(&self) -> Result<Option<u16>, RequestError> {
        let Some(range) = self.range else { return Ok(None) };
        match self.untouched().or(self.rested.front().copied()) {
            Some(port) => Ok(Some(port)),
            None => Err(RequestError::new(
                RequestErrorKind::LimitReached,
                format!("no port left for a transport: all of {range} are in use"),
            )),
        }
    }

    /// Gives [`Ports::next`] to a transport, and orders its sockets.
    pub(super) fn open(&mut self, transport_id: TransportId, listen: &[ListenAddress]) {
        let port = match self.untouched() {
            Some(port) => {
                self.touched += 1;
                Some(port)
            }
            None => self.rested.pop_front(),
        };
        let Some(port) = port else { return };
        self.held.insert(transport_id, port);
        for listen in addresses(listen, Some(port)) {
            self.orders.push_back(SocketOrder::Listen { transport_id, local: listen.local });
        }
    }

    /// Takes the port of a transport back, and orders its sockets closed. Those whose opening nobody has polled are not opened.
    pub(super) fn close(&mut self, transport_id: TransportId, listen: &[ListenAddress]) {
        let Some(port) = self.held.remove(&transport_id) else { return };
        for ListenAddress { local, .. } in addresses(listen, Some(port)) {
            let opening = SocketOrder::Listen { transport_id, local };
            match self.orders.iter().position(|order| *order == opening) {
                Some(at) => drop(self.orders.remove(at)),
                None => self.orders.push_back(SocketOrder::Unlisten { local }),
            }
        }
        self.rested.push_back(port);
    }

    /// Takes the oldest order.
    pub(super) fn pop_order(&mut self) -> Option<SocketOrder> {
        self.orders.pop_front()
    }

    /// Whether all transports share the listen addresses.
    pub(super) fn are_shared(&self) -> bool {
        self.range.is_none()
    }

    /// Whether a transport may be reached at a port: any that is shared, else only its own.
    pub(super) fn admit(&self, transport_id: TransportId, port: u16) -> bool {
        self.are_shared() || self.held.get(&transport_id) == Some(&port)
    }

    /// How many ports are in use.
    pub(super) fn in_use(&self) -> usize {
        self.held.len()
    }

    /// Whether no port is in use and no order waits.
    pub(super) fn is_empty(&self) -> bool {
        self.held.is_empty() && self.orders.is_empty()
    }

    fn untouched(&self) -> Option<u16> {
        self.range.and_then(|range| range.nth(self.touched))
    }
}

/// The addresses of a transport: the listen addresses as they are, or those of its own port, each once.
pub(super) fn addresses(listen: &[ListenAddress], port: Option<u16>) -> Vec<ListenAddress> {
    let mut addresses: Vec<ListenAddress> = Vec::new();
    for listen in listen {
        let local = SocketAddr::new(listen.local.ip(), port.unwrap_or(listen.local.port()));
        if addresses.iter().all(|known| known.local != local) {
            addresses.push(ListenAddress { local, announced: listen.announced });
        }
    }
    addresses
}
