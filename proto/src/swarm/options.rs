//! What can be set about a peer's behaviour in a swarm, with the textbook's values as defaults.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::conduct::Conduct;
use super::neighbour::PARTIALS_MAX;
use crate::time::seconds;

/// A peer's behaviour in a swarm. Intervals are at least 10 ms. In JSON, durations are numbers of seconds and every field may be left out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Options {
    /// Neighbours unchoked for their rate. 0 to 1 000, default 4: the textbook's "top four".
    pub regular_slots: u16,
    /// Neighbours unchoked by chance on top of those. 0 to 1 000, default 1, from the textbook.
    pub optimistic_slots: u16,
    /// Time between two rankings of the neighbours. Default 10 s, from the textbook.
    #[serde(with = "seconds")]
    pub choke_interval: Duration,
    /// Time between two optimistic choices. Default 30 s, from the textbook.
    #[serde(with = "seconds")]
    pub optimistic_interval: Duration,
    /// Whether neighbours are chosen at all. Default tit-for-tat, from the textbook; without it everybody who wants
    /// something is served in turns.
    pub choking: Choking,
    /// Whether this peer gives anything. Default always; a peer that never does is a free-rider.
    pub upload: Upload,
    /// When a slot that became free is given away. Default at once: waiting for the round costs up to 70 % of the
    /// distribution time in models and real clients.
    pub refill: Refill,
    /// Whom a peer that has everything serves. Default least served, because the others differ by up to a tenth in the
    /// distribution time.
    pub seeding: Seeding,
    /// What a peer does once it has everything it came for. Default stay, until it is told to go. A peer that began with
    /// everything stays in any case.
    pub leaving: Leaving,
    /// Pieces' worth of payload that a lingering peer uploads after its completion. Default 1: that much from everybody
    /// keeps an open swarm stable almost without seeds (Zhu & Hajek 2012).
    pub linger_pieces: u16,
    /// Whether the peer follows the protocol. Default correct; the others are there to test what it costs everybody else.
    /// The core is correct in any case: drivers tamper with what it puts out.
    pub conduct: Conduct,
    /// Which piece is fetched next. Default rarest first, from the textbook.
    pub pieces: PieceChoice,
    /// Which of several pieces that are equally good is fetched next. Default by chance, so that neighbours fetch
    /// different ones.
    pub ties: Ties,
    /// What happens when every missing leaf has been asked for. Default steal: slow neighbours do not hold up the end.
    pub endgame: Endgame,
    /// Whether neighbours tell each other whom they are connected to. Default off: the textbook's swarm knows what its tracker
    /// says. On, a swarm whose tracker is gone goes on growing together.
    pub exchange: Exchange,
    /// Window over which a neighbour's rate is measured for the ranking. Default 20 s, from Cohen's paper.
    #[serde(with = "seconds")]
    pub rate_window: Duration,
    /// How much likelier a newcomer is to be the optimistic choice. Default 3, from BEP 3.
    pub newcomer_weight: u16,
    /// Neighbours this peer looks for by dialling. Default 30, as common clients; at least 15 are needed to come close
    /// to the bound.
    pub dial_degree: u16,
    /// Most neighbours at a time, dialled or accepted; more are hung up on. Default 80, so that those who announced
    /// first can take in those who come later.
    pub degree: u16,
    /// How long news for neighbours that may request waits for more news. Default 100 ms.
    #[serde(with = "seconds")]
    pub announce_coalesce: Duration,
    /// How long news for all other neighbours waits for more news. Default 1 s: they cannot use it sooner, and a packet
    /// per piece and neighbour would cost a thin uplink about a hundredth.
    #[serde(with = "seconds")]
    pub background_coalesce: Duration,
    /// Time a neighbour's queue of our requests lasts beyond one round trip, at its rate. Default 250 ms; never fewer
    /// than two runs are asked for. Longer queues fix the order too far ahead.
    #[serde(with = "seconds")]
    pub pipeline: Duration,
    /// Time one run takes at a neighbour's rate; a run is never shorter than a leaf or longer than a piece.
    /// Default 50 ms.
    #[serde(with = "seconds")]
    pub run_length: Duration,
    /// Time the runs under way to all neighbours together take at our uplink's rate, beyond the time until a run that
    /// waits for nothing is confirmed. Default 200 ms: enough that the uplink never waits for the core, and little enough
    /// that a leaf soon goes out once its turn has come.
    #[serde(with = "seconds")]
    pub upload_window: Duration,
    /// A neighbour that has unchoked us and sends nothing we asked for during this time is snubbed: its requests go
    /// elsewhere. Default 20 s.
    #[serde(with = "seconds")]
    pub snub_after: Duration,
    /// Pieces fetched at a time, 1 to 256. Default 64; bounds memory and the size of announcements.
    pub pieces_in_progress: u16,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            regular_slots: 4,
            optimistic_slots: 1,
            choke_interval: Duration::from_secs(10),
            optimistic_interval: Duration::from_secs(30),
            choking: Choking::TitForTat,
            upload: Upload::Always,
            refill: Refill::AtOnce,
            seeding: Seeding::LeastServed,
            leaving: Leaving::Stay,
            linger_pieces: 1,
            conduct: Conduct::Correct,
            pieces: PieceChoice::RarestFirst,
            ties: Ties::ByChance,
            endgame: Endgame::Steal,
            exchange: Exchange::None,
            rate_window: Duration::from_secs(20),
            newcomer_weight: 3,
            dial_degree: 30,
            degree: 80,
            announce_coalesce: Duration::from_millis(100),
            background_coalesce: Duration::from_secs(1),
            pipeline: Duration::from_millis(250),
            run_length: Duration::from_millis(50),
            upload_window: Duration::from_millis(200),
            snub_after: Duration::from_secs(20),
            pieces_in_progress: 64,
        }
    }
}

