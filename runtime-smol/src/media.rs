//! The media loop: one thread, one worker, its sockets, its timer and its signals.
use std::fs::File;
use std::future::{Future as _, poll_fn};
use std::io;
use std::pin::{Pin, pin};
use std::task::Poll;
use std::time::Instant;

use async_io::{Async, Timer};
use sansfu_runtime::{Signal, Worker};
use smol::channel::{Receiver, TryRecvError};

/// Signals taken before media has its turn again.
const MAX_SIGNALS_PER_TURN: usize = 64;

/// Runs a worker until it is told to stop, or nobody can tell it anything any more.
pub(crate) fn run(worker: Worker, signals: &Receiver<Signal>) {
    let index = worker.index();
    worker.pin();
    if let Err(error) = async_io::block_on(turns(worker, signals)) {
        // Without readiness there is no media: the whole server ends.
        panic!("worker {index} cannot wait for its sockets: {error}");
    }
}

async fn turns(mut worker: Worker, signals: &Receiver<Signal>) -> io::Result<()> {
    // Sockets come and go; the poller that has them all is one descriptor, and can be waited for like a socket.
    let readiness = Async::new_nonblocking(File::from(worker.sockets().readiness()?))?;
    let mut deadline = worker.drain();
    let mut signal = None;
    loop {
        worker.look()?;
        let more_datagrams = worker.receive();
        let stop = take_signals(&mut worker, signal.take(), signals);
        worker.expire(deadline);
        deadline = worker.drain();
        if stop {
            return Ok(());
        }
        if !more_datagrams {
            signal = wait(&readiness, signals, deadline).await?;
        }
    }
}

/// Hands signals to the worker, `first` before the others. Returns whether it has to stop.
fn take_signals(worker: &mut Worker, first: Option<Signal>, signals: &Receiver<Signal>) -> bool {
    let mut next = first;
    for _ in 0..MAX_SIGNALS_PER_TURN {
        let signal = match next.take().map_or_else(|| signals.try_recv(), Ok) {
            Ok(signal) => signal,
            Err(TryRecvError::Empty) => return false,
            Err(TryRecvError::Closed) => Signal::Stop,
        };
        let stop = matches!(signal, Signal::Stop);
        worker.signal(signal);
        if stop {
            return true;
        }
    }
    false
}

/// Waits for a datagram, a signal (which is returned) or the deadline.
async fn wait(
    readiness: &Async<File>,
    signals: &Receiver<Signal>,
    deadline: Option<Instant>,
) -> io::Result<Option<Signal>> {
    let mut signal = pin!(signals.recv());
    let mut timer = deadline.map_or_else(Timer::never, Timer::at);
    poll_fn(|context| {
        if let Poll::Ready(result) = readiness.poll_readable(context) {
            return Poll::Ready(result.map(|()| None));
        }
        if let Poll::Ready(result) = signal.as_mut().poll(context) {
            return Poll::Ready(Ok(Some(result.unwrap_or(Signal::Stop))));
        }
        Pin::new(&mut timer).poll(context).map(|_| Ok(None))
    })
    .await
}
