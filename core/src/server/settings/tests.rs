use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use super::*;

fn try_parse(arguments: &[&str], environment: &[(&str, &str)]) -> Result<Command, SettingsError> {
    parse("sansfu", arguments.iter().map(|argument| (*argument).to_owned()), |name| {
        environment.iter().find(|(other, _)| *other == name).map(|(_, value)| (*value).to_owned())
    })
}

fn settings(arguments: &[&str], environment: &[(&str, &str)]) -> Settings {
    match try_parse(arguments, environment).unwrap() {
        Command::Run(settings) => *settings,
        other => panic!("{other:?}"),
    }
}

fn error(arguments: &[&str]) -> String {
    try_parse(arguments, &[]).unwrap_err().to_string()
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

#[test]
fn no_flags_give_the_documented_defaults() {
    let settings = settings(&[], &[]);
    assert_eq!(settings.http.to_string(), "127.0.0.1:3000");
    assert_eq!(settings.rtc_ipv4, RtcAddresses::Auto);
    assert_eq!(settings.rtc_ipv6, RtcAddresses::Auto);
    assert_eq!(settings.rtc_port, 40000);
    assert_eq!(settings.num_workers, None);
    assert!(!settings.pin_workers);
    assert_eq!(settings.log_level, LogLevel::Info);
    assert_eq!(settings.limits, Limits::default());
}

#[test]
fn every_flag_is_read_in_both_spellings() {
    let settings = settings(
        &[
            "--http=[::1]:8080",
            "--rtc-ipv4",
            "10.0.0.1",
            "--rtc-ipv4=127.0.0.1",
            "--rtc-ipv6",
            "off",
            "--rtc-port",
            "50000",
            "--rtc-announced-ipv4",
            "203.0.113.7",
            "--num-workers",
            "3",
            "--pin-workers",
            "on",
            "--dtls-certificate-file",
            "cert.pem",
            "--dtls-private-key-file",
            "key.pem",
            "--media-codecs",
            "codecs.json",
            "--log-level",
            "debug",
            "--max-body-bytes",
            "1000",
            "--ice-consent-timeout",
            "10",
            "--max-consumers-per-transport=7",
            "--admin-token",
            "abcdefgh-._~+/0123456789==",
        ],
        &[],
    );
    assert_eq!(settings.http.to_string(), "[::1]:8080");
    assert_eq!(settings.rtc_ipv4, RtcAddresses::List(vec![Ipv4Addr::new(10, 0, 0, 1), Ipv4Addr::LOCALHOST]));
    assert_eq!(settings.rtc_ipv6, RtcAddresses::Off);
    assert_eq!((settings.rtc_port_of(0), settings.rtc_port_of(2)), (Ok(50000), Ok(50002)));
    assert_eq!(settings.rtc_announced_ipv4, Some(Ipv4Addr::new(203, 0, 113, 7)));
    assert_eq!(settings.num_workers, Some(3));
    assert!(settings.pin_workers);
    assert_eq!(settings.dtls_private_key_file, Some(PathBuf::from("key.pem")));
    assert_eq!(settings.log_level, LogLevel::Debug);
    assert_eq!(settings.limits.max_body_bytes, 1000);
    assert_eq!(settings.sfu.ice_consent_timeout, Duration::from_secs(10));
    assert_eq!(settings.sfu.max_consumers_per_transport, 7);
    assert_eq!(settings.admin_token, Some(Secret::new("abcdefgh-._~+/0123456789==")));
}

#[test]
fn the_admin_token_is_shown_nowhere() {
    let token = "swordfish-swordfish-swordfish";
    let good = settings(&[], &[("SANSFU_ADMIN_TOKEN", token)]);
    let files = good.load(|_| panic!("no file is named")).unwrap();
    let config = good.server_config(Vec::new(), &files);
    assert_eq!((&config.admin_token, &good.admin_token), (&Some(Secret::new(token)), &config.admin_token));
    assert!(!format!("{good:?} {config:?}").contains("swordfish"));
    for wrong in [
        "swordfish",
        "sword fish sword fish sword fish",
        "swordfish=swordfish-swordfish",
        "schwertfisch-schwertfißch-1",
    ] {
        for told in [error(&["--admin-token", wrong]), {
            try_parse(&[], &[("SANSFU_ADMIN_TOKEN", wrong)]).unwrap_err().to_string()
        }] {
            assert!(told.contains("24 or more letters") && !told.contains(wrong), "{told}");
        }
    }
    assert_eq!(settings(&[], &[]).admin_token, None);
}

#[test]
fn the_environment_stands_in_for_flags_and_the_flag_wins() {
    let environment = [
        ("SANSFU_RTC_PORT", "41000"),
        ("SANSFU_RTC_IPV4", "10.0.0.1, 10.0.0.2"),
        ("SANSFU_HTTP", "0.0.0.0:80"),
        ("SANSFU_LOG_LEVEL", ""),
    ];
    let settings = settings(&["--http", "127.0.0.1:1"], &environment);
    assert_eq!(settings.rtc_port, 41000);
    assert_eq!(
        settings.rtc_ipv4,
        RtcAddresses::List(vec![Ipv4Addr::new(10, 0, 0, 1), Ipv4Addr::new(10, 0, 0, 2)])
    );
    assert_eq!(settings.http.to_string(), "127.0.0.1:1");
    assert_eq!(settings.log_level, LogLevel::Info);
    let wrong = try_parse(&[], &[("SANSFU_RTC_PORT", "many")]).unwrap_err().to_string();
    assert_eq!(wrong, "SANSFU_RTC_PORT: 'many' is not a port, 0 to 65535");
}

#[test]
fn wrong_command_lines_are_told_in_one_line_that_names_the_flag() {
    for (arguments, expected) in [
        (vec!["--htp", "x"], "'--htp'"),
        (vec!["http"], "'http'"),
        (vec!["--"], "'--'"),
        (vec!["--http", "localhost"], "--http: 'localhost'"),
        (vec!["--http"], "--http needs a value"),
        (vec!["--http="], "--http needs a value"),
        (vec!["--http", "--rtc-port", "1"], "--http needs a value"),
        (vec!["--rtc-port", "1", "--rtc-port", "1"], "--rtc-port is given twice"),
        (vec!["--rtc-port", "65536"], "--rtc-port: '65536'"),
        (vec!["--rtc-port", "65535", "--num-workers", "2"], "worker 1"),
        (vec!["--rtc-min-port", "1023"], "1023"),
        (vec!["--rtc-min-port", "65536"], "--rtc-min-port: '65536'"),
        (vec!["--rtc-min-port", "50000", "--rtc-max-port", "40000"], "no range"),
        (vec!["--rtc-min-port", "60000"], "no range"),
        (vec!["--rtc-min-port", "40001", "--rtc-max-port", "40002"], "no two ports for worker 0"),
        (vec!["--rtc-min-port=40000", "--rtc-max-port=40005", "--num-workers=4"], "no two ports"),
        (vec!["--rtc-ipv4", "::1"], "--rtc-ipv4: '::1'"),
        (vec!["--rtc-ipv6", "127.0.0.1"], "--rtc-ipv6: '127.0.0.1'"),
        (vec!["--rtc-ipv4", "0.0.0.0"], "auto"),
        (vec!["--rtc-ipv4", "1.1.1.1", "--rtc-ipv4", "auto"], "--rtc-ipv4: 'auto'"),
        (vec!["--rtc-ipv4", "off", "--rtc-ipv4", "1.1.1.1"], "'off'"),
        (vec!["--rtc-ipv4", "1.1.1.1", "--rtc-ipv4", "1.1.1.1"], "twice"),
        (vec!["--rtc-ipv4", "off", "--rtc-ipv6", "off"], "both off"),
        (vec!["--rtc-ipv6", "off", "--rtc-announced-ipv6", "::2"], "--rtc-announced-ipv6"),
        (vec!["--num-workers", "0"], "--num-workers: '0'"),
        (vec!["--num-workers", "-1"], "--num-workers: '-1'"),
        (vec!["--pin-workers", "yes"], "neither on nor off"),
        (vec!["--num-workers", "99999"], "1024"),
        (vec!["--log-level", "loud"], "--log-level: 'loud'"),
        (vec!["--log-tags", "ice,loud"], "--log-tags: 'loud' is not info, ice"),
        (vec!["--dtls-certificate-file", "x"], "go together"),
        (vec!["--max-rooms", "18446744073709551616"], "--max-rooms"),
        (vec!["--ice-consent-timeout", "1"], "--ice-consent-timeout"),
    ] {
        let error = error(&arguments);
        assert!(error.contains(expected), "{arguments:?}: {error}");
        assert!(!error.contains('\n'), "{error}");
    }
}

#[test]
fn help_names_every_flag_with_its_default() {
    let Command::Help(text) = try_parse(&["--rtc-port", "1", "--help"], &[]).unwrap() else {
        panic!("no help")
    };
    for flag in FLAGS {
        assert!(text.contains(&format!("  --{} ", flag.name)), "{}", flag.name);
    }
    assert!(
        text.contains("[127.0.0.1:3000]") && text.contains("[10000]") && text.contains("SANSFU_RTC_PORT")
    );
    let Command::Version(line) = try_parse(&["--version"], &[]).unwrap() else { panic!("no version") };
    assert_eq!(line, concat!("sansfu ", env!("CARGO_PKG_VERSION")));
}

#[test]
fn the_names_of_flags_are_unique() {
    for (index, flag) in FLAGS.iter().enumerate() {
        assert!(FLAGS[..index].iter().all(|other| other.name != flag.name), "{}", flag.name);
    }
}

#[test]
fn auto_offers_all_addresses_with_loopback_last_and_no_link_local_ipv6() {
    let host = ["127.0.0.1", "10.0.0.1", "::1", "fe80::1", "2001:db8::1", "10.0.0.1"].map(ip);
    let automatic = settings(&[], &[]);
    let expected = ["10.0.0.1", "2001:db8::1", "127.0.0.1", "::1"].map(ip);
    assert_eq!(automatic.rtc_addresses(&host).unwrap(), expected);
    let only_ipv4 = settings(&["--rtc-ipv6", "off"], &[]);
    assert_eq!(only_ipv4.rtc_addresses(&host).unwrap(), ["10.0.0.1", "127.0.0.1"].map(ip));
    let chosen = settings(&["--rtc-ipv4", "192.0.2.1", "--rtc-ipv6", "off"], &[]);
    assert_eq!(chosen.rtc_addresses(&host).unwrap(), [ip("192.0.2.1")]);
    assert!(only_ipv4.rtc_addresses(&[ip("::1")]).is_err());
}

#[test]
fn the_announced_address_replaces_all_but_automatic_loopback() {
    let automatic = settings(&["--rtc-announced-ipv4", "203.0.113.7"], &[]);
    assert_eq!(automatic.announced(ip("10.0.0.1")), Some(ip("203.0.113.7")));
    assert_eq!(automatic.announced(ip("127.0.0.1")), None);
    assert_eq!(automatic.announced(ip("2001:db8::1")), None);
    let chosen = settings(&["--rtc-ipv4", "127.0.0.1", "--rtc-announced-ipv4", "203.0.113.7"], &[]);
    assert_eq!(chosen.announced(ip("127.0.0.1")), Some(ip("203.0.113.7")));
}

#[test]
fn files_that_are_named_are_read_and_wrong_ones_are_told_with_their_name() {
    let opus = r#"[{"kind":"audio","mimeType":"audio/opus","clockRate":48000,"channels":2}]"#;
    let arguments =
        ["--media-codecs", "c.json", "--dtls-certificate-file", "c.pem", "--dtls-private-key-file", "k.pem"];
    let settings = settings(&arguments, &[]);
    let files = settings.load(|path| {
        Ok(if path == Path::new("c.json") { opus.to_owned() } else { path.display().to_string() })
    });
    let config = settings.server_config(Vec::new(), &files.unwrap());
    assert_eq!(config.media_codecs.len(), 1);
    let pem = CertificateSource::Pem { certificate: "c.pem".to_owned(), private_key: "k.pem".to_owned() };
    assert_eq!(config.sfu.certificate, pem);
    for wrong in ["", "{}", "[]", "null", "[1]", r#"[{"kind":"audio"}]"#] {
        let error = settings.load(|_| Ok(wrong.to_owned())).unwrap_err().to_string();
        assert!(error.starts_with("--media-codecs c.json: "), "{error}");
    }
    let error = settings.load(|_| Err(io::ErrorKind::NotFound.into())).unwrap_err().to_string();
    assert_eq!(error, "--dtls-certificate-file c.pem: entity not found");
    let none = super::Settings::default().load(|_| panic!("no file is named")).unwrap();
    assert_eq!(none.certificate, CertificateSource::Generated);
}

#[test]
fn the_range_of_ports_is_split_evenly_from_even_to_odd() {
    let shares = |arguments: &[&str], workers: usize| {
        let settings = settings(arguments, &[]);
        let share = |worker| {
            let range = settings.rtc_ports_of(worker, workers).unwrap().unwrap();
            (range.min(), range.max())
        };
        (0..workers).map(share).collect::<Vec<_>>()
    };
    let range =
        |min: &str, max: &str, workers| shares(&["--rtc-min-port", min, "--rtc-max-port", max], workers);
    assert_eq!(range("40000", "40099", 1), [(40000, 40099)]);
    assert_eq!(range("40000", "40099", 2), [(40000, 40049), (40050, 40099)]);
    assert_eq!(range("40001", "40010", 2), [(40002, 40005), (40006, 40009)], "odd ends are left out");
    assert_eq!(range("40000", "40009", 3), [(40000, 40001), (40002, 40005), (40006, 40009)]);
    assert_eq!(range("65534", "65535", 1), [(65534, 65535)]);
    assert_eq!(shares(&["--rtc-max-port", "10003"], 1), [(10000, 10003)]);
    assert_eq!(shares(&["--rtc-min-port", "59990"], 1), [(59990, 59999)]);
    assert_eq!(settings(&[], &[]).rtc_ports_of(0, 2), Ok(None));
    let few = settings(&["--rtc-min-port", "40000", "--rtc-max-port", "40003"], &[]);
    assert!(few.rtc_ports_of(0, 3).is_err());
}

#[test]
fn log_tags_are_a_list_that_replaces_all() {
    let settings = settings(&["--log-tags", "ice, dtls"], &[]);
    let named =
        [LogTag::Info, LogTag::Ice, LogTag::Dtls, LogTag::Rtx].map(|tag| settings.log_tags.contains(tag));
    assert_eq!(named, [false, true, true, false]);
    assert_eq!(LogTags::from_bits(settings.log_tags.to_bits()), settings.log_tags);
    assert_eq!(Settings::default().log_tags, LogTags::ALL);
}

#[test]
fn a_settings_file_goes_over_the_flags_and_unknown_names_in_it_are_told() {
    let settings = settings(&["--settings-file", "s.json", "--log-level", "error", "--log-tags=rtp"], &[]);
    let with = |text: &'static str| settings.with_file(|_| Ok(text.to_owned()));
    let (changed, unknown) = with(r#"{"logLevel":"debug","logTags":[],"numWorkers":4}"#).unwrap();
    assert_eq!((changed.log_level, changed.log_tags), (LogLevel::Debug, LogTags::NONE));
    assert_eq!(unknown, ["numWorkers"]);
    let (unchanged, _) = with("{}").unwrap();
    assert_eq!((unchanged.log_level, unchanged.log_tags), (LogLevel::Error, settings.log_tags));
    for (wrong, expected) in [
        ("", "EOF"),
        ("[]", "no JSON object"),
        (r#"{"logLevel":"loud"}"#, "logLevel: 'loud'"),
        (r#"{"logLevel":3}"#, "logLevel: 3 is no text"),
        (r#"{"logTags":"ice"}"#, "no array of texts"),
        (r#"{"logTags":["ice",1]}"#, "no array of texts"),
        (r#"{"logTags":["simulcast"]}"#, "'simulcast' is not"),
    ] {
        let error = with(wrong).unwrap_err().to_string();
        assert!(
            error.starts_with("--settings-file s.json: ") && error.contains(expected),
            "{wrong}: {error}"
        );
    }
    assert!(Settings::default().with_file(|_| panic!("no file is named")).is_ok());
}

#[test]
fn variables_that_are_no_settings_are_told() {
    let names = ["PATH", "SANSFU_RTC_PORT", "SANSFU_RTC_PROT", "SANSFU_LOG_TAGS"].map(str::to_owned);
    assert_eq!(unknown_variables(names), ["SANSFU_RTC_PROT"]);
}
