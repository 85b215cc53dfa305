//! What a process uses, from Linux's /proc.
use std::fs;
use std::io;
use std::time::Duration;

/// Clock ticks in a second as /proc counts them, on every architecture that matters (proc_pid_stat(5), sysconf(3)).
const TICKS_PER_SECOND: u64 = 100;

/// A process at one moment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    /// CPU time so far, in user and kernel mode, of all its threads.
    pub cpu: Duration,
    /// Resident memory, bytes.
    pub resident_bytes: u64,
    /// Threads.
    pub threads: u64,
}

impl Usage {
    /// That of a process.
    ///
    /// # Errors
    /// There is no such process, or no /proc.
    pub fn of(pid: u32) -> io::Result<Usage> {
        let broken = || io::Error::new(io::ErrorKind::InvalidData, format!("/proc/{pid} cannot be read"));
        let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
        let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
        Usage::parse(&stat, &status).ok_or_else(broken)
    }

    fn parse(stat: &str, status: &str) -> Option<Usage> {
        // The name, in brackets, may have spaces and brackets in it; utime is the 14th field, two being before the state.
        let mut fields = stat.rsplit_once(") ")?.1.split(' ').skip(11);
        let mut ticks = || fields.next()?.parse::<u64>().ok();
        let ticks = ticks()? + ticks()?;
        let line = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name))?;
            line.split_whitespace().next()?.parse::<u64>().ok()
        };
        Some(Usage {
            cpu: Duration::from_millis(ticks * 1_000 / TICKS_PER_SECOND),
            resident_bytes: line("VmRSS:")? * 1_024,
            threads: line("Threads:")?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_files_are_read_whatever_the_name() {
        let stat = "77 (a) b (c) S 1 2 3 4 5 6 7 8 9 10 150 25 13 14 15 16 17";
        let status = "Name:\ta\nVmHWM:\t  9 kB\nVmRSS:\t  2048 kB\nThreads:\t3\n";
        let expected = Usage { cpu: Duration::from_millis(1_750), resident_bytes: 2 << 20, threads: 3 };
        assert_eq!(Usage::parse(stat, status), Some(expected));
        assert_eq!(Usage::parse("77 (a) S 1", status), None);
        assert_eq!(Usage::parse(stat, ""), None);
    }

    #[test]
    fn this_process_is_there_and_others_are_not() {
        let own = Usage::of(std::process::id()).unwrap();
        assert!(own.threads >= 1 && own.resident_bytes > 0);
        assert!(Usage::of(u32::MAX).is_err());
    }
}
