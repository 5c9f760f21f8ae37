//! The full count of random interleavings against Zave's invariant; `tests/ring_model.rs` runs a small part of them.
//!
//! ```text
//! cargo run --release -p peerbed-proto --features sim --example ring_model -- [RUNS [FIRST-SEED]]
//! ```
//!
//! Prints what was done and how long it took; on a broken invariant the seed and the shrunk story, and ends with 1.

use std::io::Write as _;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use peerbed_proto::sim::ring::interleaving::{Failure, Plan, Rule, Tally, recovery, run};

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1).map(|argument| argument.parse());
    let (Ok(runs), Ok(first)) = (arguments.next().unwrap_or(Ok(1_000_000)), arguments.next().unwrap_or(Ok(0))) else {
        say("both arguments are whole numbers: RUNS FIRST-SEED");
        return ExitCode::from(2);
    };
    say(&format!("seeds {first} to {}", first + runs - 1));
    match within_the_rule(first, runs) {
        Ok(line) => say(&line),
        Err((seed, failure)) => {
            say(&format!("seed {seed}: {}\n{}{:?}", failure.broken, failure.story, failure.choices));
            return ExitCode::FAILURE;
        }
    }
    match outside_the_rule(first, runs / 100) {
        Ok(line) => say(&line),
        Err((seed, picture)) => {
            say(&format!("seed {seed}: not right after {LIMIT:?}\n{picture}"));
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}

/// Plans differ by seed: lists of 2 to 4, a quarter of the runs with audits.
fn plan(seed: u64, rule: Rule) -> Plan {
    let list = [2, 2, 3, 4][usize::try_from(seed % 4).expect("below 4")];
    let steps = if rule == Rule::Kept { 80 } else { 200 };
    Plan { list, steps, audits: rule == Rule::Broken || (seed / 4).is_multiple_of(4), rule }
}

fn within_the_rule(first: u64, runs: u64) -> Result<String, (u64, Box<Failure>)> {
    let begun = clock();
    let results = in_two(first, runs, |seed, total: &mut Tally| {
        let tally = run(&plan(seed, Rule::Kept), seed).map_err(|failure| (seed, failure))?;
        total.delivered += tally.delivered;
        total.timers += tally.timers;
        total.joins += tally.joins;
        total.failures += tally.failures;
        total.checks += tally.checks;
        total.lists_cut += tally.lists_cut;
        total.orphaned += tally.orphaned;
        Ok(())
    })?;
    let sum = |of: fn(&Tally) -> u64| results.iter().map(of).sum::<u64>();
    Ok(format!(
        "{runs} interleavings within the rule: {} messages, {} timers, {} joins, {} failures and leaves, {} checks, none \
         broken; {} lists cut, {} orphans; {:.0} s",
        sum(|tally| tally.delivered),
        sum(|tally| tally.timers),
        sum(|tally| tally.joins),
        sum(|tally| tally.failures),
        sum(|tally| tally.checks),
        sum(|tally| tally.lists_cut),
        sum(|tally| tally.orphaned),
        begun.elapsed().as_secs_f64(),
    ))
}

fn outside_the_rule(first: u64, runs: u64) -> Result<String, (u64, String)> {
    let begun = clock();
    let results = in_two(first, runs, |seed, times: &mut Vec<Duration>| {
        times.push(recovery(&plan(seed, Rule::Broken), seed, LIMIT).map_err(|picture| (seed, picture))?);
        Ok(())
    })?;
    let mut times: Vec<Duration> = results.into_iter().flatten().collect();
    times.sort();
    let at = |fraction: f64| times.get((fraction * times.len() as f64) as usize).copied().unwrap_or_default();
    Ok(format!(
        "{runs} interleavings outside the rule: right again after {:.1} s (median), {:.1} s (p99), {:.1} s (longest) of \
         virtual time; {:.0} s",
        at(0.5).as_secs_f64(),
        at(0.99).as_secs_f64(),
        times.last().copied().unwrap_or_default().as_secs_f64(),
        begun.elapsed().as_secs_f64(),
    ))
}

/// Spreads seeds over two threads; each collects into a value of its own.
fn in_two<T: Default + Send, E: Send>(
    first: u64,
    runs: u64,
    one: impl Fn(u64, &mut T) -> Result<(), E> + Sync,
) -> Result<Vec<T>, E> {
    std::thread::scope(|scope| {
        let half = |parity: u64| {
            let one = &one;
            scope.spawn(move || {
                let mut total = T::default();
                for seed in (first..first + runs).filter(|seed| seed % 2 == parity) {
                    one(seed, &mut total)?;
                }
                Ok(total)
            })
        };
        let halves = [half(0), half(1)];
        halves.into_iter().map(|half| half.join().expect("a panic in a run was printed")).collect()
    })
}

#[expect(clippy::disallowed_methods, reason = "measures the host, not the ring")]
fn clock() -> Instant {
    Instant::now()
}

fn say(line: &str) {
    // Nobody is left to tell when standard output is gone.
    let _ = writeln!(std::io::stdout(), "{line}");
}

/// Longest virtual time a ring may take to be right again.
const LIMIT: Duration = Duration::from_secs(120);
