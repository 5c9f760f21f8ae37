//! Churn in a plan: who goes and who comes back, and when, all drawn before the run.
//!
//! Carrying it out is the scenario's. The laws of session lengths are in `lifetimes`.

use std::time::Duration;

use peerbed_proto::{PeerId, Random};
use serde::{Deserialize, Serialize};

use super::lifetimes::Lifetimes;
use crate::units::Span;

/// Peers that go and come back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Churn {
    /// From its beginning to its end. Who is away then stays away.
    pub length: Span,
    /// What happens, in the order of time.
    pub moves: Vec<Move>,
}

/// One coming or going.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Move {
    /// When, since the churn's beginning.
    pub at: Span,
    /// Who.
    pub peer: PeerId,
    /// What.
    pub what: MoveKind,
}

/// What a peer does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MoveKind {
    /// Its process is killed.
    Crash,
    /// It leaves in order.
    Leave,
    /// It comes back, with what it has on disk.
    Join,
}

impl MoveKind {
    /// The word that steps have for it: `crash`, `leave` or `join`.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Crash => "crash",
            Self::Leave => "leave",
            Self::Join => "join",
        }
    }
}

/// What churn is drawn from.
#[derive(Clone, Debug, PartialEq)]
pub struct Habits {
    /// How long peers stay.
    pub session: Lifetimes,
    /// How long they stay away.
    pub absence: Lifetimes,
    /// Share of those who go that leave in order, 0 to 1; the others are killed.
    pub orderly: f64,
    /// The sessions under way at the beginning have lasted for up to this long.
    pub warm_up: Duration,
}

impl Churn {
    /// Draws what each of `peers` does in `length`, from a random stream of its own: that one more takes part changes nothing
    /// for the others. With each peer, whether it is up at the beginning.
    #[must_use]
    pub fn draw(peers: &[(PeerId, bool)], habits: &Habits, length: Span, seed: u64, purpose: &str) -> Self {
        let mut moves = Vec::new();
        for (peer, is_up) in peers {
            let mut random = Random::new(seed, &format!("{purpose} churn {}", peer.0));
            moves.extend(course(*peer, *is_up, habits, length, &mut random));
        }
        moves.sort_by_key(|it| (it.at, it.peer));
        Self { length, moves }
    }

    /// Whether this peer ever goes or comes.
    #[must_use]
    pub fn moves_peer(&self, peer: PeerId) -> bool {
        self.moves.iter().any(|it| it.peer == peer)
    }

    /// How many peers go and how many come back.
    #[must_use]
    pub fn counts(&self) -> (usize, usize) {
        let joins = self.moves.iter().filter(|it| it.what == MoveKind::Join).count();
        (self.moves.len() - joins, joins)
    }
}

/// One peer's comings and goings.
fn course(peer: PeerId, is_up: bool, habits: &Habits, length: Span, random: &mut Random) -> Vec<Move> {
    let mut moves = Vec::new();
    let law = |is_up: bool| if is_up { &habits.session } else { &habits.absence };
    let age = habits.warm_up.as_secs_f64() * random.fraction();
    let mut is_up = is_up;
    let mut at = law(is_up).draw_rest(age, random).max(SHORTEST_SECONDS);
    while at < length.seconds() && moves.len() < MOVES_MAX {
        let what = match is_up {
            false => MoveKind::Join,
            true if random.fraction() < habits.orderly => MoveKind::Leave,
            true => MoveKind::Crash,
        };
        moves.push(Move { at: Span::of_drawn(Duration::from_secs_f64(at)), peer, what });
        is_up = !is_up;
        at += law(is_up).draw(random).max(SHORTEST_SECONDS);
    }
    moves
}

/// The shortest session or absence, in seconds: less than this is no more than starting a process and joining takes.
const SHORTEST_SECONDS: f64 = 2.0;
/// Most moves of one peer: with sessions of two seconds and absences of two, these are eleven hours.
const MOVES_MAX: usize = 20_000;

