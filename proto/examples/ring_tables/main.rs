//! Makes docs/ring-tables.md (`make ring`): the ring's figures in virtual time beside those of Chord's papers and of the ideal
//! model.
//!
//! ```text
//! cargo run --release -p peerbed-proto --features sim --example ring_tables > docs/ring-tables.md
//! ```
//!
//! Progress goes to standard error. With names of sections as arguments (`hops`, `failures`, `churn`, `recovery`, `modes`,
//! `large`) only those are made.

mod churn;
mod failures;
mod hops;
mod large;
mod modes;
mod recovery;

use std::io::Write as _;
use std::time::Instant;

/// A name on the command line, and what makes the section.
type Section = (&'static str, fn() -> String);
const SECTIONS: [Section; 6] = [
    ("hops", hops::section),
    ("failures", failures::section),
    ("churn", churn::section),
    ("recovery", recovery::section),
    ("modes", modes::section),
    ("large", large::section),
];

fn main() {
    let wanted: Vec<String> = std::env::args().skip(1).collect();
    say(HEAD);
    for (name, section) in SECTIONS {
        if !wanted.is_empty() && !wanted.iter().any(|wanted| wanted == name) {
            continue;
        }
        let begun = clock();
        say(&section());
        // Nobody is left to tell when standard error is gone.
        let _ = writeln!(std::io::stderr(), "{name}: {:.1} s", begun.elapsed().as_secs_f64());
    }
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
