//! Runs the simulation: one seed, or many, or those in a file; replays, and cuts failures down.
//!
//! `sim [SEED] [--seeds N] [--minutes M] [--file FILE] [--off FAULTS] [--only ACTIONS] [--whole] [--write-traces] [-v]`
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use sansfu_tests::sim::golden;
use sansfu_tests::sim::plan::{Cut, Fault, Plan};
use sansfu_tests::sim::run::{Report, run};
use sansfu_tests::sim::shrink::shrink;

const USAGE: &str = "usage: sim [SEED] [--seeds N] [--minutes M] [--file FILE] [--off FAULTS] [--only ACTIONS] [--whole] [--write-traces] [-v]
  SEED         the first seed; 0 by default
  --seeds N    run N seeds, one after the other; 1 by default
  --minutes M  go on with further seeds until M minutes have passed
  --file FILE  run the seeds in FILE first: one a line, with what else its command line says; # begins a comment
  --off a,b    leave faults out: loss, jitter, duplication, reordering, rate, corruption, nat, outage, death, hostility,
                 version-2 (clients of it), spies (among those), operations (what servers do to peers)
  --only 1,2   keep only these actions of the plan
  --whole      do not cut failures down
  --write-traces  write tests/traces.txt anew, for a change that is meant to change what is sent, and nothing else
  -v           show the plan, and after a failure what happened before it";

/// A run that takes longer than this hangs, on any machine.
const HANGS_AFTER: Duration = Duration::from_secs(180);

/// How a seed is run.
#[derive(Debug, Clone, Default)]
struct Task {
    seed: u64,
    cut: Cut,
}

#[derive(Debug, Default)]
struct Arguments {
    first: Task,
    seeds: u64,
    minutes: Option<f64>,
    tasks: Vec<Task>,
    whole: bool,
    write_traces: bool,
    verbose: bool,
}

fn main() -> ExitCode {
    let arguments = match Arguments::parse(&std::env::args().skip(1).collect::<Vec<_>>()) {
        Ok(arguments) => arguments,
        Err(error) => {
            eprintln!("{error}\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    if arguments.write_traces {
        return write_traces();
    }
    // A panic is reported with its seed; the standard message would only tear the lines apart.
    std::panic::set_hook(Box::new(|_| {}));
    let runner = Runner::new(arguments);
    let workers = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..workers).map(|_| scope.spawn(|| runner.work())).collect();
        while !threads.iter().all(|thread| thread.is_finished()) {
            std::thread::sleep(Duration::from_millis(20));
            runner.end_if_one_hangs();
        }
    });
    runner.conclude()
}

fn write_traces() -> ExitCode {
    match std::fs::write(golden::FILE, golden::traces()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{}: {error}", golden::FILE);
            ExitCode::FAILURE
        }
    }
}

impl Arguments {
    fn parse(words: &[String]) -> Result<Self, String> {
        let mut arguments = Arguments { seeds: 1, ..Arguments::default() };
        let mut words = words.iter();
        let mut file = None;
        let mut said_seeds = false;
        while let Some(word) = words.next() {
            let mut value = || words.next().ok_or_else(|| format!("{word} needs a value"));
            match word.as_str() {
                "--seeds" => {
                    arguments.seeds = number(value()?)?;
                    said_seeds = true;
                }
                "--minutes" => arguments.minutes = Some(number(value()?)?),
                "--file" => file = Some(PathBuf::from(value()?)),
                "--off" => arguments.first.cut.off = parse_faults(value()?)?,
                "--only" => arguments.first.cut.kept = Some(parse_indices(value()?)?),
                "--whole" => arguments.whole = true,
                "--write-traces" => arguments.write_traces = true,
                "-v" => arguments.verbose = true,
                seed => arguments.first.seed = number(seed)?,
            }
        }
        if let Some(file) = file {
            let text =
                std::fs::read_to_string(&file).map_err(|error| format!("{}: {error}", file.display()))?;
            arguments.tasks = parse_file(&text)?;
            // A file alone is all there is to do.
            arguments.seeds = if said_seeds { arguments.seeds } else { 0 };
        }
        Ok(arguments)
    }
}

fn number<T: std::str::FromStr>(text: &str) -> Result<T, String> {
    text.parse().map_err(|_| format!("'{text}' is not a number"))
}

fn parse_faults(text: &str) -> Result<BTreeSet<Fault>, String> {
    text.split(',').map(str::parse).collect()
}

fn parse_indices(text: &str) -> Result<BTreeSet<usize>, String> {
    if text == "none" { Ok(BTreeSet::new()) } else { text.split(',').map(number).collect() }
}

fn parse_file(text: &str) -> Result<Vec<Task>, String> {
    let lines = text.lines().map(|line| line.split('#').next().unwrap_or_default().trim());
    lines
        .filter(|line| !line.is_empty())
        .map(|line| {
            let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
            Arguments::parse(&words).map(|arguments| arguments.first)
        })
        .collect()
}