#[cfg(test)]
mod tests {
    use super::super::lifetimes::{Law, Middle};
    use super::*;

    fn lifetimes(mean_seconds: u64) -> Lifetimes {
        Lifetimes::new(Law::Exponential, Middle::Mean(Duration::from_secs(mean_seconds))).unwrap()
    }

    fn habits(session: u64, absence: u64, orderly: f64) -> Habits {
        Habits { session: lifetimes(session), absence: lifetimes(absence), orderly, warm_up: Duration::ZERO }
    }

    fn peers(count: u32) -> Vec<(PeerId, bool)> {
        (1..=count).map(|peer| (PeerId(peer), true)).collect()
    }

    const HOUR: Span = Span(Duration::from_secs(3_600));

    #[test]
    fn a_constant_law_gives_exactly_these_moves() {
        let always = |seconds: f64| Lifetimes::new(Law::Observed(vec![seconds]), Middle::AsObserved).unwrap();
        let habits = Habits { session: always(10.0), absence: always(0.5), orderly: 0.0, warm_up: Duration::ZERO };
        let churn =
            Churn::draw(&[(PeerId(7), true), (PeerId(8), false)], &habits, Span(Duration::from_secs(25)), 1, "");
        let moves: Vec<(u128, u32, MoveKind)> =
            churn.moves.iter().map(|it| (it.at.0.as_millis(), it.peer.0, it.what)).collect();
        // An absence of half a second is one of two.
        let expected = [
            (2_000, 8, MoveKind::Join),
            (10_000, 7, MoveKind::Crash),
            (12_000, 7, MoveKind::Join),
            (12_000, 8, MoveKind::Crash),
            (14_000, 8, MoveKind::Join),
            (22_000, 7, MoveKind::Crash),
            (24_000, 7, MoveKind::Join),
            (24_000, 8, MoveKind::Crash),
        ];
        assert_eq!(moves, expected);
        assert_eq!(churn.counts(), (4, 4));
    }

    #[test]
    fn as_many_go_as_session_and_absence_say_and_as_many_in_order_as_asked_for() {
        let churn = Churn::draw(&peers(64), &habits(100, 20, 0.25), HOUR, 3, "step 2");
        let (gone, back) = churn.counts();
        // 64 peers for an hour, each going once in 120 s.
        assert!((1_780..=2_060).contains(&gone), "{gone} are far from 1920");
        assert!(gone - back <= 64);
        let orderly = churn.moves.iter().filter(|it| it.what == MoveKind::Leave).count() as f64;
        assert!((0.21..=0.29).contains(&(orderly / gone as f64)), "{orderly} of {gone}");
        assert!(churn.moves.is_sorted_by_key(|it| it.at));
    }

    #[test]
    fn the_same_seed_gives_the_same_moves_and_another_peer_changes_nothing_for_the_others() {
        let draw = |count, seed| Churn::draw(&peers(count), &habits(50, 10, 0.0), HOUR, seed, "step 2");
        assert_eq!(draw(8, 3), draw(8, 3));
        assert_ne!(draw(8, 3), draw(8, 4));
        let mut nine = draw(9, 3);
        nine.moves.retain(|it| it.peer != PeerId(9));
        assert_eq!(nine, draw(8, 3));
    }

    #[test]
    fn each_peer_goes_and_comes_in_turn_and_no_faster_than_two_seconds() {
        let churn = Churn::draw(&peers(8), &habits(3, 3, 0.5), HOUR, 9, "");
        for peer in 1..=8 {
            let own: Vec<&Move> = churn.moves.iter().filter(|it| it.peer == PeerId(peer)).collect();
            for pair in own.windows(2) {
                assert_ne!(pair[0].what == MoveKind::Join, pair[1].what == MoveKind::Join);
                assert!(pair[1].at.0 - pair[0].at.0 >= Duration::from_millis(1_999), "{pair:?}");
            }
        }
    }
}
