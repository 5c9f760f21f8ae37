//! What members point at while messages are under way, and what the environment rule and the invariant say about it.

use super::super::Rule;
use super::World;
use crate::ring::{Answer, Entry, Message, Point, Ring};
use crate::sim::ring::Sealed;
use crate::sim::ring::invariant::{self, Broken, View};

impl World {
    /// The environment rule: every other member keeps a live successor, and there are principals to spare.
    pub(super) fn may_fail(&self, place: usize) -> bool {
        if self.plan.rule == Rule::Broken {
            return place != 0;
        }
        [0, 1].into_iter().all(|order| self.spares(&self.views(order), self.contacts[place].point))
    }

    fn spares(&self, views: &[View], dead: Point) -> bool {
        let principals = invariant::principals(self.circle, views);
        if principals.contains(&dead) && principals.len() <= usize::from(self.plan.list) + 1 {
            return false;
        }
        let live = |entry: &Entry| {
            entry
                .contact()
                .is_some_and(|contact| contact.point != dead && views.iter().any(|view| view.me == contact.point))
        };
        views.iter().filter(|view| view.me != dead).all(|view| view.successors.iter().any(live))
    }

    pub(super) fn check(&mut self) -> Result<(), Broken> {
        self.tally.checks += 1;
        invariant::check(self.circle, self.plan.list.into(), &self.views(0))?;
        invariant::check(self.circle, self.plan.list.into(), &self.views(1))
    }

    pub(super) fn views(&self, order: usize) -> Vec<View> {
        self.actors.iter().flatten().filter_map(|actor| actor.views[order].clone()).collect()
    }

    /// Works out a member's view: a step counts as taken when the other node has answered.
    pub(super) fn refresh(&mut self, place: usize) {
        let Some(actor) = &mut self.actors[place] else { return };
        let me = actor.ring.me();
        let mut answers: Vec<&Sealed> =
            self.in_flight.iter().filter(|sealed| sealed.to == me && is_decisive(&sealed.message)).collect();
        let now = actor.now;
        let view = |answers: &[&Sealed], ring: &Ring| {
            let mut later = (!answers.is_empty()).then(|| ring.clone());
            if let Some(later) = &mut later {
                answers.iter().for_each(|sealed| later.handle_message(now, sealed.from, sealed.message.clone()));
            }
            let ring = later.as_ref().unwrap_or(ring);
            ring.standing().is_member().then(|| View { me: me.point, successors: ring.successors().to_vec() })
        };
        let forward = view(&answers, &actor.ring);
        answers.reverse();
        let backward = if answers.len() > 1 { view(&answers, &actor.ring) } else { forward.clone() };
        actor.views = [forward, backward];
    }
}

/// Answers that change pointers: another node's, or its word that it is no member.
pub(super) fn is_decisive(message: &Message) -> bool {
    matches!(message, Message::Answer { answer: Answer::State { .. } | Answer::NotMember, .. })
}
