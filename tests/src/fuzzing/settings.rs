//! The command line, the environment and the files of the server binaries.
use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use sansfu::server::settings::{Command, Settings, SettingsError, parse, unknown_variables};

/// Workers that are looked at.
const MAX_WORKERS: usize = 40;

/// A line is an argument, or a variable if it begins like one; what follows an empty line is in every file that is named.
pub fn settings(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let (lines, file) = text.split_once("\n\n").unwrap_or((&text, ""));
    let (variables, arguments): (Vec<&str>, Vec<&str>) =
        lines.lines().partition(|line| line.starts_with("SANSFU_"));
    let variables: Vec<(&str, &str)> = variables.iter().filter_map(|line| line.split_once('=')).collect();
    let names: BTreeSet<&str> = variables.iter().map(|(name, _)| *name).collect();
    let unknown = unknown_variables(names.iter().map(|&name| name.to_owned()));
    assert!(unknown.iter().all(|name| names.contains(name.as_str())));

    match read(&arguments, &variables) {
        Ok(Command::Run(settings)) => check(&settings, file),
        Ok(Command::Help(text) | Command::Version(text)) => assert!(text.contains("fuzz")),
        Err(error) => assert!(!error.to_string().is_empty()),
    }
    if variables.is_empty() {
        by_environment(&arguments);
    }
}

fn read(arguments: &[&str], variables: &[(&str, &str)]) -> Result<Command, SettingsError> {
    let arguments = arguments.iter().map(|&argument| argument.to_owned());
    parse("fuzz", arguments, |name| {
        variables.iter().find(|(other, _)| *other == name).map(|(_, value)| (*value).to_owned())
    })
}

/// Flags that are there once, each with its value, mean the same as variables.
fn by_environment(arguments: &[&str]) {
    let Some(variables) = arguments.iter().map(|argument| as_variable(argument)).collect::<Option<Vec<_>>>()
    else {
        return;
    };
    let names: BTreeSet<&String> = variables.iter().map(|(name, _)| name).collect();
    if names.len() < variables.len() || !unknown_variables(names.into_iter().cloned()).is_empty() {
        return;
    }
    let variables: Vec<(&str, &str)> =
        variables.iter().map(|(name, value)| (name.as_str(), *value)).collect();
    match (read(arguments, &[]), read(&[], &variables)) {
        (Ok(Command::Run(one)), Ok(Command::Run(two))) => assert_eq!(format!("{one:?}"), format!("{two:?}")),
        (Err(_), Err(_)) => {}
        (one, two) => panic!("{one:?} as flags, {two:?} as variables"),
    }
}

fn as_variable(argument: &str) -> Option<(String, &str)> {
    let (name, value) = argument.strip_prefix("--")?.split_once('=')?;
    let is_name = name.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-'));
    // Values of variables are split at commas.
    let is_value =
        !value.is_empty() && !value.starts_with("--") && !value.contains(',') && value.trim() == value;
    (is_name && is_value).then(|| (format!("SANSFU_{}", name.replace('-', "_").to_uppercase()), value))
}

/// What follows from settings that were taken.
fn check(settings: &Settings, file: &str) {
    let workers = settings.num_workers.unwrap_or(1);
    let mut last = 0;
    for worker in 0..workers.min(MAX_WORKERS) {
        settings.rtc_port_of(worker).expect("a port for each worker");
        if let Some(range) = settings.rtc_ports_of(worker, workers).expect("ports for each worker") {
            assert!(last < range.min() && range.min() < range.max(), "shares that overlap");
            last = range.max();
        }
    }
    let interfaces = [
        IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)),
        IpAddr::V6(Ipv6Addr::LOCALHOST),
        IpAddr::V6(Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 1)),
        IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1)),
    ];
    let addresses = settings.rtc_addresses(&interfaces).expect("there are some");
    assert!(addresses.is_sorted_by_key(IpAddr::is_loopback), "loopback comes last");
    assert_eq!(addresses.iter().collect::<BTreeSet<_>>().len(), addresses.len(), "none twice");
    for &address in &addresses {
        let announced = settings.announced(address);
        assert!(announced.is_none_or(|other| other.is_ipv4() == address.is_ipv4()));
        assert!(interfaces.contains(&address) || !settings.is_automatic(address));
    }
    if let Ok((changed, _)) = settings.with_file(|_| Ok(file.to_owned())) {
        assert!(settings.settings_file.is_some() || changed.log_level == settings.log_level);
    }
    if let Ok(files) = settings.load(|_| Ok(file.to_owned())) {
        let config = settings.server_config(Vec::new(), &files);
        assert_eq!(config.sfu.max_routers, settings.limits.max_rooms);
    }
}
