//! Which part of a node gets which input: one match per kind of input, no decisions.

use super::*;

impl Ring {
    pub(super) fn on_question(&mut self, now: Time, from: Contact, number: u32, question: Question) {
        let core = &mut self.core;
        if !core.standing.is_member() {
            let answer = if self.join.is_asking() { Answer::Busy } else { Answer::NotMember };
            return core.answer(from, number, answer);
        }
        let answer = match question {
            Question::Ping => Answer::Alive,
            Question::State if self.stabilise.is_busy() => Answer::Busy,
            Question::State => {
                Answer::State { predecessor: core.predecessor, successors: core.successors.entries().to_vec() }
            }
            Question::Fingers => {
                let mut fingers: Vec<Contact> = core.fingers.contacts().collect();
                fingers.dedup();
                Answer::Fingers(fingers)
            }
            Question::Next { key, short_of } => {
                let step = routing::step(now, core, key, short_of);
                Answer::Step { closer: step.closer, more: step.more, successors: step.successors }
            }
            Question::Owns { key } => Answer::Owns {
                mine: core.ownership(key),
                predecessor: core.predecessor,
                successors: core.successors.entries().to_vec(),
            },
            Question::Forward(forward) => {
                core.answer(from, number, Answer::Accepted);
                return recursive::on_forward(now, core, forward);
            }
            Question::Data(question) => match self.data.on_question(now, core, from, number, question) {
                Some(answer) => Answer::Data(answer),
                None => return,
            },
        };
        self.core.answer(from, number, answer);
    }

    pub(super) fn on_note(&mut self, now: Time, from: Contact, note: Note) {
        if !self.core.standing.is_member() {
            return;
        }
        match note {
            Note::Notify => {
                self.rectify.on_notify(now, &mut self.core, from);
                self.orphan.on_notify(now, &mut self.core, from);
            }
            Note::Skipped => self.stabilise.suggest(now, &mut self.core, from),
            Note::Found(found) => self.lookups.on_found(now, &mut self.core, found),
            // A hint only: pointers change when the node is found gone.
            Note::Leaving => self.core.take_hint(now),
        }
    }

    pub(super) fn on_answer(&mut self, now: Time, call: Call, answer: Answer) {
        let Call { to, purpose, .. } = call;
        if answer == Answer::NotMember {
            self.core.bury(now, to);
            return self.on_reply(now, to, purpose, Err(Silence::Dead));
        }
        if !fits(&purpose, &answer) {
            self.core.stats.answers_bad += 1;
        }
        self.on_reply(now, to, purpose, Ok(answer));
    }

    /// Nobody answered in all attempts. Who could be replaced may only be slow: then a ping tells, and nobody else is sent
    /// there before it has.
    pub(super) fn on_silence(&mut self, now: Time, call: Call) {
        let Call { to, purpose, ref question, .. } = call;
        if !question.is_replaceable() {
            self.core.bury(now, to);
            return self.on_reply(now, to, purpose, Err(Silence::Dead));
        }
        if !self.core.is_suspect(now, to) {
            self.core.suspect(now, to);
            self.core.ask(now, to, Question::Ping, Purpose::Probe);
        }
        self.on_reply(now, to, purpose, Err(Silence::Slow));
    }

    pub(super) fn on_reply(&mut self, now: Time, to: Contact, purpose: Purpose, reply: Reply) {
        let core = &mut self.core;
        match purpose {
            Purpose::StabiliseSuccessor => self.stabilise.on_successor(now, core, to, reply),
            Purpose::StabilisePredecessor => self.stabilise.on_predecessor(now, core, to, reply),
            // Who does not answer is buried already, which is all there is to do.
            Purpose::PingSuccessor => {
                let is_new = core.calls.round_trips.mean(to.peer).is_none();
                core.stats.entries_false += u64::from(is_new && matches!(reply, Err(Silence::Dead)));
            }
            Purpose::Probe => {}
            Purpose::PingPredecessor => self.rectify.on_predecessor(core, reply),
            Purpose::PingFinger => self.fingers.on_ping(core, to, reply),
            Purpose::PingAcquaintance => self.orphan.on_ping(now, core, to, reply),
            Purpose::JoinState => self.join.on_state(now, core, to, reply),
            Purpose::JoinFingers => {
                if let Ok(Answer::Fingers(fingers)) = reply
                    && core.options.routing == Routing::Fingers
                {
                    let known: Vec<Contact> =
                        fingers.into_iter().filter(|finger| core.circle.contains(finger.point)).collect();
                    core.fingers.fill(core.circle, core.me, &known);
                }
            }
            Purpose::Step { lookup } => self.lookups.on_step(now, core, lookup, to, reply),
            Purpose::Confirm { lookup } => self.lookups.on_confirm(now, core, lookup, to, reply),
            Purpose::Forward(passing) => recursive::on_reply(now, core, *passing, reply),
            Purpose::Operation { operation } => self.data.on_operation(now, core, operation, to, reply),
            Purpose::Replica { write } => self.data.on_replica(now, core, write, &reply),
            Purpose::Sync { sync } => self.data.on_sync(now, core, sync, reply),
            Purpose::Return => self.data.on_return(core, &reply),
        }
    }

