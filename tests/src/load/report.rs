//! What a run came to, for people and for machines.
use std::collections::BTreeMap;
use std::fmt::{self, Write as _};
use std::time::Duration;

use super::args::Args;
use super::process::Usage;
use super::stats::{Histogram, Totals};
use super::worker::Measured;

/// What a run came to.
#[derive(Debug, Clone, Default)]
pub struct Summary {
    /// What it was.
    pub args: Args,
    /// How long was measured.
    pub measured_for: Duration,
    /// What was measured.
    pub measured: Measured,
    /// Clients that came to be all that they were to be.
    pub joined: u64,
    /// Those that did not, by why not.
    pub failed: BTreeMap<String, u64>,
    /// Those that had joined and were thrown out, by why.
    pub dropped: BTreeMap<String, u64>,
    /// From dialing to all transports connected.
    pub connect_times: Histogram,
    /// From dialing to the first media packet.
    pub media_times: Histogram,
    /// The server when everybody had joined: CPU since the first dialed, and memory.
    pub server_joining: Option<Usage>,
    /// The server at the end: CPU since the measurement began, and memory.
    pub server: Option<Usage>,
    /// This process, likewise.
    pub own: Usage,
}

impl Summary {
    /// Clients that did not join.
    pub fn failed_joins(&self) -> u64 {
        self.failed.values().sum()
    }

    /// Clients that were thrown out.
    pub fn dropped_clients(&self) -> u64 {
        self.dropped.values().sum()
    }

    /// Whether everybody joined and stayed.
    pub fn is_clean(&self) -> bool {
        self.failed.is_empty() && self.dropped.is_empty()
    }

    /// CPU of the server for each packet that a client received, in microseconds.
    pub fn server_us_per_packet(&self) -> Option<f64> {
        per_packet(self.server?.cpu, self.measured.totals.received)
    }

    /// CPU of this process for each of them.
    pub fn own_us_per_packet(&self) -> Option<f64> {
        per_packet(self.own.cpu, self.measured.totals.received)
    }

    /// Names and values, as they stand in the two lines for machines.
    pub fn fields(&self) -> Vec<(&'static str, String)> {
        let (args, totals, latency) = (&self.args, &self.measured.totals, &self.measured.latency);
        let seconds = self.measured_for.as_secs_f64().max(1e-9);
        let or_empty = |value: Option<f64>| value.map_or_else(String::new, |value| format!("{value:.3}"));
        let ms = |duration: Option<Duration>| or_empty(duration.map(|time| time.as_secs_f64() * 1e3));
        let percent_of_core =
            |usage: Option<Usage>| or_empty(usage.map(|usage| usage.cpu.as_secs_f64() * 100.0 / seconds));
        let joining = self.server_joining.map(|usage| usage.cpu.as_secs_f64() * 1e3);
        vec![
            ("rooms", args.rooms.to_string()),
            ("publishers", args.publishers.to_string()),
            ("subscribers", args.subscribers.to_string()),
            ("video_kbps", args.video_kbps.to_string()),
            ("audio", args.audio.to_string()),
            ("simulcast", args.simulcast.to_string()),
            ("seconds", format!("{seconds:.3}")),
            ("packets_sent", totals.sent.to_string()),
            ("packets_received", totals.received.to_string()),
            ("packets_expected", totals.expected.to_string()),
            ("packets_lost", totals.lost().to_string()),
            ("packets_extra", totals.extra.to_string()),
            ("packets_refused", totals.refused.to_string()),
            ("packets_per_second", format!("{:.0}", totals.received as f64 / seconds)),
            ("received_mbps", format!("{:.3}", totals.received_bytes as f64 * 8e-6 / seconds)),
            ("silent_tracks", self.measured.silent_tracks.to_string()),
            ("latency_p50_ms", ms(latency.percentile(50.0))),
            ("latency_p90_ms", ms(latency.percentile(90.0))),
            ("latency_p99_ms", ms(latency.percentile(99.0))),
            ("latency_max_ms", ms(latency.max())),
            ("joined", self.joined.to_string()),
            ("failed_joins", self.failed_joins().to_string()),
            ("dropped_clients", self.dropped_clients().to_string()),
            ("connect_p50_ms", ms(self.connect_times.percentile(50.0))),
            ("connect_p99_ms", ms(self.connect_times.percentile(99.0))),
            ("media_p50_ms", ms(self.media_times.percentile(50.0))),
            ("media_p99_ms", ms(self.media_times.percentile(99.0))),
            ("server_joining_cpu_ms", or_empty(joining)),
            ("server_cpu_percent", percent_of_core(self.server)),
            ("server_us_per_packet", or_empty(self.server_us_per_packet())),
            ("server_rss_mib", or_empty(self.server.map(|usage| mib(usage.resident_bytes)))),
            ("server_threads", self.server.map_or_else(String::new, |usage| usage.threads.to_string())),
            ("tool_cpu_percent", percent_of_core(Some(self.own))),
            ("tool_us_per_packet", or_empty(self.own_us_per_packet())),
        ]
    }

