//! A server binary from outside: flags, exit status, signals. The test files of both runtimes include this.
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use super::{BINARY, PROGRAM};

const LOOPBACK: [&str; 8] =
    ["--http", "127.0.0.1:0", "--rtc-ipv4", "127.0.0.1", "--rtc-ipv6", "off", "--rtc-port", "0"];

fn run(arguments: &[&str]) -> Output {
    Command::new(BINARY).args(arguments).output().unwrap()
}

/// Starts a server on loopback and waits until it says where it listens.
fn start(arguments: &[&str]) -> (Child, String) {
    let mut command = Command::new(BINARY);
    command
        .args(LOOPBACK)
        .args(["--num-workers", "2"])
        .args(arguments)
        .env("NO_COLOR", "1")
        .stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let line = lines.next().unwrap().unwrap();
    // The rest must be read, lest the server finds a closed pipe.
    std::thread::spawn(move || lines.for_each(drop));
    let address = line.split("http://").nth(1).unwrap().split('/').next().unwrap().to_owned();
    (child, address)
}

fn health(address: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    stream.write_all(b"GET /health HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    text
}

fn ends_well_after(signal: &str) {
    let (mut child, address) = start(&[]);
    assert!(health(&address).starts_with("HTTP/1.1 200"));
    let begin = Instant::now();
    assert!(Command::new("kill").args([signal, &child.id().to_string()]).status().unwrap().success());
    assert_eq!(child.wait().unwrap().code(), Some(0));
    assert!(begin.elapsed() < Duration::from_secs(2), "{:?}", begin.elapsed());
    assert!(TcpStream::connect(address).is_err());
}

#[test]
fn sigterm_and_sigint_end_it_well() {
    ends_well_after("-TERM");
    ends_well_after("-INT");
}

#[test]
fn help_and_version_go_to_standard_output() {
    let help = run(&["--help"]);
    assert_eq!(help.status.code(), Some(0));
    let text = String::from_utf8(help.stdout).unwrap();
    assert!(text.starts_with(PROGRAM) && text.contains("--rtc-announced-ipv4"), "{text}");
    let version = run(&["--version"]);
    assert_eq!(version.status.code(), Some(0));
    assert_eq!(
        String::from_utf8(version.stdout).unwrap(),
        format!("{PROGRAM} {}\n", env!("CARGO_PKG_VERSION"))
    );
}

#[test]
fn what_is_wrong_is_one_line_and_exit_status_2() {
    let holder = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = holder.local_addr().unwrap().to_string();
    for arguments in [
        vec!["--no-such-flag", "1"],
        vec!["stray"],
        vec!["--http"],
        vec!["--http", "a", "--http", "b"],
        vec!["--http", "nowhere"],
        vec!["--http", &taken],
        vec!["--http", "127.0.0.1:0", "--rtc-ipv6", "off", "--rtc-ipv4", "192.0.2.1"],
        vec!["--http", "127.0.0.1:0", "--media-codecs", "/no/such/file"],
        vec!["--http", "127.0.0.1:0", "--media-codecs", "/dev/null"],
        vec!["--dtls-certificate-file", "/dev/null"],
        vec!["--rtc-min-port", "80"],
        vec!["--settings-file", "/no/such/file"],
        vec!["--settings-file", "/dev/null"],
    ] {
        let output = run(&arguments);
        let told = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {told}");
        assert!(told.starts_with(&format!("{PROGRAM}: ")), "{arguments:?}: {told}");
        assert_eq!(told.trim_end().lines().count(), 1, "{arguments:?}: {told}");
        assert!(output.stdout.is_empty());
    }
}

#[test]
fn the_environment_is_read() {
    let output = Command::new(BINARY).env("SANSFU_RTC_PORT", "none").output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8(output.stderr).unwrap().contains("SANSFU_RTC_PORT"));
}

#[test]
fn a_settings_file_is_read_again_at_sighup() {
    let file = std::env::temp_dir().join(format!("{PROGRAM}-settings-{}.json", std::process::id()));
    let write = |text: &str| std::fs::write(&file, text).unwrap();
    write(r#"{"logLevel":"info"}"#);
    let mut command = Command::new(BINARY);
    command.args(LOOPBACK).args(["--log-level", "warn", "--settings-file", file.to_str().unwrap()]);
    command.env("SANSFU_RTC_PROT", "1").env("NO_COLOR", "1").stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let (sender, lines) = std::sync::mpsc::channel();
    let reader = BufReader::new(child.stderr.take().unwrap()).lines();
    let reader =
        std::thread::spawn(move || reader.map_while(Result::ok).for_each(|line| drop(sender.send(line))));
    let expect = |text: &str| {
        let line = lines.recv_timeout(Duration::from_secs(20)).unwrap_or_else(|_| panic!("no line '{text}'"));
        assert!(line.contains(text), "'{text}' expected: {line}");
    };
    let signal = |name: &str| {
        assert!(Command::new("kill").args([name, &child.id().to_string()]).status().unwrap().success());
    };
    expect("SANSFU_RTC_PROT");
    // Of level info: the file goes over the flag.
    expect("http://");
    write(r#"{"logLevel":"debug","logTags":["ice"],"numWorkers":9}"#);
    signal("-HUP");
    expect("'numWorkers'");
    expect("settings read again log_level=\"debug\" log_tags={Ice}");
    write("no JSON");
    signal("-HUP");
    expect("settings stay as they are: --settings-file");
    // What the file does not say is as at the start: warnings only, not even word of the end.
    write(r#"{"odd":1}"#);
    signal("-HUP");
    expect("'odd'");
    signal("-TERM");
    assert_eq!(child.wait().unwrap().code(), Some(0));
    reader.join().unwrap();
    assert_eq!(lines.iter().collect::<Vec<_>>(), Vec::<String>::new());
    std::fs::remove_file(file).unwrap();
}
