//! Which regions of the core's code the simulations and the fuzz corpora reach, without its unit tests.
//!
//! ```sh
//! cargo run --package sansfu-tests --bin coverage             # fails below a goal, and above a ceiling
//! cargo run --package sansfu-tests --bin coverage -- --lower  # lowers what is allowed to what was measured
//! ```
//!
//! A region is a piece of code that runs as a whole: a line with a `?` in it has two, and is reached when both are.
//! `fuzz/uncovered.txt` says how many uncovered regions each file may have. The program only lowers these numbers; whoever has to
//! raise one does it by hand, and says why in the commit.
//!
//! Needs `llvm-profdata` and `llvm-cov` of rustc's LLVM version: `rustup component add llvm-tools`, or Debian's `llvm-22`.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a tool of the tests: it ends with what went wrong"
)]
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use serde_json::Value;

/// Integration tests that are left out: one counts allocations, one runs real sockets and clocks, one reads the sources.
const LEFT_OUT: &[&str] = &["allocations", "runtimes", "tidy"];

/// What is to be reached, in percent of the regions, of which parts of the core.
const GOALS: &[(&str, &[&str], f64)] =
    &[("wire", &["wire/"], 95.0), ("ortc", &["ortc/"], 95.0), ("core", &[""], 85.0)];

/// What the simulation runs, besides the seeds in its integration tests: those that `tests/run` always runs.
const SEEDS: &[&str] = &["--file", "seeds.txt", "--seeds", "64"];

/// Head of the list.
const HEAD: &str = "\
# Regions of the core's code that neither the simulations nor the fuzz corpora reach: ceilings that only go down.
# Compared and lowered by tests/src/bin/coverage.rs, which says how.
";

fn main() -> ExitCode {
    let arguments: Vec<OsString> = std::env::args_os().skip(1).collect();
    match arguments.first() {
        // Cargo calls its rustc wrapper with the path of rustc in front.
        Some(first) if Path::new(first).file_stem().is_some_and(|name| name == "rustc") => {
            instrumented_rustc(&arguments)
        }
        None => measure(false),
        Some(option) if option == "--lower" => measure(true),
        Some(_) => {
            eprintln!("usage: coverage [--lower]");
            ExitCode::FAILURE
        }
    }
}

/// What this program is when cargo calls it: rustc with instrumentation. As a *workspace* wrapper it leaves the dependencies as
/// they are, so that they need not be built again and cryptography does not get slow. What debuggers need takes long to link and is
/// of no use here.
fn instrumented_rustc(arguments: &[OsString]) -> ExitCode {
    let status = Command::new(&arguments[0])
        .args(&arguments[1..])
        .args(["-C", "instrument-coverage", "-C", "debuginfo=0"])
        .status();
    if status.expect("rustc runs").success() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn measure(lower: bool) -> ExitCode {
    let scratch = std::env::temp_dir().join(format!("sansfu-coverage-{}", std::process::id()));
    fs::create_dir_all(&scratch).unwrap();
    let runs = build();
    let profiles = run_all(&runs, &scratch);
    let files = region_counts(&runs, &profiles, &scratch);
    fs::remove_dir_all(&scratch).unwrap();
    let goals_are_reached = report_goals(&files);
    let list = root().join("fuzz/uncovered.txt");
    let ceilings = read_list(&fs::read_to_string(&list).unwrap_or_default());
    let uncovered: BTreeMap<String, u64> =
        files.into_iter().map(|(name, regions)| (name, regions.count - regions.covered)).collect();
    if lower {
        fs::write(&list, write_list(&lowered(&ceilings, &uncovered))).unwrap();
    }
    let code = report_ceilings(&ceilings, &uncovered);
    if goals_are_reached { code } else { ExitCode::FAILURE }
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("in the workspace").to_path_buf()
}

/// What is run to be measured.
struct Run {
    executable: PathBuf,
    arguments: &'static [&'static str],
}

