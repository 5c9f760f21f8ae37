//! What people see while a run goes on, on standard error: bars on a terminal, plain lines elsewhere.
//!
//! One line or bar per distribution under way: pieces, peers, time. Nothing is decided here, and nothing of it is
//! data: tables and results go to standard output and files.

use std::{
    collections::BTreeMap,
    io::{self, IsTerminal, Write},
    time::Duration,
};

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use peerbed_proto::time::Time;

use crate::{
    observe::Board,
    plan::Plan,
    run_directory::RunDirectory,
    scenario::{Phase, View},
};

/// Shows how far a run is.
#[derive(Debug)]
pub struct Progress(Kind, Option<Board>);

#[derive(Debug)]
enum Kind {
    Quiet,
    Lines(Lines),
    Bars(Bars),
}

impl Progress {
    /// Shows nothing.
    #[must_use]
    pub fn quiet() -> Self {
        Self(Kind::Quiet, None)
    }

    /// Bars when standard error is a terminal, lines otherwise.
    #[must_use]
    pub fn on_stderr() -> Self {
        if io::stderr().is_terminal() {
            Self(Kind::Bars(Bars { all: MultiProgress::new(), bars: BTreeMap::new() }), None)
        } else {
            Self(Kind::Lines(Lines::default()), None)
        }
    }

    /// Shows everything on `board` too, for scrapers.
    #[must_use]
    pub fn on(self, board: Board) -> Self {
        Self(self.0, Some(board))
    }

    /// A run of `plan` begins, with its files in `directory`.
    pub fn begin(&mut self, plan: &Plan, directory: &RunDirectory) {
        if let Some(board) = &self.1 {
            board.begin(plan, directory);
        }
    }

    /// Where watchers look, if somebody may watch.
    #[must_use]
    pub fn board(&self) -> Option<&Board> {
        self.1.as_ref()
    }

    /// Says one thing that has happened.
    pub fn say(&mut self, text: &str) {
        match &mut self.0 {
            Kind::Quiet => {}
            Kind::Lines(_) => print_line(text),
            Kind::Bars(bars) => {
                // A terminal that takes no text shows no text; the run is not about it.
                let _ = bars.all.println(text);
            }
        }
    }

    /// Shows how far distributions are at `now`.
    pub fn update(&mut self, views: &[View], now: Time) {
        match &mut self.0 {
            Kind::Quiet => {}
            Kind::Lines(lines) => lines.update(views, now).iter().for_each(|line| print_line(line)),
            Kind::Bars(bars) => bars.update(views, now),
        }
    }

    /// Leaves the terminal as it was found.
    pub fn finish(&mut self) {
        if let Kind::Bars(bars) = &mut self.0 {
            bars.bars.values().for_each(ProgressBar::abandon);
            bars.bars.clear();
        }
    }
}

/// Plain lines: one when something changed, at most one a second and distribution.
#[derive(Debug, Default)]
struct Lines {
    /// Time and text of the last line, without the time in it, by index of the distribution.
    last: BTreeMap<usize, (Time, String)>,
}

impl Lines {
    fn update(&mut self, views: &[View], now: Time) -> Vec<String> {
        let mut lines = Vec::new();
        for (index, view) in views.iter().enumerate() {
            if view.phase < Phase::Running {
                continue;
            }
            let text = state(view);
            let is_due = match self.last.get(&index) {
                None => true,
                Some((at, before)) => *before != text && (now - *at >= LINE_INTERVAL || view.phase >= Phase::Closing),
            };
            if is_due {
                let elapsed = elapsed(view, now).as_secs_f64();
                lines.push(format!("{} via {}: {elapsed:.0} s, {text}", view.name, view.via));
                self.last.insert(index, (now, text));
            }
        }
        lines
    }
}

#[derive(Debug)]
struct Bars {
    all: MultiProgress,
    bars: BTreeMap<usize, ProgressBar>,
}

impl Bars {
    fn update(&mut self, views: &[View], now: Time) {
        for (index, view) in views.iter().enumerate() {
            if view.phase < Phase::Preparing {
                continue;
            }
            let all = &self.all;
            let bar = self.bars.entry(index).or_insert_with(|| {
                let bar = all.add(ProgressBar::new(view.pieces));
                bar.set_style(style());
                bar.set_prefix(format!("{} via {}", view.name, view.via));
                bar
            });
            if bar.is_finished() {
                continue;
            }
            bar.set_length(view.pieces.max(1));
            bar.set_position(view.pieces_done);
            let peers = format!("{}/{} peers", view.peers_done, view.peers);
            bar.set_message(format!("{peers}, {:.0} s", elapsed(view, now).as_secs_f64()));
            if view.phase == Phase::Ended {
                bar.abandon_with_message(peers);
            }
        }
    }
}

fn state(view: &View) -> String {
    let peers = format!("{} of {} peers complete", view.peers_done, view.peers);
    match view.phase {
        Phase::Closing => format!("{peers}; reading files back"),
        Phase::Ended => format!("{peers}; done"),
        Phase::Waiting | Phase::Preparing | Phase::Running => {
            format!("{} of {} pieces, {peers}", view.pieces_done, view.pieces)
        }
    }
}

fn elapsed(view: &View, now: Time) -> Duration {
    view.begun.map_or(Duration::ZERO, |begun| now - begun)
}

fn style() -> ProgressStyle {
    ProgressStyle::with_template("{prefix:28} [{bar:30}] {pos}/{len} pieces, {msg}")
        .unwrap_or_else(|_| ProgressStyle::default_bar())
        .progress_chars("=> ")
}

fn print_line(text: &str) {
    // Nobody reading is no reason to stop.
    let _ = writeln!(io::stderr(), "{text}");
}

/// Lines of one distribution come at most this often.
const LINE_INTERVAL: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    fn view(phase: Phase, pieces_done: u64) -> View {
        View {
            name: "release".into(),
            via: "swarm",
            phase,
            begun: Some(Time::ZERO),
            pieces_done,
            pieces: 40,
            peers_done: 1,
            peers: 10,
        }
    }

    fn at(ms: u64) -> Time {
        Time::ZERO + Duration::from_millis(ms)
    }

    #[test]
    fn lines_come_once_a_second_and_only_for_a_change() {
        let mut lines = Lines::default();
        let first = lines.update(&[view(Phase::Running, 4)], at(2_000));
        assert_eq!(first, ["release via swarm: 2 s, 4 of 40 pieces, 1 of 10 peers complete"]);
        assert!(lines.update(&[view(Phase::Running, 5)], at(2_500)).is_empty());
        assert!(lines.update(&[view(Phase::Running, 4)], at(9_000)).is_empty());
        assert_eq!(lines.update(&[view(Phase::Running, 5)], at(9_000)).len(), 1);
    }

    #[test]
    fn the_end_is_told_at_once_and_once() {
        let mut lines = Lines::default();
        lines.update(&[view(Phase::Running, 40)], at(2_000));
        let end = lines.update(&[view(Phase::Ended, 40)], at(2_100));
        assert_eq!(end, ["release via swarm: 2 s, 1 of 10 peers complete; done"]);
        assert!(lines.update(&[view(Phase::Ended, 40)], at(60_000)).is_empty());
    }

    #[test]
    fn what_has_not_begun_says_nothing() {
        assert!(Lines::default().update(&[view(Phase::Waiting, 0)], at(2_000)).is_empty());
    }
}
