//! Carrying churn out: each peer's moves at their times, as the plan has drawn them.
//!
//! A peer that has not ended yet when it is to come back comes back as soon as it has. A move of a peer that another step has
//! taken away or brought back meanwhile is left out.

use peerbed_proto::{PeerId, Time};

use super::{Order, Process, Scenario, Stage};
use crate::plan::{self, Move, MoveKind};

/// How far one step's churn has come.
#[derive(Clone, Debug, Default)]
pub(super) struct Cursor {
    /// Index of the next move.
    next: usize,
    /// Those who are to come back as soon as they have ended.
    late: Vec<PeerId>,
}

impl Scenario {
    /// Makes every move of a running churn that is due.
    pub(super) fn advance_churn(&mut self, step: usize, since: Time, now: Time) {
        for peer in std::mem::take(&mut self.steps[step].churn.late) {
            self.come_back(step, peer);
        }
        while let Some(due) = self.next_move(step).filter(|due| since + due.at.0 <= now) {
            self.steps[step].churn.next += 1;
            match due.what {
                MoveKind::Join => self.come_back(step, due.peer),
                MoveKind::Crash | MoveKind::Leave if !self.is_wanted(due.peer) => {}
                MoveKind::Crash => {
                    self.tell_move(step, due.peer, due.what);
                    self.crash(step, now, &[due.peer]);
                }
                MoveKind::Leave => {
                    self.tell_move(step, due.peer, due.what);
                    self.leave(step, now, &[due.peer]);
                }
            }
        }
    }

    /// When a running churn has something to do next: its next move, or its end.
    pub(super) fn churn_deadline(&self, step: usize, since: Time, churn: &plan::Churn) -> Time {
        since + self.next_move(step).map_or(churn.length.0, |due| due.at.0)
    }

    /// Whether a churn that has made its moves is at its end.
    pub(super) fn has_churned(&self, step: usize, since: Time, now: Time, churn: &plan::Churn) -> bool {
        self.next_move(step).is_none() && self.steps[step].churn.late.is_empty() && now >= since + churn.length.0
    }

    /// Whether a running or waiting churn will still bring a peer back.
    pub(super) fn will_come_back(&self, step: usize, peer: PeerId) -> bool {
        let state = &self.steps[step];
        let Some(churn) = state.step.action.churn() else { return false };
        let to_come = churn.moves.get(state.churn.next..).unwrap_or_default();
        let returns = to_come.iter().any(|it| it.peer == peer && it.what == MoveKind::Join);
        state.stage != Stage::Ended && (returns || state.churn.late.contains(&peer))
    }

    fn next_move(&self, step: usize) -> Option<Move> {
        let state = &self.steps[step];
        state.step.action.churn()?.moves.get(state.churn.next).copied()
    }

    fn come_back(&mut self, step: usize, peer: PeerId) {
        match self.processes.get(&peer) {
            Some(Process::Dying | Process::Leaving) => self.steps[step].churn.late.push(peer),
            Some(Process::Down) => {
                self.tell_move(step, peer, MoveKind::Join);
                self.bring_up(step, &[peer]);
            }
            Some(Process::Up | Process::Starting) | None => {}
        }
    }

    fn tell_move(&mut self, step: usize, peer: PeerId, what: MoveKind) {
        self.orders.push(Order::Moved { step, peer, what });
    }
}
