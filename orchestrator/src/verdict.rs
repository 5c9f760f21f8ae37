//! Whether this host could measure this run: `valid`, `suspect` or `invalid`, with reasons.
//!
//! Judges windows of about a second that `measure` observed while something was being measured. Reading the host is
//! not done here, and what the verdict leads to (exit codes, expectations) is not decided here.

use serde::{Deserialize, Serialize};

/// Could this host measure this run?
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdict {
    /// The answer.
    pub state: State,
    /// Why it is not `valid`, one sentence each.
    pub reasons: Vec<String>,
}

/// The three answers, from best to worst.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// The numbers are the network's.
    Valid,
    /// Some of the time the host was in the way; look before trusting a small difference.
    Suspect,
    /// The host was in the way; the numbers are neither pass nor fail.
    Invalid,
}

impl State {
    /// The word used in files and tables.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Valid => "valid",
            Self::Suspect => "suspect",
            Self::Invalid => "invalid",
        }
    }
}

/// What was seen of the host during one window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Window {
    /// End of the window, in seconds of CLOCK_MONOTONIC.
    pub t: f64,
    /// Length in seconds.
    pub seconds: f64,
    /// Share of all processors' time that was not idle, 0 to 1; stolen time is not idle.
    pub busy: f64,
    /// Share of all processors' time that a hypervisor gave to others, 0 to 1.
    pub steal: f64,
    /// Share of the window in which some runnable task waited for a processor, 0 to 1; none where the kernel does not
    /// account pressure.
    pub pressure: Option<f64>,
    /// Worst lateness of a timer that one ordinary thread set, in seconds.
    pub lateness: f64,
    /// Whether something was being measured in this window.
    pub measuring: bool,
}

impl Verdict {
    /// Judges `windows`; only those in which something was measured count, or all when there are none of these.
    ///
    /// `begin_lateness` is how late the latest participant of any distribution began, in seconds.
    #[must_use]
    pub fn of(windows: &[Window], begin_lateness: f64) -> Self {
        let measuring: Vec<&Window> = windows.iter().filter(|w| w.measuring).collect();
        let judged = if measuring.is_empty() { windows.iter().collect() } else { measuring };
        let total: f64 = judged.iter().map(|w| w.seconds).sum();
        let mut verdict = Self { state: State::Valid, reasons: Vec::new() };
        if judged.is_empty() {
            verdict.lower(State::Suspect, "the host was never looked at".into());
            return verdict;
        }
        for fault in FAULTS {
            let hit: f64 = judged.iter().filter(|w| (fault.is_hit)(w)).map(|w| w.seconds).sum();
            let share = hit / total.max(f64::MIN_POSITIVE);
            let reason = || format!("{} in {:.0} % of the measured time", fault.says, share * 100.0);
            if share >= fault.invalid_share && total >= SURE_SECONDS {
                verdict.lower(State::Invalid, reason());
            } else if share >= SUSPECT_SHARE {
                verdict.lower(State::Suspect, reason());
            }
        }
        if begin_lateness >= BEGIN_LATE_SECONDS {
            let reason = format!("a participant began {:.0} ms after the others", begin_lateness * 1e3);
            verdict.lower(State::Suspect, reason);
        }
        verdict
    }

    /// The verdict on a run that never came to measure anything.
    #[must_use]
    pub fn unmeasured() -> Self {
        Self { state: State::Invalid, reasons: vec!["the run did not finish".into()] }
    }

    fn lower(&mut self, to: State, reason: String) {
        self.state = self.state.max(to);
        self.reasons.push(reason);
    }
}

/// One way in which a host is in the way, seen in one window.
struct Fault {
    says: &'static str,
    is_hit: fn(&Window) -> bool,
    /// From this share of the measured time on, the run is invalid.
    invalid_share: f64,
}

const FAULTS: &[Fault] = &[
    Fault {
        says: "processors were saturated (95 % busy or more)",
        is_hit: |w| w.busy >= BUSY_SHARE,
        invalid_share: LIKELY_SHARE,
    },
    Fault {
        says: "tasks waited for a processor 60 % of the time or more",
        is_hit: |w| w.pressure.is_some_and(|p| p >= PRESSURE_SHARE),
        invalid_share: LIKELY_SHARE,
    },
    Fault {
        says: "the hypervisor took 10 % of the processors or more",
        is_hit: |w| w.steal >= STEAL_SHARE,
        invalid_share: CERTAIN_SHARE,
    },
    Fault {
        says: "timers fired 50 ms late or more",
        is_hit: |w| w.lateness >= LATE_SECONDS,
        invalid_share: CERTAIN_SHARE,
    },
];

