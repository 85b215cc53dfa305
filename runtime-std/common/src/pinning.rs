//! Threads that stay on one core.
use std::io;

/// Keeps this thread on one of the cores that it may use: the first for index 0, and around.
///
/// Errors: the system refuses, or knows no such thing.
#[cfg(target_os = "linux")]
pub fn pin_thread(index: usize) -> io::Result<()> {
    use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
    let allowed = sched_getaffinity(None)?;
    let cores: Vec<usize> = (0..CpuSet::MAX_CPU).filter(|core| allowed.is_set(*core)).collect();
    let core = cores.get(index % cores.len().max(1)).ok_or(io::ErrorKind::NotFound)?;
    let mut only = CpuSet::new();
    only.set(*core);
    Ok(sched_setaffinity(None, &only)?)
}

/// Keeps this thread on one core: not on this system.
#[cfg(not(target_os = "linux"))]
pub fn pin_thread(_: usize) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;
    use rustix::thread::sched_getaffinity;

    #[test]
    fn a_pinned_thread_has_one_core_and_threads_beyond_the_cores_share() {
        let cores = |index: usize| {
            let pinned = std::thread::spawn(move || {
                pin_thread(index).unwrap();
                sched_getaffinity(None).unwrap()
            });
            pinned.join().unwrap()
        };
        let all = sched_getaffinity(None).unwrap().count() as usize;
        assert_eq!(cores(0).count(), 1);
        assert_eq!(cores(0), cores(all));
        assert!(all == 1 || cores(0) != cores(1));
    }
}
