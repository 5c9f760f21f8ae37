//! What we know about one neighbour.

use std::collections::BTreeMap;
use std::time::Duration;

use super::announce::News;
use super::downloads::Downloads;
use super::exchange::Introductions;
use super::options::Options;
use super::pieces::Pieces;
use super::uploads::Uploads;
use crate::bits::{LeafSet, PieceSet};
use crate::time::Time;

/// A connected peer.
#[derive(Debug)]
pub(super) struct Neighbour {
    pub(super) since: Time,
    /// Whether its hello came; nothing else is accepted before.
    pub(super) greeted: bool,
    /// Its whole pieces.
    pub(super) have: PieceSet,
    /// Its leaves of pieces it is fetching; an empty set where only a start is known. At most [`PARTIALS_MAX`], and never
    /// of a piece in `have`.
    pub(super) partial: BTreeMap<u32, LeafSet>,
    /// How many of its whole pieces we lack.
    pub(super) useful: u32,
    /// Whether we told it that we are interested.
    pub(super) interesting: bool,
    /// Since when it has had nothing for us although we told it so.
    pub(super) dull_since: Option<Time>,
    /// Whether it told us that it is interested.
    pub(super) interested: bool,
    /// Whether it may request, and why.
    pub(super) slot: Slot,
    /// Whether we may request.
    pub(super) unchoked_us: bool,
    pub(super) downloads: Downloads,
    pub(super) uploads: Uploads,
    pub(super) news: News,
    pub(super) introductions: Introductions,
}

/// Whether a neighbour is unchoked, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Slot {
    /// It is choked.
    None,
    /// For its rate.
    Regular,
    /// By chance.
    Optimistic,
}

impl Neighbour {
    pub(super) fn new(pieces: u32, options: &Options, now: Time) -> Self {
        Self {
            since: now,
            greeted: false,
            have: PieceSet::empty(pieces),
            partial: BTreeMap::new(),
            useful: 0,
            interesting: false,
            dull_since: None,
            interested: false,
            slot: Slot::None,
            unchoked_us: false,
            downloads: Downloads::new(options, now),
            uploads: Uploads::new(options),
            news: News::default(),
            introductions: Introductions::default(),
        }
    }

    pub(super) fn is_unchoked(&self) -> bool {
        self.slot != Slot::None
    }

    /// Whether it has a leaf, as far as we know.
    pub(super) fn has_leaf(&self, piece: u32, leaf: u16) -> bool {
        self.have.contains(piece) || self.partial.get(&piece).is_some_and(|leaves| leaves.contains(u32::from(leaf)))
    }

    /// Whether it has, or may have, something we lack.
    pub(super) fn has_something_for(&self, pieces: &Pieces) -> bool {
        self.useful > 0 || self.partial.iter().any(|(&piece, leaves)| pieces.lacks_some_of(piece, leaves))
    }

    /// Whether leaf by leaf news is of use to it: it may request, or would not know that it should want to.
    pub(super) fn wants_detail(&self) -> bool {
        self.is_unchoked() || !self.interested
    }

    /// Whether it has been here for less than a choke round or two, or has no piece yet.
    pub(super) fn is_newcomer(&self, now: Time, round: Duration) -> bool {
        self.have.is_empty() || now - self.since < round
    }
}

/// Most pieces in progress remembered of a neighbour; what it says about more is ignored and counted.
pub(super) const PARTIALS_MAX: usize = 256;
