//! Waiting for sockets, safely.
use std::io;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::Instant;

use polling::{Event, Events, PollMode, Poller};

/// Sockets registered with a poller for as long as this lives.
#[derive(Debug)]
pub(crate) struct Readiness<S: AsFd> {
    poller: Arc<Poller>,
    sockets: Vec<S>,
    events: Events,
}

impl<S: AsFd> Readiness<S> {
    /// Registers `sockets` with `poller`.
    pub(crate) fn new(poller: Arc<Poller>, sockets: Vec<S>) -> io::Result<Readiness<S>> {
        let mut readiness = Readiness { poller, sockets: Vec::new(), events: Events::new() };
        for socket in sockets {
            let interest = Event::readable(readiness.sockets.len());
            // SAFETY: the socket is kept in `sockets`, out of everybody's reach, until `drop` has taken it out of the poller.
            unsafe { readiness.poller.add_with_mode(&socket.as_fd(), interest, PollMode::Level)? };
            readiness.sockets.push(socket);
        }
        Ok(readiness)
    }

    /// Waits until a socket can be read, somebody notifies the poller, or the deadline comes.
    pub(crate) fn wait(&mut self, deadline: Option<Instant>) -> io::Result<()> {
        self.events.clear();
        let timeout = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
        match self.poller.wait(&mut self.events, timeout) {
            Err(error) if error.kind() != io::ErrorKind::Interrupted => Err(error),
            _ => Ok(()),
        }
    }

    /// The sockets.
    pub(crate) fn sockets(&self) -> &[S] {
        &self.sockets
    }
}

impl<S: AsFd> Drop for Readiness<S> {
    fn drop(&mut self) {
        for socket in &self.sockets {
            // It may fail only for what is not registered.
            let _ = self.poller.delete(socket.as_fd());
        }
    }
}
