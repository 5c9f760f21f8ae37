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
    /// Worst lateness of a timer on any processor, in seconds.
    pub lateness: f64,
    /// Processors on which a timer fired 50 ms late or more.
    #[serde(default)]
    pub late_cores: u32,
    /// Packets that the kernel dropped on their way between namespaces because a processor's backlog was full.
    #[serde(default)]
    pub softnet_dropped: u64,
    /// What links and sockets did that nobody asked for.
    #[serde(default)]
    pub links: LinkTrouble,
    /// Whether something was being measured in this window.
    pub measuring: bool,
}

/// What links and sockets did in one window that the topology did not ask for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct LinkTrouble {
    /// Datagrams that peers' sockets dropped because their buffers were full.
    pub receive_dropped: u64,
    /// Packets that an engine dropped for want of room or memory, outside the queues of the topology.
    pub engine_dropped: u64,
    /// Directions of links that were saturated and did not carry their rate (kernel engine; the user engine's lateness
    /// says the same of every packet).
    pub off_pace: u32,
    /// Lateness that 99 % of the packets of the user engine did not exceed, in seconds; none with the kernel engine.
    pub engine_lateness: Option<f64>,
}

impl Verdict {
    /// Judges `windows`; only those in which something was measured count, or all when there are none of these.
    ///
    /// `begin_lateness` is how late the latest participant of any distribution began, in seconds. Reasons name the
    /// seconds they cover, counted from the first window's beginning, which is the scenario's.
    #[must_use]
    pub fn of(windows: &[Window], begin_lateness: f64) -> Self {
        let measuring: Vec<&Window> = windows.iter().filter(|w| w.measuring).collect();
        let judged = if measuring.is_empty() { windows.iter().collect() } else { measuring };
        let total: f64 = judged.iter().map(|w| w.seconds).sum();
        let mut verdict = Self { state: State::Valid, reasons: Vec::new() };
        let Some(first) = windows.first().filter(|_| !judged.is_empty()) else {
            verdict.lower(State::Suspect, "the host was never looked at".into());
            return verdict;
        };
        let start = first.t - first.seconds;
        for fault in FAULTS {
            let hit: Vec<&Window> = judged.iter().copied().filter(|w| (fault.is_hit)(w)).collect();
            let share = hit.iter().map(|w| w.seconds).sum::<f64>() / total.max(f64::MIN_POSITIVE);
            let reason =
                || format!("{} in {:.0} % of the measured time ({})", fault.says, share * 100.0, seconds(&hit, start));
            if share >= fault.invalid_share && total >= SURE_SECONDS {
                verdict.lower(State::Invalid, reason());
            } else if !hit.is_empty() && share >= fault.suspect_share {
                verdict.lower(State::Suspect, reason());
            }
        }
        if begin_lateness >= BEGIN_LATE_SECONDS {
            let reason = format!("a participant began {:.0} ms after the others", begin_lateness * 1e3);
            verdict.lower(State::Suspect, reason);
        }
        verdict
    }

    /// The verdict on a run of which nothing has been measured yet.
    #[must_use]
    pub fn unmeasured() -> Self {
        Self { state: State::Suspect, reasons: vec!["nothing was measured".into()] }
    }

    /// The same verdict for a run that did not come to its end. That is no fault of the host, so that it makes nothing
    /// invalid; but figures of half a run are to be looked at before they are trusted.
    #[must_use]
    pub fn cut_short(mut self) -> Self {
        self.state = self.state.max(State::Suspect);
        self.reasons.insert(0, "the run did not come to its end".into());
        self
    }

    fn lower(&mut self, to: State, reason: String) {
        self.state = self.state.max(to);
        self.reasons.push(reason);
    }
}

/// The seconds that windows cover, counted from `start`: `seconds 3–7, 12–13`.
fn seconds(windows: &[&Window], start: f64) -> String {
    let mut spans: Vec<(f64, f64)> = Vec::new();
    for window in windows {
        let (from, to) = (window.t - window.seconds - start, window.t - start);
        match spans.last_mut() {
            // Windows follow each other without a gap; what is between is the rounding of clocks.
            Some((_, end)) if from - *end < 0.1 => *end = to,
            _ => spans.push((from, to)),
        }
    }
    let named = spans.iter().take(SPANS_MAX).map(|(from, to)| format!("{:.0}–{:.0}", from.abs(), to));
    let mut text = format!("seconds {}", named.collect::<Vec<_>>().join(", "));
    if spans.len() > SPANS_MAX {
        text.push_str(&format!(" and {} more spells", spans.len() - SPANS_MAX));
    }
    text
}

/// One way in which a host is in the way, seen in one window.
struct Fault {
    says: &'static str,
    is_hit: fn(&Window) -> bool,
    /// From this share of the measured time on, the run is suspect.
    suspect_share: f64,
    /// From this share of the measured time on, the run is invalid.
    invalid_share: f64,
}

