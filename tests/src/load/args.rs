//! What a run is to be like, read from the command line.
use std::fmt;
use std::ops::RangeInclusive;
use std::str::FromStr;

/// What the command line may say.
pub const USAGE: &str = "usage: load --url ws://HOST[:PORT] [options]
  --url URL            the server's WebSocket; ws://127.0.0.1:3000 by default
  --rooms R            rooms; 1 by default
  --room NAME          how rooms are called, followed by a number; load by default
  --publishers P       in each room; 1 by default
  --subscribers S      in each room; 10 by default
  --publishers-consume publishers receive each other too
  --video-kbps N       bits a second of each publisher's video, in thousands; 0: no video; 1000 by default
  --fps N              frames a second; 30 by default
  --simulcast          three encodings: that rate, a quarter and a sixteenth of it
  --audio              publishers send sound too (opus, 20 ms)
  --seconds T          how long to measure once everybody is there; 10 by default
  --settle-seconds T   how long to wait before that, for queues and estimates; 2 by default
  --join-rate N        clients that join in a second; 50 by default
  --full N             receivers of each room that decrypt, for latency; the others count and acknowledge; 2 by default
  --threads N          threads for media; 1 by default
  --pid PID            the server's process, to measure its CPU and memory
  --csv                a line of values for machines, with one of names before it, at the end
Ends with status 0 when the run went as planned, 1 when it broke off or not everybody joined, 2 when this cannot be read.
SIGINT ends it early, with its summary.";

/// More clients than that one process has no ports for.
const MOST_CLIENTS: usize = 20_000;

/// A run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Args {
    /// Where the server is: host and port as they were written.
    pub authority: String,
    /// Rooms.
    pub rooms: usize,
    /// How rooms are called, before their number.
    pub room: String,
    /// Publishers in each room.
    pub publishers: usize,
    /// Pure receivers in each room.
    pub subscribers: usize,
    /// Whether publishers receive each other.
    pub publishers_consume: bool,
    /// Of the video of each publisher, of its largest encoding; 0: none.
    pub video_kbps: u32,
    /// Frames a second.
    pub fps: u32,
    /// Whether video has three encodings.
    pub simulcast: bool,
    /// Whether publishers send sound.
    pub audio: bool,
    /// How long to measure.
    pub seconds: u64,
    /// How long to wait before that.
    pub settle_seconds: u64,
    /// Clients that join in a second.
    pub join_rate: u32,
    /// Receivers of each room that decrypt.
    pub full: usize,
    /// Media threads.
    pub threads: usize,
    /// The server's process.
    pub pid: Option<u32>,
    /// Whether to print for machines.
    pub csv: bool,
}

/// What of a command line cannot be read, or cannot be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UsageError(String);

impl fmt::Display for UsageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Default for Args {
    fn default() -> Self {
        Args {
            authority: "127.0.0.1:3000".to_owned(),
            rooms: 1,
            room: "load".to_owned(),
            publishers: 1,
            subscribers: 10,
            publishers_consume: false,
            video_kbps: 1_000,
            fps: 30,
            simulcast: false,
            audio: false,
            seconds: 10,
            settle_seconds: 2,
            join_rate: 50,
            full: 2,
            threads: 1,
            pid: None,
            csv: false,
        }
    }
}

impl Args {
    /// Reads what follows the program's name.
    ///
    /// # Errors
    /// The first word that is not understood, or what contradicts itself.
    pub fn parse(words: impl IntoIterator<Item = String>) -> Result<Args, UsageError> {
        let mut args = Args::default();
        let mut words = words.into_iter();
        while let Some(flag) = words.next() {
            args.take(&flag, &mut words)?;
        }
        args.check()?;
        Ok(args)
    }

    /// Clients in all.
    pub fn clients(&self) -> usize {
        self.rooms * (self.publishers + self.subscribers)
    }

    /// What each publisher sends: sound, video or both.
    pub fn tracks_per_publisher(&self) -> usize {
        usize::from(self.audio) + usize::from(self.video_kbps > 0)
    }

    fn take(&mut self, flag: &str, words: &mut impl Iterator<Item = String>) -> Result<(), UsageError> {
        let mut value = || words.next().ok_or_else(|| UsageError(format!("{flag} needs a value")));
        match flag {
            "--url" => self.authority = parse_url(&value()?)?,
            "--rooms" => self.rooms = number(flag, &value()?, 1..=10_000)?,
            "--room" => self.room = value()?,
            "--publishers" => self.publishers = number(flag, &value()?, 0..=1_000)?,
            "--subscribers" => self.subscribers = number(flag, &value()?, 0..=10_000)?,
            "--publishers-consume" => self.publishers_consume = true,
            "--video-kbps" => self.video_kbps = number(flag, &value()?, 0..=50_000)?,
            "--fps" => self.fps = number(flag, &value()?, 1..=120)?,
            "--simulcast" => self.simulcast = true,
            "--audio" => self.audio = true,
            "--seconds" => self.seconds = number(flag, &value()?, 1..=86_400)?,
            "--settle-seconds" => self.settle_seconds = number(flag, &value()?, 0..=3_600)?,
            "--join-rate" => self.join_rate = number(flag, &value()?, 1..=10_000)?,
            "--full" => self.full = number(flag, &value()?, 0..=10_000)?,
            "--threads" => self.threads = number(flag, &value()?, 1..=64)?,
            "--pid" => self.pid = Some(number(flag, &value()?, 1..=u32::MAX)?),
            "--csv" => self.csv = true,
            _ => return Err(UsageError(format!("unknown option {flag}"))),
        }
        Ok(())
    }

