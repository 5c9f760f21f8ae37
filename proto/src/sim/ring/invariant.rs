//! Zave's inductive invariant, and what follows from it.
//!
//! From "Reasoning about identifier spaces: how to make Chord correct" (2017): every member has a live node in its list,
//! and there are at least L + 1 principals, members that nobody's list skips. Then the ring is one, ordered, and every
//! member reaches it.

use std::fmt;

use crate::ring::{Circle, Entry, Point};

/// What a member points at, placeholders included.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct View {
    /// Where it sits.
    pub me: Point,
    /// Its list.
    pub successors: Vec<Entry>,
}

/// How the invariant is broken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Broken {
    /// A member has only dead nodes in its list.
    NoLiveSuccessor {
        /// Which.
        member: Point,
    },
    /// Too many members are skipped by somebody's list.
    TooFewPrincipals {
        /// Members nobody skips.
        principals: Vec<Point>,
        /// How many there must be.
        needed: usize,
    },
    /// A list is not in clockwise order, or has an entry twice.
    Disorder {
        /// Whose.
        member: Point,
    },
    /// A list has another length than all lists must have.
    Length {
        /// Whose.
        member: Point,
    },
    /// Following first live successors from somewhere never ends in the one ring, or the ring is not ordered.
    NotOneRing {
        /// From where.
        member: Point,
    },
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoLiveSuccessor { member } => write!(f, "{member} has no live successor"),
            Self::TooFewPrincipals { principals, needed } => {
                write!(f, "{} principals {principals:?}, {needed} are needed", principals.len())
            }
            Self::Disorder { member } => write!(f, "the list of {member} is out of order"),
            Self::Length { member } => write!(f, "the list of {member} has the wrong length"),
            Self::NotOneRing { member } => write!(f, "{member} does not reach the one ordered ring"),
        }
    }
}

/// Checks the invariant over all live members, given in any order, and that lists are in order.
///
/// # Errors
/// The first way in which the invariant is broken.
pub fn check(circle: Circle, len: usize, members: &[View]) -> Result<(), Broken> {
    let is_live = |point: Point| members.iter().any(|member| member.me == point);
    for member in members {
        if member.successors.len() != len {
            return Err(Broken::Length { member: member.me });
        }
        if !member.successors.iter().any(|entry| is_contact(entry) && is_live(entry.point())) {
            return Err(Broken::NoLiveSuccessor { member: member.me });
        }
        check_order(circle, member)?;
    }
    let principals = principals(circle, members);
    if principals.len() < len + 1 {
        return Err(Broken::TooFewPrincipals { principals, needed: len + 1 });
    }
    Ok(())
}

/// Returns the members that lie strictly between no two adjacent entries of anybody's list.
#[must_use]
pub fn principals(circle: Circle, members: &[View]) -> Vec<Point> {
    let is_skipped = |point: Point| {
        members.iter().any(|member| {
            let mut before = member.me;
            member.successors.iter().any(|entry| {
                let skips = circle.is_between(before, point, entry.point());
                before = entry.point();
                skips
            })
        })
    };
    members.iter().map(|member| member.me).filter(|&point| !is_skipped(point)).collect()
}

fn check_order(circle: Circle, member: &View) -> Result<(), Broken> {
    let mut reached = 0;
    for entry in &member.successors {
        let away = circle.distance(member.me, entry.point());
        if away <= reached {
            return Err(Broken::Disorder { member: member.me });
        }
        reached = away;
    }
    Ok(())
}

/// Checks that first live successors lead from every member into the same cycle, and that it goes round once. Follows from
/// [`check`]; slower.
///
/// # Errors
/// The first way in which that is not so.
pub fn check_one_ring(members: &[View]) -> Result<(), Broken> {
    let next = |point: Point| {
        let member = members.iter().find(|member| member.me == point)?;
        let mut live = member.successors.iter().filter(|entry| is_contact(entry)).map(Entry::point);
        live.find(|point| members.iter().any(|member| member.me == *point))
    };
    let mut cycle: Option<Point> = None;
    for member in members {
        let mut at = member.me;
        for _ in 0..members.len() {
            at = next(at).ok_or(Broken::NoLiveSuccessor { member: at })?;
        }
        // `at` is in a cycle now. Its least point stands for it.
        let (mut least, mut walker, mut turns) = (at, at, 0);
        loop {
            let to = next(walker).ok_or(Broken::NoLiveSuccessor { member: walker })?;
            turns += u32::from(to <= walker);
            (walker, least) = (to, least.min(to));
            if walker == at {
                break;
            }
        }
        if turns != 1 || cycle.is_some_and(|cycle| cycle != least) {
            return Err(Broken::NotOneRing { member: member.me });
        }
        cycle = Some(least);
    }
    Ok(())
}

fn is_contact(entry: &Entry) -> bool {
    entry.contact().is_some()
}
