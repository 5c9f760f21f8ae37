//! The three ways a node begins: as a founder, by joining, or with given pointers. What it does from then on is in `ring.rs`.

use super::*;

impl Ring {
    /// Makes a node of a ring that starts with all `founders` at once, with the pointers they all must have.
    ///
    /// Zave's proof needs at least one founder more than the list is long. With fewer the ring works, but is outside it.
    #[must_use]
    pub fn found(me: Contact, founders: &Founders, options: Options, seed: u64, now: Time) -> Self {
        let mut ring = Self::new(me, founders.circle(), options, seed);
        let core = &mut ring.core;
        core.standing = Standing::Member;
        core.copy_successors(now, &founders.after(me.point, core.options.list_len()));
        core.predecessor = founders.before(me.point);
        if core.options.routing == Routing::Fingers {
            founders.fill_fingers(me, &mut core.fingers);
        }
        core.acquaintances = Acquaintances::new(me, &founders.some(&mut core.random));
        core.tasks.clear();
        core.outputs.clear();
        ring.start_timers(now);
        ring.data.schedule_repair(now, &mut ring.core);
        ring
    }

    /// Takes the news that only now everybody is there: puts the periodic work of a founder off to random moments of its
    /// first interval from here. Without it all that was due meanwhile would be done at once, by all founders together.
    pub fn handle_begin(&mut self, now: Time) {
        for timer in [Timer::Stabilise, Timer::Maintain, Timer::Audit, Timer::Repair] {
            self.core.timers.stop(timer);
        }
        self.start_timers(now);
        self.data.schedule_repair(now, &mut self.core);
    }

    /// Makes a node that joins the ring of any of the `bootstrap` peers; the first 16 of them are remembered.
    #[must_use]
    pub fn join(me: Contact, circle: Circle, bootstrap: &[Contact], options: Options, seed: u64, now: Time) -> Self {
        let mut ring = Self::new(me, circle, options, seed);
        ring.core.acquaintances = Acquaintances::new(me, bootstrap);
        ring.join.begin(now, &mut ring.core);
        ring.run_tasks(now);
        ring
    }

    /// Makes a member with these pointers, right or wrong: for experiments with rings that have to be mended. Everyone
    /// named is remembered as a bootstrap peer.
    #[must_use]
    pub fn placed(
        me: Contact,
        circle: Circle,
        predecessor: Option<Contact>,
        successors: &[Contact],
        options: Options,
        seed: u64,
        now: Time,
    ) -> Self {
        let mut ring = Self::new(me, circle, options, seed);
        let core = &mut ring.core;
        core.standing = Standing::Member;
        let entries: Vec<Entry> = successors.iter().copied().map(Entry::Contact).collect();
        core.copy_successors(now, &entries);
        core.predecessor = predecessor;
        let known: Vec<Contact> = successors.iter().copied().chain(predecessor).collect();
        core.acquaintances = Acquaintances::new(me, &known);
        core.tasks.clear();
        core.outputs.clear();
        ring.start_timers(now);
        ring.data.schedule_repair(now, &mut ring.core);
        ring
    }

    fn new(me: Contact, circle: Circle, options: Options, seed: u64) -> Self {
        let random = Random::new(seed, &format!("ring {}", me.peer));
        let mut core = Core::new(me, circle, options, random);
        let join = Join::new(&mut core);
        let data = Data::new(&core);
        Self {
            core,
            join,
            stabilise: Stabilise::default(),
            rectify: Rectify::default(),
            orphan: Orphan::default(),
            lookups: Lookups::default(),
            fingers: Fingers::default(),
            data,
            flood: Flood::default(),
            notices: Flood::default(),
        }
    }

    /// Sets the periodic timers to a random moment of their first interval.
    pub(super) fn start_timers(&mut self, now: Time) {
        let core = &mut self.core;
        let interval = core.options.stabilise;
        if interval.is_zero() {
            return;
        }
        for timer in [Timer::Stabilise, Timer::Maintain] {
            let phase = interval.mul_f64(core.random.fraction());
            core.timers.hasten(timer, now + phase);
        }
        if !core.options.audit.is_zero() {
            let phase = core.options.audit.mul_f64(core.random.fraction());
            core.timers.set(Timer::Audit, now + phase);
        }
    }
}