    /// Two lines for machines: names, values.
    pub fn to_csv(&self) -> String {
        let (names, values): (Vec<_>, Vec<_>) = self.fields().into_iter().unzip();
        format!("{}\n{}\n", names.join(","), values.join(","))
    }
}

/// For people.
impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (totals, seconds) = (&self.measured.totals, self.measured_for.as_secs_f64().max(1e-9));
        let mut row = |name: &str, value: String| writeln!(f, "{name:<18} {value}");
        row("measured", format!("{seconds:.1} s, {} of {} clients", self.joined, self.args.clients()))?;
        row("sent", rate(totals.sent, totals.sent_bytes, seconds))?;
        row("received", rate(totals.received, totals.received_bytes, seconds))?;
        row("lost", format!("{} of {} ({:.3} %)", totals.lost(), totals.expected, totals.loss_percent()))?;
        row(
            "besides",
            format!(
                "{} repeated or padding, {} refused, {} tracks silent, {} keyframes and {} packets asked for",
                totals.extra,
                totals.refused,
                self.measured.silent_tracks,
                totals.keyframe_requests,
                totals.asked_again
            ),
        )?;
        row("latency", times(&self.measured.latency))?;
        row("join to connected", times(&self.connect_times))?;
        row("join to media", times(&self.media_times))?;
        for (name, reasons) in [("failed joins", &self.failed), ("thrown out", &self.dropped)] {
            row(name, tally(reasons))?;
        }
        if let (Some(joining), Some(server)) = (self.server_joining, self.server) {
            row(
                "server, joining",
                format!("{:.2} s of CPU, {:.1} MiB", joining.cpu.as_secs_f64(), mib(joining.resident_bytes)),
            )?;
            row("server", usage(&server, self.server_us_per_packet(), seconds))?;
        }
        row("this tool", usage(&self.own, self.own_us_per_packet(), seconds))
    }
}

/// The line of a moment.
#[derive(Debug, Clone, Copy)]
pub struct Live {
    /// Since the run began.
    pub elapsed: Duration,
    /// Clients that have joined, and all.
    pub joined: (u64, u64),
    /// Packets since the last line.
    pub totals: Totals,
    /// The time that it took.
    pub interval: Duration,
    /// The server's CPU in it.
    pub server_cpu: Option<Duration>,
}

impl fmt::Display for Live {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.interval.as_secs_f64().max(1e-9);
        let mut text = format!(
            "{:>5.0} s  {}/{} joined  sent {:>6.0}/s  received {:>7.0}/s  lost {:.2} %",
            self.elapsed.as_secs_f64(),
            self.joined.0,
            self.joined.1,
            self.totals.sent as f64 / seconds,
            self.totals.received as f64 / seconds,
            self.totals.loss_percent(),
        );
        if let Some(cpu) = self.server_cpu {
            write!(text, "  server {:.0} % CPU", cpu.as_secs_f64() * 100.0 / seconds)?;
        }
        f.write_str(&text)
    }
}

