//! The flags and environment variables of the server binaries, as a pure function from texts to [`Settings`].
//!
//! Both runtimes have the same flags because both parse them here. Every flag has an environment variable of the same name
//! (`--rtc-port` is `SANSFU_RTC_PORT`; several values separated by commas); the flag wins.
mod activity;
mod flags;
mod log;
#[cfg(test)]
mod tests;

use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};

use super::{Secret, ServerConfig};
use crate::config::{CertificateSource, Config, ListenAddress, PortRange};
use crate::ortc::RtpCodecCapability;
use crate::room::Limits;
pub use activity::Activity;
use flags::{FLAGS, Flag};
pub use log::{LogLevel, LogTag, LogTags, SettingsUpdate};

/// What the names of environment variables begin with.
const PREFIX: &str = "SANSFU_";

/// The lowest port that a range may have: those below are for system services (RFC 6335 section 6).
const LOWEST_RTC_PORT: u16 = 1024;

/// mediasoup's `rtcMinPort`.
const DEFAULT_RTC_MIN_PORT: u16 = 10000;

/// mediasoup's `rtcMaxPort`.
const DEFAULT_RTC_MAX_PORT: u16 = 59999;

/// What a command line asks for.
#[derive(Debug, Clone)]
pub enum Command {
    /// Run the server.
    Run(Box<Settings>),
    /// Print this text about the flags, and end well.
    Help(String),
    /// Print this line, and end well.
    Version(String),
}

/// Everything that a server binary is told from outside.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The address of HTTP and WebSocket. 127.0.0.1:3000; port 0: any free one.
    pub http: SocketAddr,
    /// The IPv4 addresses for media.
    pub rtc_ipv4: RtcAddresses<Ipv4Addr>,
    /// The IPv6 addresses for media.
    pub rtc_ipv6: RtcAddresses<Ipv6Addr>,
    /// The UDP port of worker 0; worker i has this port plus i. 40000; 0: any free ones.
    pub rtc_port: u16,
    /// With this or [`Settings::rtc_max_port`] each transport has a UDP port of its own instead of one of those above: the lowest,
    /// 1024 or higher; 10000 if only the highest is given.
    pub rtc_min_port: Option<u16>,
    /// The highest; 59999 if only the lowest is given.
    pub rtc_max_port: Option<u16>,
    /// The address that clients are told instead of the IPv4 ones, for hosts behind a 1:1 NAT.
    pub rtc_announced_ipv4: Option<Ipv4Addr>,
    /// The address that clients are told instead of the IPv6 ones.
    pub rtc_announced_ipv6: Option<Ipv6Addr>,
    /// Workers, each with a thread and a port of its own; `None`: as many as the machine has cores.
    pub num_workers: Option<usize>,
    /// Whether each worker's thread stays on one core. Not by default: the host may have other things to do there.
    pub pin_workers: bool,
    /// A PEM file with the certificate for DTLS; `None`: a new one at every start.
    pub dtls_certificate_file: Option<PathBuf>,
    /// A PEM file with the private key of that certificate.
    pub dtls_private_key_file: Option<PathBuf>,
    /// A JSON file: an array of codec capabilities, as mediasoup's `mediaCodecs`.
    pub media_codecs: Option<PathBuf>,
    /// How much is logged. `info`.
    pub log_level: LogLevel,
    /// Which of the debug messages about the media machine are logged. All.
    pub log_tags: LogTags,
    /// A JSON file with a [`SettingsUpdate`]: what it says goes over the values here, at start and whenever it is read again.
    pub settings_file: Option<PathBuf>,
    /// Lets who has it throw peers out, see [`ServerConfig::admin_token`]. None.
    pub admin_token: Option<Secret>,
    /// HTTP connections at a time, WebSockets among them; more are refused with status 503. 10,000.
    pub max_connections: usize,
    /// Limits of rooms, sessions and resources, of each worker.
    pub limits: Limits,
    /// Settings of the media machine; its addresses and its certificate are filled in by [`Settings::server_config`].
    pub sfu: Config,
}

/// Where media is received, in one address family.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RtcAddresses<A> {
    /// On all the host's addresses, loopback last; not on link-local IPv6 addresses.
    Auto,
    /// Nowhere.
    Off,
    /// On these.
    List(Vec<A>),
}

/// What is in the files that the settings name.
#[derive(Debug, Clone)]
pub struct LoadedFiles {
    certificate: CertificateSource,
    media_codecs: Vec<RtpCodecCapability>,
}

/// What is wrong with a command line or a file that it names: one line, for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SettingsError {
    message: String,
}