/// Hands out seeds to threads and gathers what came of them.
struct Runner {
    arguments: Arguments,
    began: Instant,
    next: AtomicU64,
    sums: Mutex<Sums>,
    /// When each run began that has not ended.
    running: Mutex<BTreeMap<u64, Duration>>,
}

#[derive(Debug, Default)]
struct Sums {
    passed: u64,
    failed: u64,
    simulated: Duration,
    datagrams: u64,
    busy: Duration,
}

impl Runner {
    #[allow(clippy::disallowed_methods, reason = "a command, not a part of a simulation")]
    fn new(arguments: Arguments) -> Self {
        Runner {
            arguments,
            began: Instant::now(),
            next: AtomicU64::new(0),
            sums: Mutex::default(),
            running: Mutex::default(),
        }
    }

    fn work(&self) {
        while let Some(task) = self.next_task() {
            let began = self.began.elapsed();
            lock(&self.running).insert(task.seed, began);
            let plan = Plan::of_seed(task.seed);
            let report = run(&plan.cut(&task.cut));
            let busy = self.began.elapsed() - began;
            lock(&self.running).remove(&task.seed);
            {
                let mut sums = lock(&self.sums);
                sums.busy += busy;
                sums.simulated += report.simulated;
                sums.datagrams += report.datagrams;
                *(if report.failure.is_some() { &mut sums.failed } else { &mut sums.passed }) += 1;
            }
            self.show(&task, &plan, &report);
        }
    }

    /// An endless loop in a machine cannot be left: the seed is told, and the process ends.
    fn end_if_one_hangs(&self) {
        let now = self.began.elapsed();
        let running = lock(&self.running);
        if let Some((seed, _)) = running.iter().find(|(_, began)| now - **began > HANGS_AFTER) {
            println!("seed={seed} trace=0000000000000000 steps=0 result=failed: it hangs");
            std::process::exit(1);
        }
    }

    fn next_task(&self) -> Option<Task> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let of_file = self.arguments.tasks.len() as u64;
        if let Some(task) = self.arguments.tasks.get(number as usize) {
            return Some(task.clone());
        }
        let number = number - of_file;
        let in_time = |minutes: f64| self.began.elapsed().as_secs_f64() < minutes * 60.0;
        if number >= self.arguments.seeds && !self.arguments.minutes.is_some_and(in_time) {
            return None;
        }
        let first = &self.arguments.first;
        Some(Task { seed: first.seed.wrapping_add(number), cut: first.cut.clone() })
    }

    fn show(&self, task: &Task, plan: &Plan, report: &Report) {
        let mut text = String::new();
        let verbose = self.arguments.verbose;
        if verbose {
            text += &show_plan(plan, &task.cut);
        }
        if let Some((at, violation)) = &report.failure {
            let whole = self.arguments.whole;
            let cut = if whole { task.cut.clone() } else { shrink(plan, task.cut.clone(), violation.rule) };
            let small = run(&plan.cut(&cut));
            text += &format!("seed {} broke a rule at {:.3} s: {violation}\n", task.seed, at.as_secs_f64());
            let log = if small.failure.is_some() { &small.log } else { &report.log };
            if let Some((at, violation)) = &small.failure {
                text += &format!("cut down, at {:.3} s: {violation}\n", at.as_secs_f64());
            }
            text += "what happened before it:\n";
            let shown = log.len().saturating_sub(if verbose { usize::MAX } else { 25 });
            for line in &log[shown..] {
                text += &format!("  {line}\n");
            }
            text += "replay with:\n";
            text += &format!("  cargo run -p sansfu-tests --bin sim -- {}{cut} -v\n", task.seed);
        }
        println!("{text}{}", report.line());
    }

    fn conclude(self) -> ExitCode {
        let sums = self.sums.into_inner().unwrap_or_else(PoisonError::into_inner);
        let busy = sums.busy.as_secs_f64().max(1e-9);
        println!(
            "a second of one core carried {:.0} simulated seconds and {:.0} datagrams",
            sums.simulated.as_secs_f64() / busy,
            sums.datagrams as f64 / busy,
        );
        println!("{} passed, {} failed", sums.passed, sums.failed);
        if sums.failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn show_plan(plan: &Plan, cut: &Cut) -> String {
    let mut text = format!("plan of seed {}: {:?}, {} worker(s), ", plan.seed, plan.security, plan.workers);
    text += &format!("{:?} of faults\n", plan.duration);
    for (index, host) in plan.cut(cut).hosts.iter().enumerate() {
        text += &format!("  client {index}: {host:?}\n");
    }
    for (index, timed) in plan.actions.iter().enumerate() {
        let kept = cut.kept.as_ref().is_none_or(|kept| kept.contains(&index))
            && timed.action.fault().is_none_or(|fault| !cut.off.contains(&fault));
        if kept {
            text += &format!(
                "  {index:>3} {:>8.3} client {}: {:?}\n",
                timed.at.as_secs_f64(),
                timed.host,
                timed.action
            );
        }
    }
    text
}