    pub(super) fn on_timer(&mut self, now: Time, timer: Timer) {
        let core = &mut self.core;
        match timer {
            Timer::Stabilise => self.begin_stabilise(now),
            Timer::Maintain => {
                let next = core.jittered(core.options.stabilise);
                core.timers.set(Timer::Maintain, now + next);
                pings::ping_successors(now, core);
                self.fingers.refresh(core);
            }
            Timer::Audit => audit::begin(now, core),
            Timer::Join => self.join.begin(now, core),
            Timer::Repair => self.data.repair(now, core),
            Timer::Resume => self.data.resume(now, core),
            Timer::Expire => self.data.expire(now, core),
        }
    }

    /// Handles what the parts want of one another, until they want nothing more.
    pub(super) fn run_tasks(&mut self, now: Time) {
        while let Some(task) = self.core.tasks.pop_front() {
            self.on_task(now, task);
        }
        if self.core.standing == Standing::Leaving && self.data.hand_over(now, &mut self.core) == HandOver::Done {
            for neighbour in self.core.successors.contacts().chain(self.core.predecessor).collect::<Vec<_>>() {
                self.core.tell(neighbour, Note::Leaving);
            }
            self.go();
        }
    }

    fn on_task(&mut self, now: Time, task: Task) {
        let core = &mut self.core;
        match task {
            Task::Suggest(candidate) => self.stabilise.suggest(now, core, candidate),
            Task::Notified(from) => self.rectify.on_notify(now, core, from),
            Task::SuccessorLost => {
                core.tasks.push_back(Task::SuccessorsChanged);
                core.stabilise_soon(now);
            }
            Task::SuccessorsChanged => self.data.on_successors(now, core),
            Task::PredecessorChanged { before } => self.data.on_predecessor(now, core, before),
            Task::Joined => {
                self.data.on_joined(now, core);
                self.start_timers(now);
            }
            Task::Lookup { key, cause, via } => self.lookups.begin(now, core, key, cause, via),
            Task::LookupEnded { cause, result } => self.on_looked_up(now, cause, result),
            Task::Found(found) => self.lookups.on_found(now, core, found),
            Task::Withheld { to, purpose } => self.on_reply(now, to, purpose, Err(Silence::Withheld)),
        }
    }

    fn on_looked_up(&mut self, now: Time, cause: Cause, result: Result<lookup::Outcome, LookupError>) {
        let core = &mut self.core;
        match cause {
            Cause::Command { request } => {
                let result = result.map(|outcome| Lookup {
                    key: outcome.key,
                    owner: outcome.owner,
                    predecessor: outcome.predecessor,
                    path: outcome.path,
                    hops: outcome.hops,
                    timeouts: outcome.timeouts,
                    timeouts_behind: outcome.timeouts_behind,
                    timeouts_spared: outcome.timeouts_spared,
                    tries: outcome.tries,
                    elapsed: outcome.elapsed,
                });
                core.event(Event::LookedUp { request, result });
            }
            Cause::Join => self.join.on_place(now, core, result),
            Cause::Finger { exponent } => self.fingers.on_result(now, core, exponent, result),
            Cause::Audit => audit::on_result(core, result),
            Cause::Operation { operation } => self.data.on_owner(now, core, operation, result),
            Cause::Return => self.data.on_return_owner(now, core, result),
            Cause::Homing => self.orphan.on_homing(core, result),
        }
    }

    fn begin_stabilise(&mut self, now: Time) {
        let core = &mut self.core;
        if !core.standing.is_member() {
            return;
        }
        match self.stabilise.begin(now, core) {
            Begun::Now => {}
            // As soon as the step under way has ended; it sets the timer itself when that matters.
            Begun::Already => {
                let next = core.jittered(core.options.stabilise);
                core.timers.set(Timer::Stabilise, now + next);
            }
            Begun::Orphaned => self.orphan.begin(now, core),
        }
    }
}

/// Returns whether an answer is of the kind its question wants. Whoever is about to join answers anything with `Busy`.
fn fits(purpose: &Purpose, answer: &Answer) -> bool {
    if *answer == Answer::Busy {
        return true;
    }
    match purpose {
        Purpose::StabiliseSuccessor | Purpose::StabilisePredecessor | Purpose::JoinState => {
            matches!(answer, Answer::State { .. })
        }
        Purpose::PingSuccessor
        | Purpose::PingPredecessor
        | Purpose::Probe
        | Purpose::PingFinger
        | Purpose::PingAcquaintance => *answer == Answer::Alive,
        Purpose::JoinFingers => matches!(answer, Answer::Fingers(_)),
        Purpose::Step { .. } => matches!(answer, Answer::Step { .. }),
        Purpose::Confirm { .. } => matches!(answer, Answer::Owns { .. }),
        Purpose::Forward(_) => *answer == Answer::Accepted,
        Purpose::Operation { .. } | Purpose::Replica { .. } | Purpose::Sync { .. } | Purpose::Return => {
            matches!(answer, Answer::Data(_))
        }
    }
}
