//! The media loop: one thread, one worker, its sockets, its timer and its signals.
use std::io;
use std::sync::mpsc::{Receiver, TryRecvError};
use std::time::{Duration, Instant};

use sansfu_runtime::{Signal, Worker};

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
pub(crate) fn run(worker: Worker, signals: &Receiver<Signal>) {
    let index = worker.index();
    worker.pin();
    if let Err(error) = turns(worker, signals) {
        // Without readiness there is no media: the whole server ends.
        panic!("worker {index} cannot wait for its sockets: {error}");
    }
}

fn turns(mut worker: Worker, signals: &Receiver<Signal>) -> io::Result<()> {
    let mut deadline = worker.drain();
    loop {
        worker.receive();
        let taken = take_signals(&mut worker, signals);
        worker.expire(deadline);
        deadline = worker.drain();
        match taken {
            Taken::Stop => return Ok(()),
            // A signal sent from here on wakes it, and so does a socket that has more.
            Taken::All => {
                worker.wait(deadline.map(|deadline| deadline.saturating_duration_since(Instant::now())))?;
            }
            Taken::Some => worker.wait(Some(Duration::ZERO))?,
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