/// Builds the integration tests and the simulation with instrumentation.
fn build() -> Vec<Run> {
    // Cargo will put an instrumented build in this program's place. The name stays, or everything would be built every time.
    let this = std::env::current_exe().unwrap();
    let wrapper = this.with_file_name("coverage-rustc");
    fs::copy(this, &wrapper).unwrap();
    let mut command = Command::new(env!("CARGO"));
    command.current_dir(root()).env("RUSTC_WORKSPACE_WRAPPER", wrapper);
    command.args(["test", "--workspace", "--no-run", "--message-format=json-render-diagnostics"]);
    for name in test_names() {
        command.args(["--test", &name]);
    }
    let messages = output_of(&mut command);
    let artifacts = messages.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
    let run = |artifact: Value| {
        let source = Path::new(artifact["target"]["src_path"].as_str()?);
        let source = source.strip_prefix(env!("CARGO_MANIFEST_DIR")).ok()?;
        let arguments = match source {
            _ if source.starts_with("tests") => &[][..],
            _ if source == Path::new("src/bin/sim.rs") => SEEDS,
            _ => return None,
        };
        Some(Run { executable: artifact["executable"].as_str()?.into(), arguments })
    };
    artifacts.filter_map(run).collect()
}

/// The integration tests of this package.
fn test_names() -> Vec<String> {
    let entries = fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests")).unwrap();
    let files =
        entries.map(|entry| entry.unwrap().path()).filter(|path| path.extension().is_some_and(|e| e == "rs"));
    let names = files.map(|path| path.file_stem().unwrap().to_string_lossy().into_owned());
    let mut names: Vec<String> = names.filter(|name| !LEFT_OUT.contains(&name.as_str())).collect();
    names.sort();
    names
}

fn run_all(runs: &[Run], scratch: &Path) -> Vec<PathBuf> {
    let mut profiles = Vec::new();
    for (number, Run { executable, arguments }) in runs.iter().enumerate() {
        let profile = scratch.join(format!("{number}.profraw"));
        let mut command = Command::new(executable);
        command.args(*arguments).current_dir(env!("CARGO_MANIFEST_DIR")).env("LLVM_PROFILE_FILE", &profile);
        let status = command.status().expect("it runs");
        assert!(status.success(), "{} failed", executable.display());
        profiles.push(profile);
    }
    profiles
}

/// Regions of one file.
#[derive(Clone, Copy, Default)]
struct Regions {
    count: u64,
    covered: u64,
}

/// The regions of every file of the core, named from `core/src`.
fn region_counts(runs: &[Run], profiles: &[PathBuf], scratch: &Path) -> BTreeMap<String, Regions> {
    let merged = scratch.join("merged.profdata");
    output_of(llvm("llvm-profdata").args(["merge", "--sparse", "--output"]).arg(&merged).args(profiles));
    let mut export = llvm("llvm-cov");
    export.args(["export", "--summary-only", "--instr-profile"]).arg(&merged);
    for run in runs {
        export.arg("--object").arg(&run.executable);
    }
    let exported: Value = serde_json::from_str(&output_of(&mut export)).expect("JSON");
    let mut files = BTreeMap::new();
    for file in exported["data"][0]["files"].as_array().expect("a list of files") {
        let path = Path::new(file["filename"].as_str().expect("a path"));
        let Ok(name) = path.strip_prefix(root().join("core/src")) else { continue };
        let regions = &file["summary"]["regions"];
        let number = |key: &str| regions[key].as_u64().expect("a number");
        let name = name.to_string_lossy().into_owned();
        files.insert(name, Regions { count: number("count"), covered: number("covered") });
    }
    files
}