/// At this use there is no room to run a peer the moment its packet arrives, so that peers, not links, set the pace.
const BUSY_SHARE: f64 = 0.95;
/// Stolen time stops all peers of a processor at once, shapers included; a tenth is felt in every completion time.
const STEAL_SHARE: f64 = 0.10;
/// `some` pressure counts whenever one task of all waits. Below this, waits are short turns of the scheduler; above, a
/// queue stands. Wild guess between a run of 200 idle peers (under 0.3) and a saturated host (over 0.9).
const PRESSURE_SHARE: f64 = 0.60;
/// A queue of usual access links holds 50 ms or more: a peer that is later than this lets its uplink run dry.
const LATE_SECONDS: f64 = 0.050;
/// One second in twenty in the way can move a distribution time by 5 %, the distance that expectations distinguish.
const SUSPECT_SHARE: f64 = 0.05;
/// Late timers and stolen time did stop peers: with a quarter of the time in the way, the number says more about the
/// host than about the overlay.
const CERTAIN_SHARE: f64 = 0.25;
/// Saturation says that peers may have waited. Seen: under a compiler that kept both cores busy for 30 % of a run of eleven
/// peers, distribution times moved by less than 5 %. So it takes half of the time.
const LIKELY_SHARE: f64 = 0.50;
/// Processor time is counted in ticks of 10 ms, and a run this short is all handshakes: it is suspect at worst.
const SURE_SECONDS: f64 = 3.0;
/// Begins are announced 50 ms or more ahead; a participant this late heard of it too late.
const BEGIN_LATE_SECONDS: f64 = 0.050;

#[cfg(test)]
mod tests {
    use super::*;

    fn windows(count: usize, change: impl Fn(usize, &mut Window)) -> Vec<Window> {
        (0..count)
            .map(|i| {
                let mut window = Window { seconds: 1.0, measuring: true, ..Window::default() };
                change(i, &mut window);
                window
            })
            .collect()
    }

    #[test]
    fn an_idle_host_is_valid() {
        assert_eq!(Verdict::of(&windows(60, |_, _| ()), 0.001).state, State::Valid);
    }

    #[test]
    fn one_saturated_second_in_twenty_is_suspect_and_one_in_twenty_one_is_not() {
        let saturated = |i: usize, w: &mut Window| w.busy = if i == 0 { 0.95 } else { 0.5 };
        assert_eq!(Verdict::of(&windows(20, saturated), 0.0).state, State::Suspect);
        assert_eq!(Verdict::of(&windows(21, saturated), 0.0).state, State::Valid);
    }

    #[test]
    fn a_quarter_of_late_timers_is_invalid_and_says_so() {
        let late = |i: usize, w: &mut Window| w.lateness = if i % 4 == 0 { 0.06 } else { 0.0 };
        let verdict = Verdict::of(&windows(40, late), 0.0);
        assert_eq!(verdict.state, State::Invalid);
        assert_eq!(verdict.reasons, ["timers fired 50 ms late or more in 25 % of the measured time"]);
    }

    #[test]
    fn what_happens_while_nothing_is_measured_does_not_count() {
        let busy_pause = |i: usize, w: &mut Window| {
            w.measuring = i >= 30;
            w.busy = if i < 30 { 1.0 } else { 0.2 };
        };
        assert_eq!(Verdict::of(&windows(60, busy_pause), 0.0).state, State::Valid);
    }

    #[test]
    fn a_late_beginner_makes_the_run_suspect() {
        let verdict = Verdict::of(&windows(60, |_, _| ()), 0.080);
        assert_eq!(verdict.state, State::Suspect);
        assert_eq!(verdict.reasons, ["a participant began 80 ms after the others"]);
    }

    #[test]
    fn a_run_too_short_to_be_sure_is_suspect_at_worst() {
        let saturated = |_: usize, w: &mut Window| w.busy = 1.0;
        assert_eq!(Verdict::of(&windows(2, saturated), 0.0).state, State::Suspect);
        assert_eq!(Verdict::of(&windows(3, saturated), 0.0).state, State::Invalid);
        assert_eq!(Verdict::of(&windows(1, |_, _| ()), 0.0).state, State::Valid);
    }

    #[test]
    fn each_fault_is_seen_alone() {
        let changes: [fn(usize, &mut Window); 4] =
            [|_, w| w.busy = 1.0, |_, w| w.steal = 0.5, |_, w| w.pressure = Some(0.9), |_, w| w.lateness = 1.0];
        for change in changes {
            let verdict = Verdict::of(&windows(5, change), 0.0);
            assert_eq!((verdict.state, verdict.reasons.len()), (State::Invalid, 1));
        }
    }
}
