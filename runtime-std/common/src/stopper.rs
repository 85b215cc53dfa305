//! How the threads of a server agree that it ends.
use std::fmt;
use std::sync::{Arc, Condvar, Mutex, PoisonError};

/// Asks a server to stop, from any thread. Clones are the same.
#[derive(Debug, Clone, Default)]
pub struct Stopper {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    reason: Mutex<Option<Result<(), WorkerFailed>>>,
    changed: Condvar,
}

/// A thread of the server panicked (its own message is on stderr); the whole server was stopped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkerFailed {
    thread: String,
}

impl Stopper {
    /// Asks for the stop.
    pub fn stop(&self) {
        self.set(Ok(()));
    }

    /// Whether it was asked for.
    pub fn is_stopped(&self) -> bool {
        self.shared.reason.lock().unwrap_or_else(PoisonError::into_inner).is_some()
    }

    /// Waits until it is asked for.
    ///
    /// Errors: a thread of the server has panicked.
    pub fn wait(&self) -> Result<(), WorkerFailed> {
        let mut reason = self.shared.reason.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            match &*reason {
                Some(reason) => return reason.clone(),
                None => reason = self.shared.changed.wait(reason).unwrap_or_else(PoisonError::into_inner),
            }
        }
    }

    /// A guard for a thread of the server: when the thread panics, the server stops and [`Stopper::wait`] says so.
    pub fn watch(&self, thread: &str) -> impl Drop + use<> {
        Watch { stopper: self.clone(), thread: thread.to_owned() }
    }

    /// The first reason counts.
    fn set(&self, new: Result<(), WorkerFailed>) {
        let mut reason = self.shared.reason.lock().unwrap_or_else(PoisonError::into_inner);
        reason.get_or_insert(new);
        self.shared.changed.notify_all();
    }
}

struct Watch {
    stopper: Stopper,
    thread: String,
}

impl Drop for Watch {
    fn drop(&mut self) {
        if std::thread::panicking() {
            tracing::error!(thread = self.thread, "panicked; the server stops");
            self.stopper.set(Err(WorkerFailed { thread: self.thread.clone() }));
        }
    }
}

impl fmt::Display for WorkerFailed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "internal error: {} panicked", self.thread)
    }
}

impl std::error::Error for WorkerFailed {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_in_a_watched_thread_stops_the_server_with_an_error() {
        let stopper = Stopper::default();
        let guard = stopper.watch("worker 3");
        let thread = std::thread::spawn(move || {
            let _guard = guard;
            std::panic::resume_unwind(Box::new(()));
        });
        assert_eq!(stopper.wait().unwrap_err().to_string(), "internal error: worker 3 panicked");
        assert!(thread.join().is_err());
        stopper.stop();
        assert!(stopper.wait().is_err(), "the first reason counts");
    }

    #[test]
    fn a_watched_thread_that_ends_well_stops_nothing() {
        let stopper = Stopper::default();
        drop(stopper.watch("worker 0"));
        assert!(!stopper.is_stopped());
        stopper.stop();
        assert_eq!(stopper.wait(), Ok(()));
    }
}