impl Options {
    /// Takes values that could not work for the nearest that can: at least a neighbour, a piece, and time between two
    /// rounds; at most as many pieces in progress as neighbours remember.
    #[must_use]
    pub fn within_limits(mut self) -> Self {
        self.choke_interval = self.choke_interval.max(ROUND_MIN);
        self.optimistic_interval = self.optimistic_interval.max(ROUND_MIN);
        self.snub_after = self.snub_after.max(ROUND_MIN);
        self.regular_slots = self.regular_slots.min(SLOTS_MAX);
        self.optimistic_slots = self.optimistic_slots.min(SLOTS_MAX);
        self.degree = self.degree.max(1);
        self.pieces_in_progress = self.pieces_in_progress.clamp(1, PARTIALS_MAX as u16);
        self
    }

    /// Most neighbours unchoked at a time.
    #[must_use]
    pub fn slots(&self) -> usize {
        match self.choking {
            Choking::TitForTat => usize::from(self.regular_slots) + usize::from(self.optimistic_slots),
            Choking::None => usize::from(self.degree),
        }
    }
}

/// Whether neighbours tell each other of further peers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Exchange {
    /// They do, and believe each other as far as certificates prove it.
    Neighbours,
    /// They do not, and ignore what others say.
    None,
}

/// How neighbours come to be served.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Choking {
    /// A few at a time: those who give most, and one by chance.
    TitForTat,
    /// Everybody who wants something, whatever they give. Slots mean nothing then.
    None,
}

/// Whether a peer gives anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Upload {
    /// To whoever holds a slot.
    Always,
    /// Nothing to nobody. It says what it has, as any peer.
    Never,
}

/// What a peer does once it has everything.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Leaving {
    /// It stays and serves.
    Stay,
    /// It leaves at once, in good order.
    OnCompletion,
    /// It leaves after having uploaded some pieces more; see [`Options::linger_pieces`].
    Linger,
}

/// Which piece is fetched next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PieceChoice {
    /// The one that fewest neighbours have, leaf by leaf.
    RarestFirst,
    /// Any; what is begun before what is new.
    Random,
    /// The first that is missing, as a player would.
    Sequential,
}

/// Which of equally good pieces is fetched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ties {
    /// Any of them.
    ByChance,
    /// The one with the lowest number.
    Lowest,
}

/// What happens to the last leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Endgame {
    /// What a much slower neighbour was asked for is asked of a faster one too; the loser is told.
    Steal,
    /// Each leaf stays with the neighbour it was asked of, unless that one is snubbed.
    Off,
}

/// When a free slot is given to another neighbour.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Refill {
    /// As soon as somebody interested is there.
    AtOnce,
    /// At the next choke round, as plain BitTorrent is often described.
    AtRound,
}

/// Whom a peer that has everything unchokes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Seeding {
    /// Neighbours take turns of about a piece; next is who has got least. New content spreads over all of them, so that
    /// each soon has something for the others.
    LeastServed,
    /// In turns, too, but each neighbour is shown one piece at a time, and each piece to one neighbour only, until
    /// everything has been sent once. For peers that have everything from the start; others serve the least served.
    SuperSeeding,
    /// Those who take it fastest, and one by chance, ranked every round as while fetching (BEP 3).
    FastestUpload,
}

/// Most slots of a kind: more than any peer has neighbours.
const SLOTS_MAX: u16 = 1_000;

/// Shortest time between two rounds.
const ROUND_MIN: Duration = Duration::from_millis(10);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_written_and_read_with_seconds_and_dashes() {
        let json = serde_json::to_string(&Options::default()).unwrap();
        assert!(json.contains("\"choke-interval\":10.0") && json.contains("\"refill\":\"at-once\""), "{json}");
        assert_eq!(serde_json::from_str::<Options>(&json).unwrap(), Options::default());
    }

    #[test]
    fn what_is_left_out_has_its_default_and_unknown_names_are_refused() {
        let options: Options = serde_json::from_str("{\"regular-slots\": 2}").unwrap();
        assert_eq!(options, Options { regular_slots: 2, ..Options::default() });
        assert!(serde_json::from_str::<Options>("{\"slots\": 2}").is_err());
        assert!(serde_json::from_str::<Options>("{\"snub-after\": -1}").is_err());
    }

    #[test]
    fn values_that_could_not_work_are_moved_to_the_nearest_that_can() {
        let zero = Duration::ZERO;
        let options = Options { choke_interval: zero, degree: 0, pieces_in_progress: 5_000, ..Options::default() };
        let options = Options { optimistic_slots: 5_000, ..options }.within_limits();
        assert_eq!((options.regular_slots, options.optimistic_slots), (4, SLOTS_MAX));
        assert_eq!((options.choke_interval, options.degree, options.pieces_in_progress), (ROUND_MIN, 1, 256));
        assert_eq!(Options::default().within_limits(), Options::default());
    }
}
