//! The media loop: one thread, one worker, its sockets, its timer and its signals.
use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, TryRecvError};

use polling::Poller;
use sansfu_runtime::{MediaSocket, Signal, Worker};

use crate::readiness::Readiness;

/// Signals taken before media has its turn again.
const MAX_SIGNALS_PER_TURN: usize = 64;

/// What the channel of signals had.
enum Taken {
    /// Nothing more at the moment.
    All,
    /// There may be more.
    Some,
    /// The word to stop.
    Stop,
}

/// Runs a worker until it is told to stop, or nobody can tell it anything any more.
pub(crate) fn run(worker: Worker, signals: &Receiver<Signal>, poller: Arc<Poller>) {
    let index = worker.index();
    if let Err(error) = turns(worker, signals, poller) {
        // Without readiness there is no media: the whole server ends.
        panic!("worker {index} cannot wait for its sockets: {error}");
    }
}

fn turns(mut worker: Worker, signals: &Receiver<Signal>, poller: Arc<Poller>) -> io::Result<()> {
    let sockets = worker.sockets().iter().map(MediaSocket::readiness).collect();
    let mut readiness = Readiness::new(poller, sockets)?;
    let mut deadline = worker.drain();
    loop {
        let more_datagrams = worker.receive();
        let taken = take_signals(&mut worker, signals);
        worker.expire(deadline);
        deadline = worker.drain();
        match taken {
            Taken::Stop => return Ok(()),
            // A signal sent from here on wakes the poller.
            Taken::All if !more_datagrams => readiness.wait(deadline)?,
            _ => {}
        }
    }
}

fn take_signals(worker: &mut Worker, signals: &Receiver<Signal>) -> Taken {
    for _ in 0..MAX_SIGNALS_PER_TURN {
        let signal = match signals.try_recv() {
            Ok(signal) => signal,
            Err(TryRecvError::Empty) => return Taken::All,
            Err(TryRecvError::Disconnected) => Signal::Stop,
        };
        let stop = matches!(signal, Signal::Stop);
        worker.signal(signal);
        if stop {
            return Taken::Stop;
        }
    }
    Taken::Some
}