const FAULTS: &[Fault] = &[
    Fault {
        says: "processors were saturated (95 % busy or more)",
        is_hit: |w| w.busy >= BUSY_SHARE,
        suspect_share: SUSPECT_SHARE,
        invalid_share: LIKELY_SHARE,
    },
    Fault {
        says: "tasks waited for a processor 60 % of the time or more",
        is_hit: |w| w.pressure.is_some_and(|p| p >= PRESSURE_SHARE),
        suspect_share: SUSPECT_SHARE,
        invalid_share: LIKELY_SHARE,
    },
    Fault {
        says: "the hypervisor took 10 % of the processors or more",
        is_hit: |w| w.steal >= STEAL_SHARE,
        suspect_share: SUSPECT_SHARE,
        invalid_share: CERTAIN_SHARE,
    },
    Fault {
        says: "timers fired 50 ms late or more",
        is_hit: |w| w.lateness >= LATE_SECONDS,
        suspect_share: SUSPECT_SHARE,
        invalid_share: CERTAIN_SHARE,
    },
    Fault {
        says: "the kernel dropped packets between namespaces (softnet backlog)",
        is_hit: |w| w.softnet_dropped > 0,
        suspect_share: 0.0,
        invalid_share: CERTAIN_SHARE,
    },
    Fault {
        says: "the engine dropped packets for want of room",
        is_hit: |w| w.links.engine_dropped > 0,
        suspect_share: 0.0,
        invalid_share: CERTAIN_SHARE,
    },
    Fault {
        says: "a saturated link carried less than 90 % or more than 105 % of its rate",
        is_hit: |w| w.links.off_pace > 0,
        suspect_share: SUSPECT_SHARE,
        invalid_share: CERTAIN_SHARE,
    },
    Fault {
        says: "peers' sockets dropped datagrams that they were too slow to take",
        is_hit: |w| w.links.receive_dropped >= RECEIVE_DROPPED_MIN,
        suspect_share: SUSPECT_SHARE,
        invalid_share: CERTAIN_SHARE,
    },
    Fault {
        says: "the user engine delivered one packet in a hundred 5 ms late or more",
        is_hit: |w| w.links.engine_lateness.is_some_and(|late| late >= ENGINE_LATE_SECONDS),
        suspect_share: SUSPECT_SHARE,
        invalid_share: CERTAIN_SHARE,
    },
];

/// At this use there is no room to run a peer the moment its packet arrives, so that peers, not links, set the pace.
pub(crate) const BUSY_SHARE: f64 = 0.95;
/// Stolen time stops all peers of a processor at once, shapers included; a tenth is felt in every completion time.
const STEAL_SHARE: f64 = 0.10;
/// `some` pressure counts whenever one task of all waits. Below this, waits are short turns of the scheduler; above, a
/// queue stands. Wild guess between a run of 200 idle peers (under 0.3) and a saturated host (over 0.9).
pub(crate) const PRESSURE_SHARE: f64 = 0.60;
/// A queue of usual access links holds 50 ms or more: a peer that is later than this lets its uplink run dry. As
/// `canary::LATE`.
const LATE_SECONDS: f64 = 0.050;
/// QUIC sends a few lost datagrams again and hardly slows down; ten in a second are the loss of 0.1 to 1 % that topologies
/// ask for on links of 10 to 100 Mbit/s.
const RECEIVE_DROPPED_MIN: u64 = 10;
/// A tenth of the queue of a usual access link, and a quarter of the delay of a short one; an idle host stays below 1 ms.
const ENGINE_LATE_SECONDS: f64 = 0.005;
/// More spells of trouble than these are a number and no list.
const SPANS_MAX: usize = 5;
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
                let t = 1_000.0 + i as f64 + 1.0;
                let mut window = Window { t, seconds: 1.0, measuring: true, ..Window::default() };
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
        let late = |i: usize, w: &mut Window| w.lateness = if i < 8 || i == 20 || i == 30 { 0.06 } else { 0.0 };
        let verdict = Verdict::of(&windows(40, late), 0.0);
        assert_eq!(verdict.state, State::Invalid);
        let reason = "timers fired 50 ms late or more in 25 % of the measured time (seconds 0–8, 20–21, 30–31)";
        assert_eq!(verdict.reasons, [reason]);
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
    fn a_single_packet_lost_inside_the_kernel_makes_a_run_suspect() {
        let dropped = |i: usize, w: &mut Window| w.softnet_dropped = u64::from(i == 50);
        let verdict = Verdict::of(&windows(100, dropped), 0.0);
        assert_eq!(verdict.state, State::Suspect);
        assert!(verdict.reasons[0].ends_with("in 1 % of the measured time (seconds 50–51)"), "{verdict:?}");
        let few = |_: usize, w: &mut Window| w.links.receive_dropped = 9;
        assert_eq!(Verdict::of(&windows(100, few), 0.0).state, State::Valid);
    }

    #[test]
    fn many_spells_of_trouble_are_counted_and_not_listed() {
        let late = |i: usize, w: &mut Window| w.lateness = if i.is_multiple_of(2) { 0.06 } else { 0.0 };
        let verdict = Verdict::of(&windows(20, late), 0.0);
        assert!(verdict.reasons[0].ends_with("(seconds 0–1, 2–3, 4–5, 6–7, 8–9 and 5 more spells)"), "{verdict:?}");
    }

    #[test]
    fn each_fault_is_seen_alone() {
        let changes: [fn(usize, &mut Window); 9] = [
            |_, w| w.busy = 1.0,
            |_, w| w.steal = 0.5,
            |_, w| w.pressure = Some(0.9),
            |_, w| w.lateness = 1.0,
            |_, w| w.softnet_dropped = 1,
            |_, w| w.links.engine_dropped = 1,
            |_, w| w.links.off_pace = 1,
            |_, w| w.links.receive_dropped = 10,
            |_, w| w.links.engine_lateness = Some(0.006),
        ];
        for change in changes {
            let verdict = Verdict::of(&windows(5, change), 0.0);
            assert_eq!((verdict.state, verdict.reasons.len()), (State::Invalid, 1));
        }
    }
}
