//! Which of many descriptors can be read.
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};
use rustix::time::Timespec;

/// How many are told by one call; the others by the next.
const MOST_AT_ONCE: usize = 1_024;

/// Descriptors with a key each.
#[derive(Debug)]
pub struct Poll {
    epoll: OwnedFd,
}

impl Poll {
    /// None yet.
    ///
    /// # Errors
    /// The system has no descriptor left.
    pub fn new() -> io::Result<Self> {
        Ok(Poll { epoll: epoll::create(CreateFlags::CLOEXEC)? })
    }

    /// Adds a descriptor. When it is closed it is out by itself.
    ///
    /// # Errors
    /// The system's limits.
    pub fn add(&self, descriptor: &impl AsFd, key: usize) -> io::Result<()> {
        Ok(epoll::add(&self.epoll, descriptor, EventData::new_u64(key as u64), EventFlags::IN)?)
    }

    /// Takes a descriptor out.
    ///
    /// # Errors
    /// It is not in.
    pub fn remove(&self, descriptor: &impl AsFd) -> io::Result<()> {
        Ok(epoll::delete(&self.epoll, descriptor)?)
    }

    /// Waits until one can be read, or that long, and appends the keys of those that can. Whole milliseconds count.
    ///
    /// # Errors
    /// The system's.
    pub fn wait(&self, timeout: Duration, readable: &mut Vec<usize>) -> io::Result<()> {
        let timeout = Timespec { tv_sec: timeout.as_secs() as i64, tv_nsec: timeout.subsec_nanos().into() };
        let mut events = [const { MaybeUninit::<Event>::uninit() }; MOST_AT_ONCE];
        match epoll::wait(&self.epoll, &mut events[..], Some(&timeout)) {
            Ok((events, _)) => readable.extend(events.iter().map(|event| event.data.u64() as usize)),
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }
}