fn per_packet(cpu: Duration, packets: u64) -> Option<f64> {
    (packets > 0).then(|| cpu.as_secs_f64() * 1e6 / packets as f64)
}

fn mib(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}

fn rate(packets: u64, bytes: u64, seconds: f64) -> String {
    let (per_second, mbps) = (packets as f64 / seconds, bytes as f64 * 8e-6 / seconds);
    format!("{packets} packets, {per_second:.0}/s, {mbps:.1} Mbit/s")
}

fn times(histogram: &Histogram) -> String {
    let ms = |time: Option<Duration>| time.map_or(f64::NAN, |time| time.as_secs_f64() * 1e3);
    if histogram.count() == 0 {
        return "nothing measured".to_owned();
    }
    let [p50, p90, p99] = [50.0, 90.0, 99.0].map(|percent| ms(histogram.percentile(percent)));
    format!(
        "p50 {p50:.2} ms, p90 {p90:.2} ms, p99 {p99:.2} ms, max {:.2} ms ({})",
        ms(histogram.max()),
        histogram.count()
    )
}

fn usage(usage: &Usage, us_per_packet: Option<f64>, seconds: f64) -> String {
    let percent = usage.cpu.as_secs_f64() * 100.0 / seconds;
    let per_packet = us_per_packet.map_or_else(String::new, |us| format!("{us:.2} µs a received packet, "));
    format!(
        "{percent:.1} % of a core, {per_packet}{:.1} MiB, {} threads",
        mib(usage.resident_bytes),
        usage.threads
    )
}

fn tally(reasons: &BTreeMap<String, u64>) -> String {
    if reasons.is_empty() {
        return "0".to_owned();
    }
    let each: Vec<String> = reasons.iter().map(|(why, count)| format!("{count}: {why}")).collect();
    format!("{} ({})", reasons.values().sum::<u64>(), each.join("; "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn summary() -> Summary {
        let totals =
            Totals { sent: 100, expected: 1_000, received: 990, received_bytes: 99_000, ..Totals::default() };
        let usage = Usage { cpu: Duration::from_micros(1_980), resident_bytes: 3 << 20, threads: 4 };
        Summary {
            measured_for: Duration::from_secs(2),
            measured: Measured { totals, ..Measured::default() },
            joined: 9,
            failed: [("nobody answers".to_owned(), 2)].into(),
            server: Some(usage),
            server_joining: Some(usage),
            ..Summary::default()
        }
    }

    #[test]
    fn the_table_and_the_line_say_the_same() {
        let summary = summary();
        assert!(!summary.is_clean());
        assert_eq!(summary.server_us_per_packet(), Some(2.0));
        let fields: BTreeMap<_, _> = summary.fields().into_iter().collect();
        assert_eq!(fields["packets_lost"], "10");
        assert_eq!(fields["packets_per_second"], "495");
        assert_eq!(fields["server_us_per_packet"], "2.000");
        assert_eq!((fields["failed_joins"].as_str(), fields["latency_p50_ms"].as_str()), ("2", ""));
        let table = summary.to_string();
        for part in ["10 of 1000 (1.000 %)", "2.00 µs a received packet", "2 (2: nobody answers)"] {
            assert!(table.contains(part), "{part} in\n{table}");
        }
        let csv = summary.to_csv();
        let lines: Vec<usize> = csv.lines().map(|line| line.split(',').count()).collect();
        assert_eq!(lines, [fields.len(), fields.len()]);
    }

    #[test]
    fn the_live_line_has_rates() {
        let live = Live {
            elapsed: Duration::from_secs(3),
            joined: (4, 5),
            totals: Totals { sent: 50, received: 500, expected: 1_000, ..Totals::default() },
            interval: Duration::from_millis(500),
            server_cpu: Some(Duration::from_millis(50)),
        };
        let text = live.to_string();
        assert_eq!(
            text,
            "    3 s  4/5 joined  sent    100/s  received    1000/s  lost 50.00 %  server 10 % CPU"
        );
    }
}
