//! The least time a distribution can take with the nominal rates of its links, and what makes it so.
//!
//! Client-server and swarm bounds follow Kurose & Ross: D_cs ≥ max{N F/u_s, F/d_min} and
//! D_p2p ≥ max{F/u_s, F/d_min, N F/(u_s + Σ u_i)}. In the fluid model both are attained (Kumar & Ross 2006). The optimum
//! with whole pieces follows Mundinger, Weber & Weiss (2008).
//!
//! Rates are counted over IP packets, while a file's bytes travel inside them; a real transfer therefore stays a few per
//! cent above these bounds.

use std::{collections::BTreeSet, fmt};

use peerbed_proto::{
    PeerId,
    content::LEAF,
    swarm::{Choking, PieceChoice, Refill},
};

use crate::{
    plan::{Distribute, Plan, Via},
    units::{Rate, Size},
};

pub mod model;
#[cfg(test)]
mod tests;

/// A least distribution time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bound {
    /// The time in seconds.
    pub seconds: f64,
    /// The term that binds; of equal ones the first in the order of [`Term`].
    pub term: Term,
}

/// A term of a bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Term {
    /// Client-server: the server sends every client its copy, N F/u_s.
    ServerUpload,
    /// Swarm: the seeds send every byte at least once, F/u_s.
    SeedUpload,
    /// The peer with the slowest download gets every byte once, F/d_min.
    SlowestDownload,
    /// Swarm: everyone together uploads all copies, N F/(u_s + Σ u_i).
    TotalUpload,
}

/// The name used in files, tables and messages.
impl fmt::Display for Term {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ServerUpload => "server-upload",
            Self::SeedUpload => "seed-upload",
            Self::SlowestDownload => "slowest-download",
            Self::TotalUpload => "total-upload",
        })
    }
}

/// The rates of those who take part in a distribution. None is a direction without limit; a rate of zero is that of a
/// peer that gives nothing (a free-rider).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rates {
    /// Upload of everyone who has the file at the begin.
    pub from_up: Vec<Option<Rate>>,
    /// Upload of everyone the file is addressed to.
    pub to_up: Vec<Option<Rate>>,
    /// Download of those whose completion is waited for.
    pub to_down: Vec<Option<Rate>>,
}

impl Rates {
    /// The rates of a distribution's participants, with the completion of `required` waited for.
    #[must_use]
    pub fn of(plan: &Plan, distribute: &Distribute, required: &BTreeSet<PeerId>) -> Self {
        let link = |id: &PeerId| plan.link_of(*id);
        let up = |id: &PeerId| match distribute.is_free_rider(*id) {
            true => Some(Rate(0)),
            false => link(id).and_then(|link| link.up.rate),
        };
        let down = |id: &PeerId| link(id).and_then(|link| link.down.rate);
        Self {
            from_up: distribute.from.iter().map(up).collect(),
            to_up: distribute.to.iter().map(up).collect(),
            to_down: distribute.to.iter().filter(|id| required.contains(id)).map(down).collect(),
        }
    }
}

/// The bound of a distribution of `bytes`, when the completion of `required` is waited for; none where nothing bounds
/// it, because nobody is waited for or no rate limits anything.
///
/// Peers that are not waited for still count as uploaders, so that the bound holds whatever they do.
#[must_use]
pub fn bound(plan: &Plan, distribute: &Distribute, required: &BTreeSet<PeerId>, bytes: u64) -> Option<Bound> {
    let rates = Rates::of(plan, distribute, required);
    match distribute.via {
        Via::ClientServer => client_server(bytes, &rates),
        Via::Swarm => swarm(bytes, &rates),
    }
}

/// The least time when only whole pieces are passed on, where it is known: for swarms whose uploads are all equal.
#[must_use]
pub fn optimum(plan: &Plan, distribute: &Distribute, required: &BTreeSet<PeerId>, bytes: u64) -> Option<f64> {
    if distribute.via != Via::Swarm || required.len() != distribute.to.len() {
        return None;
    }
    let piece = plan.files.iter().find(|file| file.name == distribute.file)?.piece;
    whole_pieces(bytes, piece, &Rates::of(plan, distribute, required))
}