/// Reads a command line and an environment.
///
/// `program` is the name of the binary, `arguments` what follows it, `environment` looks up a variable.
///
/// Errors: an unknown flag, a flag given twice, a value that is missing or cannot be read, values that contradict each other.
pub fn parse(
    program: &str,
    arguments: impl IntoIterator<Item = String>,
    environment: impl Fn(&str) -> Option<String>,
) -> Result<Command, SettingsError> {
    let mut settings = Settings::default();
    let mut given: Vec<&'static str> = Vec::new();
    let mut arguments = arguments.into_iter();
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--help" | "-h" => return Ok(Command::Help(help(program))),
            "--version" | "-V" => {
                return Ok(Command::Version(format!("{program} {}", env!("CARGO_PKG_VERSION"))));
            }
            _ => {}
        }
        let (name, value) = match argument.split_once('=') {
            Some((name, value)) => (name, Some(value.to_owned())),
            None => (argument.as_str(), None),
        };
        let flag = name.strip_prefix("--").and_then(find);
        let flag =
            flag.ok_or_else(|| SettingsError::new(format!("unknown flag '{name}', see {program} --help")))?;
        if given.contains(&flag.name) && !flag.repeatable {
            return Err(SettingsError::new(format!("--{} is given twice", flag.name)));
        }
        let value =
            value.or_else(|| arguments.next()).filter(|value| !value.is_empty() && !value.starts_with("--"));
        let value = value
            .ok_or_else(|| SettingsError::new(format!("--{} needs a value: {}", flag.name, flag.value)))?;
        flag.apply(&mut settings, &value)
            .map_err(|why| SettingsError::new(format!("--{}: {why}", flag.name)))?;
        given.push(flag.name);
    }
    for flag in FLAGS.iter().filter(|flag| !given.contains(&flag.name)) {
        let variable = flag.variable();
        let value = environment(&variable).filter(|value| !value.is_empty());
        for value in value.iter().flat_map(|value| flag.values(value)) {
            flag.apply(&mut settings, value)
                .map_err(|why| SettingsError::new(format!("{variable}: {why}")))?;
        }
    }
    settings.check()?;
    Ok(Command::Run(Box::new(settings)))
}

/// Which of the environment's variables look like settings and are none: to be warned about.
pub fn unknown_variables(names: impl IntoIterator<Item = String>) -> Vec<String> {
    let is_known = |name: &String| FLAGS.iter().any(|flag| flag.variable() == *name);
    names.into_iter().filter(|name| name.starts_with(PREFIX) && !is_known(name)).collect()
}

/// Reads the text of a `--media-codecs` file.
fn parse_media_codecs(text: &str) -> Result<Vec<RtpCodecCapability>, SettingsError> {
    let codecs: Vec<RtpCodecCapability> =
        serde_json::from_str(text).map_err(|error| SettingsError::new(error.to_string()))?;
    if codecs.is_empty() {
        return Err(SettingsError::new("the array is empty"));
    }
    Ok(codecs)
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            http: SocketAddr::from((Ipv4Addr::LOCALHOST, 3000)),
            rtc_ipv4: RtcAddresses::Auto,
            rtc_ipv6: RtcAddresses::Auto,
            rtc_port: 40000,
            rtc_min_port: None,
            rtc_max_port: None,
            rtc_announced_ipv4: None,
            rtc_announced_ipv6: None,
            num_workers: None,
            pin_workers: false,
            dtls_certificate_file: None,
            dtls_private_key_file: None,
            media_codecs: None,
            log_level: LogLevel::Info,
            log_tags: LogTags::ALL,
            settings_file: None,
            admin_token: None,
            max_connections: 10_000,
            limits: Limits::default(),
            sfu: Config::default(),
        }
    }
}

impl Settings {
    /// The addresses to bind, most preferred first, when the host has `interfaces`: IPv4 before IPv6, loopback last.
    ///
    /// Errors: there is none.
    pub fn rtc_addresses(&self, interfaces: &[IpAddr]) -> Result<Vec<IpAddr>, SettingsError> {
        let mut addresses: Vec<IpAddr> = Vec::new();
        match &self.rtc_ipv4 {
            RtcAddresses::Auto => addresses.extend(interfaces.iter().filter(|address| address.is_ipv4())),
            RtcAddresses::Off => {}
            RtcAddresses::List(list) => addresses.extend(list.iter().map(|address| IpAddr::V4(*address))),
        }
        match &self.rtc_ipv6 {
            RtcAddresses::Auto => {
                addresses.extend(interfaces.iter().filter(|address| is_offered_ipv6(address)))
            }
            RtcAddresses::Off => {}
            RtcAddresses::List(list) => addresses.extend(list.iter().map(|address| IpAddr::V6(*address))),
        }
        let mut unique: Vec<IpAddr> = Vec::new();
        for address in addresses {
            if !unique.contains(&address) {
                unique.push(address);
            }
        }
        unique.sort_by_key(IpAddr::is_loopback);
        if unique.is_empty() {
            return Err(SettingsError::new(
                "the host has no address for media; see --rtc-ipv4 and --rtc-ipv6",
            ));
        }
        Ok(unique)
    }

