//! The table of flags: names, help and what each one sets.
use std::net::IpAddr;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use super::{LogLevel, LogTags, PREFIX, RtcAddresses, Secret, Settings};

/// One flag.
pub(super) struct Flag {
    /// Its name without dashes.
    pub(super) name: &'static str,
    /// What its value is, for people.
    pub(super) value: &'static str,
    /// What it is for.
    pub(super) help: &'static str,
    /// Whether it may be given more than once.
    pub(super) repeatable: bool,
    target: Target,
}

/// What a flag sets.
enum Target {
    /// Anything; the text is its default, for people.
    Text(Option<&'static str>, fn(&mut Settings, &str) -> Result<(), String>),
    /// A positive number.
    Number(fn(&mut Settings) -> &mut usize),
}

impl Flag {
    /// Sets what the flag is for.
    pub(super) fn apply(&self, settings: &mut Settings, value: &str) -> Result<(), String> {
        match &self.target {
            Target::Text(_, apply) => apply(settings, value),
            Target::Number(field) => {
                *field(settings) = positive(value)?;
                Ok(())
            }
        }
    }

    /// The environment variable of the same name.
    pub(super) fn variable(&self) -> String {
        format!("{PREFIX}{}", self.name.replace('-', "_").to_ascii_uppercase())
    }

    /// The values in an environment variable: several for a repeatable flag.
    pub(super) fn values<'a>(&self, value: &'a str) -> Vec<&'a str> {
        if self.repeatable { value.split(',').map(str::trim).collect() } else { vec![value] }
    }

    /// The default, for people.
    pub(super) fn default(&self, settings: &mut Settings) -> Option<String> {
        match &self.target {
            Target::Text(default, _) => default.map(str::to_owned),
            Target::Number(field) => Some(field(settings).to_string()),
        }
    }
}

const fn text(
    name: &'static str,
    value: &'static str,
    help: &'static str,
    default: Option<&'static str>,
    apply: fn(&mut Settings, &str) -> Result<(), String>,
) -> Flag {
    Flag { name, value, help, repeatable: false, target: Target::Text(default, apply) }
}

const fn number(name: &'static str, help: &'static str, field: fn(&mut Settings) -> &mut usize) -> Flag {
    Flag { name, value: "NUMBER", help, repeatable: false, target: Target::Number(field) }
}

const fn repeatable(mut flag: Flag) -> Flag {
    flag.repeatable = true;
    flag
}

