//! Makes docs/ring-tables.md (`make ring`): the ring's figures in virtual time beside those of Chord's papers and of the ideal
//! model.
//!
//! ```text
//! cargo run --release -p peerbed-proto --features sim --example ring_tables > docs/ring-tables.md
//! ```
//!
//! Progress goes to standard error. With names of sections as arguments (`hops`, `failures`, `churn`, `deaths`, `recovery`,
//! `modes`, `large`) only those are made. Two are made at a time; `large` comes last and alone, because it measures the host.

mod churn;
mod deaths;
mod failures;
mod hops;
mod large;
mod modes;
mod recovery;

use std::io::Write as _;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

/// A name on the command line, and what makes the section.
type Section = (&'static str, fn() -> String);
const SECTIONS: [Section; 6] = [
    ("hops", hops::section),
    ("failures", failures::section),
    ("churn", churn::section),
    ("deaths", deaths::section),
    ("recovery", recovery::section),
    ("modes", modes::section),
];
const LARGE: Section = ("large", large::section);

/// The order in which sections are begun: the longest first, so that both threads end together.
const BEGUN: [&str; 6] = ["churn", "deaths", "modes", "failures", "hops", "recovery"];

fn main() {
    let wanted: Vec<String> = std::env::args().skip(1).collect();
    let is_wanted = |name: &str| wanted.is_empty() || wanted.iter().any(|wanted| wanted == name);
    say(HEAD);
    let made: [Mutex<Option<String>>; SECTIONS.len()] = Default::default();
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while let Some(name) = BEGUN.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let found = SECTIONS.iter().position(|(section, _)| section == name);
                    let place = found.expect("every name is a section's");
                    if is_wanted(name) {
                        let text = make(SECTIONS[place]);
                        *made[place].lock().expect("nobody panics while holding it") = Some(text);
                    }
                }
            });
        }
    });
    for section in made {
        if let Some(text) = section.into_inner().expect("nobody panics while holding it") {
            say(&text);
        }
    }
    if is_wanted(LARGE.0) {
        say(&make(LARGE));
    }
}

fn make((name, section): Section) -> String {
    let begun = clock();
    let text = section();
    // Nobody is left to tell when standard error is gone.
    let _ = writeln!(std::io::stderr(), "{name}: {:.1} s", begun.elapsed().as_secs_f64());
    text
}

/// Rows of cells as a Markdown table; the first row is the head.
fn table(rows: &[Vec<String>]) -> String {
    let line = |row: &Vec<String>| format!("| {} |\n", row.join(" | "));
    let rule = format!("|{}\n", "---|".repeat(rows[0].len()));
    let body: String = rows[1..].iter().map(line).collect();
    line(&rows[0]) + &rule + &body
}

/// A row of a table.
fn row<const N: usize>(cells: [&dyn std::fmt::Display; N]) -> Vec<String> {
    cells.iter().map(ToString::to_string).collect()
}

fn two(number: f64) -> String {
    format!("{number:.2}")
}

fn off(measured: f64, expected: f64) -> String {
    format!("{:+.1} %", 100.0 * (measured / expected - 1.0))
}

#[expect(clippy::disallowed_methods, reason = "measures the host, not the ring")]
fn clock() -> Instant {
    Instant::now()
}

fn say(text: &str) {
    // Nobody is left to tell when standard output is gone.
    let _ = writeln!(std::io::stdout(), "{text}");
}

const HEAD: &str = "\
# The ring's tables in virtual time

Made by `make ring`; the same seeds give the same tables, apart from times of the host. What real peers do is in `ring.md`.
The nodes are the ones real peers run, on a simulated network without limits of rate. *Hops* are the nodes a lookup contacts
until it reaches the key's predecessor, as Chord's papers count; the hop from there to the owner comes on top. *Timeouts* are
dead nodes met on the way. `r` is the length of the successor list.
";