    /// What clients are told instead of `address`. Loopback addresses found by `auto` are told as they are.
    pub fn announced(&self, address: IpAddr) -> Option<IpAddr> {
        let (announced, is_auto) = match address {
            IpAddr::V4(_) => (self.rtc_announced_ipv4.map(IpAddr::V4), self.rtc_ipv4 == RtcAddresses::Auto),
            IpAddr::V6(_) => (self.rtc_announced_ipv6.map(IpAddr::V6), self.rtc_ipv6 == RtcAddresses::Auto),
        };
        announced.filter(|_| !(is_auto && address.is_loopback()))
    }

    /// Whether `address` was found by `auto`: one that cannot be bound may then be left out.
    pub fn is_automatic(&self, address: IpAddr) -> bool {
        match address {
            IpAddr::V4(_) => self.rtc_ipv4 == RtcAddresses::Auto,
            IpAddr::V6(_) => self.rtc_ipv6 == RtcAddresses::Auto,
        }
    }

    /// The UDP port of a worker; 0: any free one.
    ///
    /// Errors: there is no such port.
    pub fn rtc_port_of(&self, worker: usize) -> Result<u16, SettingsError> {
        if self.rtc_port == 0 {
            return Ok(0);
        }
        let port = u16::try_from(worker).ok().and_then(|worker| self.rtc_port.checked_add(worker));
        port.ok_or_else(|| {
            SettingsError::new(format!("--rtc-port {} leaves no port for worker {worker}", self.rtc_port))
        })
    }

    /// The ports for the transports of one of `workers`: an even share, from an even port to an odd one, as mediasoup has it.
    /// `None`: transports share the port of [`Settings::rtc_port_of`].
    ///
    /// Errors: a wrong range, or one that is too small for so many workers.
    pub fn rtc_ports_of(&self, worker: usize, workers: usize) -> Result<Option<PortRange>, SettingsError> {
        if self.rtc_min_port.is_none() && self.rtc_max_port.is_none() {
            return Ok(None);
        }
        let min = self.rtc_min_port.unwrap_or(DEFAULT_RTC_MIN_PORT);
        let max = self.rtc_max_port.unwrap_or(DEFAULT_RTC_MAX_PORT);
        if min < LOWEST_RTC_PORT || max < min {
            return Err(SettingsError::new(format!(
                "--rtc-min-port {min} to --rtc-max-port {max} is no range of ports from {LOWEST_RTC_PORT} on"
            )));
        }
        let first = usize::from(min).next_multiple_of(2);
        let pairs = (usize::from(max) + 1).saturating_sub(first) / 2;
        let port_of = |worker: usize| first + 2 * (pairs * worker / workers.max(1));
        let (start, end) = (port_of(worker), port_of(worker + 1));
        let range = u16::try_from(start).ok().zip(u16::try_from(end.saturating_sub(1)).ok());
        match range.and_then(|(start, end)| PortRange::new(start, end)) {
            Some(range) => Ok(Some(range)),
            None => Err(SettingsError::new(format!(
                "--rtc-min-port {min} to --rtc-max-port {max} leaves no two ports for worker {worker}"
            ))),
        }
    }

    /// Reads the files that are named, by `read`.
    ///
    /// Errors: a file that cannot be read, or is not what it should be.
    pub fn load(&self, read: impl Fn(&Path) -> io::Result<String>) -> Result<LoadedFiles, SettingsError> {
        let read = |flag: &str, path: &PathBuf| {
            let failed = |error| SettingsError::new(format!("--{flag} {}: {error}", path.display()));
            read(path).map_err(failed)
        };
        let certificate = match (&self.dtls_certificate_file, &self.dtls_private_key_file) {
            (Some(certificate), Some(private_key)) => CertificateSource::Pem {
                certificate: read("dtls-certificate-file", certificate)?,
                private_key: read("dtls-private-key-file", private_key)?,
            },
            _ => CertificateSource::Generated,
        };
        let media_codecs = match &self.media_codecs {
            Some(path) => parse_media_codecs(&read("media-codecs", path)?)
                .map_err(|error| SettingsError::new(format!("--media-codecs {}: {error}", path.display())))?,
            None => Vec::new(),
        };
        Ok(LoadedFiles { certificate, media_codecs })
    }

