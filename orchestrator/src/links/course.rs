//! What one direction of a link is at the moment: the figures of its class, what the scenario changed, and its trace.
//!
//! Pure bookkeeping; an engine is told what [`Course::figures`] says. When something changes is decided by the scenario
//! and by `traces`.

use std::time::Duration;

use crate::plan::{Changes, Direction, LinkState, NewRate, Queue, Shape, TracePoint};

use super::kernel;

/// One direction of one peer's link in the course of a run.
#[derive(Clone, Debug, PartialEq)]
pub struct Course {
    class: Direction,
    /// What earlier steps changed and none has reset.
    changes: Changes,
    /// What the trace says; none before its first point, and without a trace.
    point: Option<TracePoint>,
}

/// What holds for one direction of a link at one moment.
#[derive(Clone, Debug, PartialEq)]
pub struct Figures {
    /// Whether anything gets through.
    pub state: LinkState,
    /// Everything else; without the trace, whose figures are among them. A rate of zero lets nothing out.
    pub direction: Direction,
}

impl Course {
    /// A direction as its class says.
    #[must_use]
    pub fn new(class: &Direction) -> Self {
        // The points are kept by whoever plays them; a thousand peers need no copies.
        Self { class: without_trace(class), changes: Changes::default(), point: None }
    }

    /// Takes over what a step says; with `reset` everything earlier steps changed is undone first, so that the trace
    /// holds again.
    pub fn change(&mut self, reset: bool, new: &Changes) {
        let old = if reset { Changes::default() } else { self.changes };
        self.changes = Changes {
            state: new.state.or(old.state),
            rate: new.rate.or(old.rate),
            overhead: new.overhead.or(old.overhead),
            delay: new.delay.or(old.delay),
            jitter: new.jitter.or(old.jitter),
            loss: new.loss.or(old.loss),
            reorder: new.reorder.or(old.reorder),
            duplicate: new.duplicate.or(old.duplicate),
            corrupt: new.corrupt.or(old.corrupt),
            queue: new.queue.or(old.queue),
            discipline: new.discipline.or(old.discipline),
        };
    }

    /// Takes over what the trace says now; none where it says nothing.
    pub fn follow(&mut self, point: Option<TracePoint>) {
        self.point = point;
    }

    /// What holds now: what steps changed, before the trace, before the class.
    #[must_use]
    pub fn figures(&self) -> Figures {
        let (class, new) = (&self.class, &self.changes);
        let mut direction = class.clone();
        if let Some(point) = self.point {
            direction.rate = Some(point.rate);
            direction.delay = point.delay.unwrap_or(class.delay);
            direction.loss.average = point.loss.unwrap_or(class.loss.average);
        }
        match new.rate {
            Some(NewRate::Limited(rate)) => direction.rate = Some(rate),
            Some(NewRate::Unshaped) => direction.rate = None,
            None => {}
        }
        direction.overhead = new.overhead.unwrap_or(direction.overhead);
        direction.delay = new.delay.unwrap_or(direction.delay);
        direction.jitter = new.jitter.unwrap_or(direction.jitter);
        direction.loss = new.loss.unwrap_or(direction.loss);
        direction.reorder = new.reorder.unwrap_or(direction.reorder);
        direction.duplicate = new.duplicate.unwrap_or(direction.duplicate);
        direction.corrupt = new.corrupt.unwrap_or(direction.corrupt);
        direction.queue = new.queue.unwrap_or(direction.queue);
        direction.discipline = new.discipline.unwrap_or(direction.discipline);
        Figures { state: new.state.unwrap_or(LinkState::Up), direction }
    }
}

impl Figures {
    /// Longest time that a packet of full size which is not lost takes, its wait in a full queue included; the longest
    /// there is where the rate is zero.
    #[must_use]
    pub fn longest(&self) -> Duration {
        let direction = &self.direction;
        let jitter = match direction.jitter.shape {
            Shape::Uniform => direction.jitter.amount.0,
            Shape::Normal | Shape::Pareto => direction.jitter.amount.0 * DEVIATIONS,
        };
        direction.delay.0.saturating_add(jitter).saturating_add(self.longest_wait())
    }