/// All flags but `--help` and `--version`.
pub(super) const FLAGS: &[Flag] = &[
    text(
        "http",
        "ADDRESS:PORT",
        "Where the page, HTTP and WebSocket are served.",
        Some("127.0.0.1:3000"),
        |s, v| {
            s.http = parsed(v, "an address with a port, such as 127.0.0.1:3000 or [::1]:3000")?;
            Ok(())
        },
    ),
    repeatable(text(
        "rtc-ipv4",
        "ADDRESS|auto|off",
        "An IPv4 address for media (repeatable); auto: all the host's, loopback last.",
        Some("auto"),
        |s, v| add_address(&mut s.rtc_ipv4, v, "an IPv4 address, auto or off"),
    )),
    repeatable(text(
        "rtc-ipv6",
        "ADDRESS|auto|off",
        "An IPv6 address for media (repeatable); auto: all the host's but link-local ones.",
        Some("auto"),
        |s, v| add_address(&mut s.rtc_ipv6, v, "an IPv6 address, auto or off"),
    )),
    text(
        "rtc-port",
        "PORT",
        "The UDP port of worker 0; worker i has PORT + i. 0: any free ones.",
        Some("40000"),
        |s, v| {
            s.rtc_port = parsed(v, "a port, 0 to 65535")?;
            Ok(())
        },
    ),
    text(
        "rtc-min-port",
        "PORT",
        "Gives each transport a UDP port of its own from here on, 1024 or higher, instead of --rtc-port.",
        Some("10000 with --rtc-max-port"),
        |s, v| {
            s.rtc_min_port = Some(parsed(v, "a port, 1024 to 65535")?);
            Ok(())
        },
    ),
    text(
        "rtc-max-port",
        "PORT",
        "The last of those ports; workers have even shares, from an even port to an odd one.",
        Some("59999 with --rtc-min-port"),
        |s, v| {
            s.rtc_max_port = Some(parsed(v, "a port, 1024 to 65535")?);
            Ok(())
        },
    ),
    text(
        "rtc-announced-ipv4",
        "ADDRESS",
        "Told to clients instead of the IPv4 addresses (1:1 NAT).",
        None,
        |s, v| {
            s.rtc_announced_ipv4 = Some(parsed(v, "an IPv4 address")?);
            Ok(())
        },
    ),
    text("rtc-announced-ipv6", "ADDRESS", "Told to clients instead of the IPv6 addresses.", None, |s, v| {
        s.rtc_announced_ipv6 = Some(parsed(v, "an IPv6 address")?);
        Ok(())
    }),
    text(
        "num-workers",
        "NUMBER",
        "Worker threads, each with a UDP port.",
        Some("one for each core"),
        |s, v| {
            let number = positive(v)?;
            if number > 1024 {
                return Err(format!("'{v}' is more than 1024"));
            }
            s.num_workers = Some(number);
            Ok(())
        },
    ),
    text("pin-workers", "on|off", "Keeps each worker's thread on one core.", Some("off"), |s, v| {
        s.pin_workers = match v {
            "on" => true,
            "off" => false,
            _ => return Err(format!("'{v}' is neither on nor off")),
        };
        Ok(())
    }),
    text(
        "dtls-certificate-file",
        "FILE",
        "PEM certificate (ECDSA) for DTLS.",
        Some("a new one at start"),
        |s, v| {
            s.dtls_certificate_file = Some(PathBuf::from(v));
            Ok(())
        },
    ),
    text("dtls-private-key-file", "FILE", "PEM private key of that certificate.", None, |s, v| {
        s.dtls_private_key_file = Some(PathBuf::from(v));
        Ok(())
    }),
    text(
        "media-codecs",
        "FILE",
        "JSON array of codecs, as mediasoup's mediaCodecs.",
        Some("all known"),
        |s, v| {
            s.media_codecs = Some(PathBuf::from(v));
            Ok(())
        },
    ),
    text("log-level", "LEVEL", "off, error, warn, info, debug or trace.", Some("info"), |s, v| {
        s.log_level = LogLevel::parse(v)?;
        Ok(())
    }),
    text(
        "log-tags",
        "TAG,...",
        "Debug messages about media: info, ice, dtls, rtp, srtp, rtcp, rbe, rtx.",
        Some("all"),
        |s, v| {
            s.log_tags = LogTags::parse(v.split(',').map(str::trim))?;
            Ok(())
        },
    ),
    text(
        "settings-file",
        "FILE",
        "JSON with logLevel and logTags; wins over flags, and is read again at SIGHUP.",
        None,
        |s, v| {
            s.settings_file = Some(PathBuf::from(v));
            Ok(())
        },
    ),
    text(
        "admin-token",
        "TOKEN",
        "Lets who has it throw peers out. Better by SANSFU_ADMIN_TOKEN: all users can see command lines.",
        Some("nobody can"),
        |s, v| {
            s.admin_token = Some(token(v)?);
            Ok(())
        },
    ),
    text(
        "ice-consent-timeout",
        "SECONDS",
        "A client that is silent for longer is gone; 5 to 3600.",
        Some("30"),
        |s, v| {
            let seconds = v.parse::<u64>().ok().filter(|seconds| (5..=3600).contains(seconds));
            let seconds =
                seconds.ok_or_else(|| format!("'{v}' is not a number of seconds from 5 to 3600"))?;
            s.sfu.ice_consent_timeout = Duration::from_secs(seconds);
            Ok(())
        },
    ),
    number("max-connections", "HTTP connections at a time, WebSockets among them.", |s| {
        &mut s.max_connections
    }),
    number("max-rooms", "Rooms of a worker.", |s| &mut s.limits.max_rooms),
    number("max-peers-per-room", "Peers of a room.", |s| &mut s.limits.max_peers_per_room),
    number("max-viewers-per-room", "Viewers of a room that are no peers.", |s| {
        &mut s.limits.max_viewers_per_room
    }),
    number("max-transports-per-peer", "Transports of a peer.", |s| &mut s.limits.max_transports_per_peer),
    number("max-transports-per-router", "Transports of a room.", |s| &mut s.sfu.max_transports_per_router),
    number("max-producers-per-transport", "Producers of a transport.", |s| {
        &mut s.sfu.max_producers_per_transport
    }),
    number("max-consumers-per-transport", "Consumers of a transport.", |s| {
        &mut s.sfu.max_consumers_per_transport
    }),
    number("max-message-bytes", "The longest WebSocket message.", |s| &mut s.limits.max_message_bytes),
    number("max-body-bytes", "The longest HTTP body.", |s| &mut s.limits.max_body_bytes),
    number("max-requests-in-flight-per-session", "Requests to a client that await its answer.", |s| {
        &mut s.limits.max_requests_in_flight_per_session
    }),
    number("max-queued-messages-per-session", "Messages queued for a client; more close its session.", |s| {
        &mut s.limits.max_queued_messages_per_session
    }),
    number("max-queued-bytes-per-session", "The bytes of those messages.", |s| {
        &mut s.limits.max_queued_bytes_per_session
    }),
    number("max-app-data-bytes", "The application data of a producer.", |s| &mut s.limits.max_app_data_bytes),
    number("max-name-bytes", "A display name.", |s| &mut s.limits.max_name_bytes),
];