/// What the rules of this swarm give on an ideal network, in seconds; none where the model knows no such rules, some rate
/// has no limit, or somebody is not waited for.
#[must_use]
pub fn ideal(plan: &Plan, distribute: &Distribute, required: &BTreeSet<PeerId>, bytes: u64) -> Option<f64> {
    let options = distribute.options_of(*distribute.to.first()?);
    // Programs of somebody else's follow rules of their own.
    let known =
        distribute.program.is_none() && options.pieces == PieceChoice::RarestFirst && options.refill == Refill::AtOnce;
    if distribute.via != Via::Swarm || required.len() != distribute.to.len() || !known {
        return None;
    }
    let rates = Rates::of(plan, distribute, required);
    let units = |rate: &Option<Rate>| rate.map(|rate| rate.0 as f64 / 8.0 / f64::from(LEAF));
    let setting = model::Setting {
        seed_rate: rates.from_up.iter().map(units).sum::<Option<f64>>()?,
        rates: rates.to_up.iter().map(units).collect::<Option<_>>()?,
        units: usize::try_from(bytes.div_ceil(u64::from(LEAF))).ok()?,
        regular_slots: options.regular_slots.into(),
        optimistic_slots: options.optimistic_slots.into(),
        choke_interval: (options.choking == Choking::TitForTat).then_some(options.choke_interval.as_secs_f64()),
    };
    model::last_completion(&setting, plan.seed)
}

/// D_cs ≥ max{N F/u_s, F/d_min}.
#[must_use]
pub fn client_server(bytes: u64, rates: &Rates) -> Option<Bound> {
    let copies = rates.to_down.len() as f64;
    let bits = bytes as f64 * 8.0;
    largest([
        (Term::ServerUpload, time(copies * bits, sum(&rates.from_up))),
        (Term::SlowestDownload, time(bits, slowest(&rates.to_down))),
    ])
    .filter(|_| copies > 0.0)
}

/// D_p2p ≥ max{F/u_s, F/d_min, N F/(u_s + Σ u_i)}; u_s is the upload of all seeds together.
#[must_use]
pub fn swarm(bytes: u64, rates: &Rates) -> Option<Bound> {
    let copies = rates.to_down.len() as f64;
    let bits = bytes as f64 * 8.0;
    let everyone: Vec<_> = rates.from_up.iter().chain(&rates.to_up).copied().collect();
    largest([
        (Term::SeedUpload, time(bits, sum(&rates.from_up))),
        (Term::SlowestDownload, time(bits, slowest(&rates.to_down))),
        (Term::TotalUpload, time(copies * bits, sum(&everyone))),
    ])
    .filter(|_| copies > 0.0)
}

/// M + ⌊log₂ N⌋ times the time of a piece, for one seed and N peers that all upload at the same rate, download at least
/// as fast, and share M whole pieces. Other cases are not known in closed form.
#[must_use]
pub fn whole_pieces(bytes: u64, piece: Size, rates: &Rates) -> Option<f64> {
    let [Some(up)] = rates.from_up[..] else { return None };
    let are_equal = rates.to_up.iter().all(|other| *other == Some(up));
    let are_unhindered = rates.to_down.iter().all(|down| down.is_none_or(|down| down >= up));
    let peers = rates.to_up.len();
    if peers == 0 || up == Rate(0) || bytes == 0 || !are_equal || !are_unhindered || !bytes.is_multiple_of(piece.0) {
        return None;
    }
    let piece_times = bytes / piece.0 + u64::from(peers.ilog2());
    Some(piece_times as f64 * piece.0 as f64 * 8.0 / up.0 as f64)
}

/// Seconds that some bits need; none where nothing limits them. Infinite where nothing at all is uploaded.
fn time(bits: f64, rate: Option<u64>) -> Option<f64> {
    rate.map(|rate| bits / rate as f64)
}

/// The rates together; none as soon as one has no limit.
fn sum(rates: &[Option<Rate>]) -> Option<u64> {
    rates.iter().try_fold(0_u64, |sum, rate| rate.map(|rate| sum.saturating_add(rate.0)))
}

/// The slowest rate; none where no rate has a limit.
fn slowest(rates: &[Option<Rate>]) -> Option<u64> {
    rates.iter().flatten().map(|rate| rate.0).min()
}

/// The largest of the terms that there are, the first of equal ones.
fn largest<const TERMS: usize>(terms: [(Term, Option<f64>); TERMS]) -> Option<Bound> {
    let mut bound: Option<Bound> = None;
    for (term, seconds) in terms {
        if let Some(seconds) = seconds.filter(|seconds| bound.is_none_or(|bound| *seconds > bound.seconds)) {
            bound = Some(Bound { seconds, term });
        }
    }
    bound.filter(|bound| bound.seconds.is_finite())
}