    fn check(&self) -> Result<(), UsageError> {
        let complain = |text: &str| Err(UsageError(text.to_owned()));
        if self.clients() == 0 {
            return complain("there is nobody: --publishers and --subscribers are 0");
        }
        if self.clients() > MOST_CLIENTS {
            return Err(UsageError(format!("{} clients: at most {MOST_CLIENTS}", self.clients())));
        }
        if self.publishers > 0 && self.tracks_per_publisher() == 0 {
            return complain("publishers have nothing to send: give --audio, or --video-kbps above 0");
        }
        if self.simulcast && self.video_kbps == 0 {
            return complain("--simulcast is of video, and --video-kbps is 0");
        }
        // Each room has its number behind its name, in a URL.
        let is_plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        if self.room.is_empty() || self.room.len() > 64 || !self.room.chars().all(is_plain) {
            return complain("--room is of 1 to 64 letters, digits, - and _");
        }
        Ok(())
    }
}

/// Host and port of a URL, the port 80 if it names none.
fn parse_url(url: &str) -> Result<String, UsageError> {
    if url.starts_with("wss://") {
        let text = "wss:// is not spoken here: load the server behind the proxy that does TLS";
        return Err(UsageError(text.to_owned()));
    }
    let broken = || UsageError(format!("--url {url}: not of the form ws://HOST[:PORT]"));
    let rest = url.strip_prefix("ws://").ok_or_else(broken)?;
    let authority = rest.split(['/', '?']).next().unwrap_or_default();
    // Behind the brackets of an IPv6 address.
    let after_host = &authority[authority.rfind(']').unwrap_or(0)..];
    let with_port = match after_host.rsplit_once(':') {
        Some((_, port)) => port.parse::<u16>().map(|_| authority.to_owned()).map_err(|_| broken())?,
        None => format!("{authority}:80"),
    };
    if with_port.starts_with(':') { Err(broken()) } else { Ok(with_port) }
}

fn number<T: FromStr + PartialOrd + fmt::Display>(
    flag: &str,
    text: &str,
    range: RangeInclusive<T>,
) -> Result<T, UsageError> {
    let number = text.parse::<T>().ok().filter(|number| range.contains(number));
    let (low, high) = (range.start(), range.end());
    number.ok_or_else(|| UsageError(format!("{flag} {text}: not a number from {low} to {high}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Args, String> {
        let words = line.split(' ').filter(|word| !word.is_empty()).map(str::to_owned);
        Args::parse(words).map_err(|error| error.to_string())
    }

    #[test]
    fn the_line_of_the_issue_is_understood() {
        let line = "--url ws://10.0.0.5:3000/ --rooms 10 --publishers 2 --subscribers 8 --video-kbps 2500 --audio \
                    --seconds 30 --simulcast --pid 77 --csv";
        let expected = Args {
            authority: "10.0.0.5:3000".to_owned(),
            rooms: 10,
            publishers: 2,
            subscribers: 8,
            video_kbps: 2_500,
            audio: true,
            simulcast: true,
            seconds: 30,
            pid: Some(77),
            csv: true,
            ..Args::default()
        };
        assert_eq!(parse(line), Ok(expected));
        assert_eq!(parse(""), Ok(Args::default()));
        assert_eq!(parse(line).unwrap().clients(), 100);
        assert_eq!(parse(line).unwrap().tracks_per_publisher(), 2);
    }

    #[test]
    fn hosts_are_read_with_and_without_port() {
        for (url, authority) in [
            ("ws://a", "a:80"),
            ("ws://a:1/x?y", "a:1"),
            ("ws://[::1]/", "[::1]:80"),
            ("ws://[::1]:9", "[::1]:9"),
        ] {
            assert_eq!(parse_url(url).unwrap(), authority);
        }
        for url in ["http://a", "ws://", "ws://:3000", "ws://a:x", "ws://a:70000", "wss://a"] {
            assert!(parse_url(url).is_err(), "{url}");
        }
    }

    #[test]
    fn what_cannot_be_is_told_by_its_flag() {
        for (line, part) in [
            ("--rooms", "--rooms needs a value"),
            ("--rooms 0", "--rooms 0: not a number from 1"),
            ("--seconds -1", "--seconds -1"),
            ("--video", "unknown option --video"),
            ("--video-kbps 0", "nothing to send"),
            ("--video-kbps 0 --audio --simulcast", "--simulcast"),
            ("--publishers 0 --subscribers 0", "nobody"),
            ("--rooms 10000 --subscribers 10000", "at most"),
            ("--room a/b", "--room"),
        ] {
            let error = parse(line).unwrap_err();
            assert!(error.contains(part), "{line}: {error}");
        }
    }
}