    /// Reads the settings file, if one is named, by `read`. Returns the settings with what it says, and the names in it that mean
    /// nothing.
    ///
    /// Errors: a file that cannot be read, or is not what it should be.
    pub fn with_file(
        &self,
        read: impl Fn(&Path) -> io::Result<String>,
    ) -> Result<(Settings, Vec<String>), SettingsError> {
        let mut settings = self.clone();
        let Some(path) = &self.settings_file else { return Ok((settings, Vec::new())) };
        let named = |error: &dyn fmt::Display| {
            SettingsError::new(format!("--settings-file {}: {error}", path.display()))
        };
        let text = read(path).map_err(|error| named(&error))?;
        let (update, unknown) = SettingsUpdate::parse(&text).map_err(|error| named(&error))?;
        settings.log_level = update.log_level.unwrap_or(settings.log_level);
        settings.log_tags = update.log_tags.unwrap_or(settings.log_tags);
        Ok((settings, unknown))
    }

    /// The configuration of one worker's server.
    pub fn server_config(&self, listen: Vec<ListenAddress>, files: &LoadedFiles) -> ServerConfig {
        let LoadedFiles { certificate, media_codecs } = files.clone();
        let sfu = Config { listen, certificate, max_routers: self.limits.max_rooms, ..self.sfu.clone() };
        let (limits, admin_token) = (self.limits.clone(), self.admin_token.clone());
        ServerConfig { sfu, media_codecs, limits, admin_token }
    }

    fn check(&self) -> Result<(), SettingsError> {
        if self.dtls_certificate_file.is_some() != self.dtls_private_key_file.is_some() {
            return Err(SettingsError::new(
                "--dtls-certificate-file and --dtls-private-key-file go together",
            ));
        }
        if self.rtc_ipv4 == RtcAddresses::Off && self.rtc_ipv6 == RtcAddresses::Off {
            return Err(SettingsError::new(
                "--rtc-ipv4 and --rtc-ipv6 are both off: no address is left for media",
            ));
        }
        if self.rtc_ipv4 == RtcAddresses::Off && self.rtc_announced_ipv4.is_some() {
            return Err(SettingsError::new("--rtc-announced-ipv4 is of no use while --rtc-ipv4 is off"));
        }
        if self.rtc_ipv6 == RtcAddresses::Off && self.rtc_announced_ipv6.is_some() {
            return Err(SettingsError::new("--rtc-announced-ipv6 is of no use while --rtc-ipv6 is off"));
        }
        let workers = self.num_workers.unwrap_or(1);
        // With the fewest pairs of ports is the first.
        self.rtc_ports_of(0, workers)?;
        self.rtc_port_of(workers.saturating_sub(1)).map(|_| ())
    }
}

impl SettingsError {
    /// An error that says `message`.
    pub fn new(message: impl Into<String>) -> Self {
        SettingsError { message: message.into() }
    }
}

impl fmt::Display for SettingsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for SettingsError {}

fn find(name: &str) -> Option<&'static Flag> {
    FLAGS.iter().find(|flag| flag.name == name)
}

fn help(program: &str) -> String {
    let mut text = format!("{program} {}: an SFU for WebRTC\n\n", env!("CARGO_PKG_VERSION"));
    text.push_str(&format!("Usage: {program} [FLAG VALUE]...\n\n"));
    let mut defaults = Settings::default();
    for flag in FLAGS {
        text.push_str(&format!("  --{} {}\n      {}", flag.name, flag.value, flag.help));
        match flag.default(&mut defaults) {
            Some(default) => text.push_str(&format!(" [{default}]\n")),
            None => text.push('\n'),
        }
    }
    text.push_str("  --help\n      This text.\n  --version\n      The version.\n\n");
    text.push_str(
        "Every flag can be given as an environment variable: --rtc-port is SANSFU_RTC_PORT. The flag wins. Unknown\n\
         flags are errors; unknown variables SANSFU_... and unknown names in a settings file are warned about.\n",
    );
    text
}

/// `fe80::/10` needs a zone to be reached (RFC 4007), which candidates cannot carry.
fn is_offered_ipv6(address: &IpAddr) -> bool {
    matches!(address, IpAddr::V6(address) if !address.is_unicast_link_local())
}