/// A tool of rustc's own LLVM: a newer or older one does not read its profiles.
fn llvm(tool: &str) -> Command {
    let version = output_of(Command::new("rustc").arg("-vV"));
    let field = |key: &str| version.lines().find_map(|line| line.strip_prefix(key)).expect("rustc says it");
    let sysroot = output_of(Command::new("rustc").args(["--print", "sysroot"]));
    let component =
        Path::new(sysroot.trim()).join("lib/rustlib").join(field("host: ")).join("bin").join(tool);
    if component.exists() {
        return Command::new(component);
    }
    let major = field("LLVM version: ").split('.').next().unwrap_or_default();
    Command::new(format!("{tool}-{major}"))
}

fn output_of(command: &mut Command) -> String {
    let output = command.stderr(std::process::Stdio::inherit()).output();
    let output = output.unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(output.status.success(), "{command:?}: {}", output.status);
    String::from_utf8(output.stdout).expect("UTF-8")
}

fn report_goals(files: &BTreeMap<String, Regions>) -> bool {
    let mut are_reached = true;
    for (what, folders, goal) in GOALS {
        let of_it = files.iter().filter(|(name, _)| folders.iter().any(|folder| name.starts_with(folder)));
        let (count, covered) =
            of_it.fold((0, 0), |(count, covered), (_, one)| (count + one.count, covered + one.covered));
        let percent = 100.0 * covered as f64 / count as f64;
        println!("{what}: {covered} of {count} regions, {percent:.1} % (to be reached: {goal} %)");
        are_reached &= percent >= *goal;
    }
    are_reached
}

/// Fails if a file has more uncovered regions than allowed.
fn report_ceilings(ceilings: &BTreeMap<String, u64>, uncovered: &BTreeMap<String, u64>) -> ExitCode {
    let mut code = ExitCode::SUCCESS;
    for (name, measured) in uncovered {
        let ceiling = ceilings.get(name).copied().unwrap_or(0);
        if *measured > ceiling {
            println!("{name}: {measured} regions are not reached, allowed are {ceiling}");
            code = ExitCode::FAILURE;
        }
    }
    let total = |map: &BTreeMap<String, u64>| map.values().sum::<u64>();
    println!("{} regions are not reached, allowed are {}", total(uncovered), total(ceilings));
    code
}

/// The ceilings, none raised; those of files that are covered or gone left out.
fn lowered(ceilings: &BTreeMap<String, u64>, uncovered: &BTreeMap<String, u64>) -> BTreeMap<String, u64> {
    let lower = |(name, ceiling): (&String, &u64)| {
        let measured = uncovered.get(name).copied().unwrap_or(0);
        (name.clone(), measured.min(*ceiling))
    };
    ceilings.iter().map(lower).filter(|(_, left)| *left > 0).collect()
}

fn read_list(text: &str) -> BTreeMap<String, u64> {
    let entries = text.lines().filter(|line| !line.starts_with('#')).map(|line| {
        let (count, name) = line.trim().split_once(' ').expect("a number and a file");
        (name.to_owned(), count.parse().expect("a number"))
    });
    entries.collect()
}

fn write_list(ceilings: &BTreeMap<String, u64>) -> String {
    let entries = ceilings.iter().map(|(name, count)| format!("{count:>5} {name}\n"));
    HEAD.chars().chain(entries.collect::<String>().chars()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(entries: &[(&str, u64)]) -> BTreeMap<String, u64> {
        entries.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect()
    }

    #[test]
    fn ceilings_only_go_down() {
        let ceilings = list(&[("a.rs", 5), ("b.rs", 5), ("gone.rs", 5)]);
        let uncovered = list(&[("a.rs", 3), ("b.rs", 9), ("new.rs", 1)]);
        assert_eq!(lowered(&ceilings, &uncovered), list(&[("a.rs", 3), ("b.rs", 5)]));
        assert_eq!(report_ceilings(&ceilings, &uncovered), ExitCode::FAILURE);
        assert_eq!(report_ceilings(&ceilings, &list(&[("a.rs", 5)])), ExitCode::SUCCESS);
        assert_eq!(read_list(&write_list(&ceilings)), ceilings);
    }
}