    /// Longest time before the bottleneck, with the sending of two packets of full size.
    fn longest_wait(&self) -> Duration {
        let Some(rate) = self.direction.rate else { return Duration::ZERO };
        let bytes = 2 * u64::from(kernel::frame(self.direction.overhead))
            + match self.direction.queue {
                Queue::Time(_) => 0,
                queue @ (Queue::Bytes(_) | Queue::Packets(_)) => u64::from(kernel::queue_bytes(queue, 0)),
            };
        let own = match self.direction.queue {
            Queue::Time(span) => span.0,
            Queue::Bytes(_) | Queue::Packets(_) => Duration::ZERO,
        };
        match (bytes * 8_000_000).checked_div(rate.0) {
            Some(micros) => own.saturating_add(Duration::from_micros(micros)),
            None => Duration::MAX,
        }
    }
}

/// A copy of everything but the trace, which may be long.
fn without_trace(class: &Direction) -> Direction {
    Direction {
        rate: class.rate,
        overhead: class.overhead,
        delay: class.delay,
        jitter: class.jitter,
        loss: class.loss,
        reorder: class.reorder,
        duplicate: class.duplicate,
        corrupt: class.corrupt,
        queue: class.queue,
        discipline: class.discipline,
        trace: None,
    }
}

/// Where the longest tails of jitter end, in standard deviations: the user engine's; netem's tables end before.
const DEVIATIONS: u32 = 8;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        plan::{Discipline, Jitter, Loss},
        units::{Rate, Share, Span},
    };

    #[test]
    fn changes_add_up_until_a_reset() {
        let mut course = Course::new(&class());
        course.change(false, &Changes { delay: Some(ms(50)), ..Changes::default() });
        course.change(false, &Changes { rate: Some(NewRate::Unshaped), ..Changes::default() });
        let figures = course.figures();
        assert_eq!((figures.direction.delay, figures.direction.rate), (ms(50), None));
        course.change(true, &Changes { state: Some(LinkState::Down), ..Changes::default() });
        assert_eq!(course.figures(), Figures { state: LinkState::Down, direction: class() });
        course.change(true, &Changes::default());
        assert_eq!(course.figures(), Figures { state: LinkState::Up, direction: class() });
    }

    #[test]
    fn a_trace_holds_where_no_step_has_changed_the_figure() {
        let mut course = Course::new(&class());
        let point = TracePoint { at: ms(0), rate: Rate(1_000), delay: Some(ms(70)), loss: None };
        course.follow(Some(point));
        let figures = course.figures().direction;
        assert_eq!((figures.rate, figures.delay, figures.loss), (Some(Rate(1_000)), ms(70), class().loss));
        course.change(false, &Changes { rate: Some(NewRate::Limited(Rate(5_000))), ..Changes::default() });
        course.follow(Some(TracePoint { rate: Rate(2_000), delay: None, loss: Some(Share(7)), ..point }));
        let figures = course.figures().direction;
        assert_eq!((figures.rate, figures.delay), (Some(Rate(5_000)), ms(10)));
        assert_eq!(figures.loss, Loss { average: Share(7), burst: 3 });
        course.change(true, &Changes::default());
        assert_eq!(course.figures().direction.rate, Some(Rate(2_000)));
        course.follow(None);
        assert_eq!(course.figures().direction, class());
    }

    #[test]
    fn the_longest_way_is_delay_queue_and_packets() {
        let course = Course::new(&class());
        // 10 ms of delay, 50 ms of queue, twice 1 514 bytes at 2 Mbit/s.
        assert_eq!(course.figures().longest(), Duration::from_micros(60_000 + 12_112));
        let mut stopped = course;
        stopped.follow(Some(TracePoint { at: ms(0), rate: Rate(0), delay: None, loss: None }));
        assert_eq!(stopped.figures().longest(), Duration::MAX);
    }

    fn class() -> Direction {
        Direction {
            rate: Some(Rate(2_000_000)),
            overhead: 0,
            delay: ms(10),
            jitter: Jitter::default(),
            loss: Loss { average: Share(1_000), burst: 3 },
            reorder: Share(0),
            duplicate: Share(0),
            corrupt: Share(0),
            queue: Queue::Time(ms(50)),
            discipline: Discipline::DropTail,
            trace: None,
        }
    }

    fn ms(count: u64) -> Span {
        Span(Duration::from_millis(count))
    }
}