/// The shortest token: 96 bits in hexadecimal digits.
const MIN_TOKEN_CHARS: usize = 24;

/// A token that HTTP can carry (RFC 6750 section 2.1, `b64token`). What is wrong with one is told without it.
fn token(value: &str) -> Result<Secret, String> {
    let is_allowed =
        |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~' | b'+' | b'/');
    if value.len() < MIN_TOKEN_CHARS || !value.trim_end_matches('=').bytes().all(is_allowed) {
        return Err(format!("a token is {MIN_TOKEN_CHARS} or more letters, digits and -._~+/, then any ="));
    }
    Ok(Secret::new(value))
}

fn parsed<T: FromStr>(value: &str, what: &str) -> Result<T, String> {
    value.parse().map_err(|_| format!("'{value}' is not {what}"))
}

fn positive(value: &str) -> Result<usize, String> {
    let number = value.parse::<usize>().ok().filter(|number| *number > 0);
    number.ok_or_else(|| format!("'{value}' is not a number above 0"))
}

fn add_address<A: FromStr + PartialEq + Copy + Into<IpAddr>>(
    addresses: &mut RtcAddresses<A>,
    value: &str,
    what: &str,
) -> Result<(), String> {
    let address = match value {
        "auto" | "off" => {
            if *addresses != RtcAddresses::Auto {
                return Err(format!("'{value}' does not go together with other values"));
            }
            *addresses = if value == "off" { RtcAddresses::Off } else { RtcAddresses::Auto };
            return Ok(());
        }
        _ => parsed::<A>(value, what)?,
    };
    if address.into().is_unspecified() {
        return Err(format!("'{value}' is no address that clients can reach; say auto for all the host's"));
    }
    match addresses {
        RtcAddresses::Off => Err("'off' does not go together with other values".to_owned()),
        RtcAddresses::List(list) if list.contains(&address) => Err(format!("'{value}' is given twice")),
        RtcAddresses::List(list) => {
            list.push(address);
            Ok(())
        }
        RtcAddresses::Auto => {
            *addresses = RtcAddresses::List(vec![address]);
            Ok(())
        }
    }
}
