//! What will happen, by time: the queue that a simulation takes its events from.

use std::collections::BTreeMap;

use crate::time::Time;

/// Events by time, those of one instant in the order they were put in.
///
/// A hundred thousand nodes keep as many events here and more, so the order is kept apart from the events, which lie still
/// in `places` until they happen. The next one is always at the tree's left edge, which stays in the cache.
#[derive(Debug)]
pub(super) struct Schedule<E> {
    /// When and the how manieth, and where in `places`.
    queue: BTreeMap<(Time, u64), u32>,
    /// Exactly those in the queue are filled.
    places: Vec<Option<E>>,
    free: Vec<u32>,
    made: u64,
}

impl<E> Schedule<E> {
    pub(super) fn new() -> Self {
        Self { queue: BTreeMap::new(), places: Vec::new(), free: Vec::new(), made: 0 }
    }

    /// Puts an event in.
    pub(super) fn insert(&mut self, at: Time, event: E) {
        self.made += 1;
        let place = match self.free.pop() {
            Some(place) => place,
            None => {
                self.places.push(None);
                u32::try_from(self.places.len() - 1).expect("fewer than 2^32 events are under way")
            }
        };
        self.places[place as usize] = Some(event);
        self.queue.insert((at, self.made), place);
    }

    /// Takes the next event.
    pub(super) fn pop(&mut self) -> Option<(Time, E)> {
        let ((at, _), place) = self.queue.pop_first()?;
        self.free.push(place);
        let event = self.places[place as usize].take().expect("what is queued has its place filled");
        Some((at, event))
    }

    /// Returns when the next event is.
    pub(super) fn next_at(&self) -> Option<Time> {
        self.queue.first_key_value().map(|(&(at, _), _)| at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;

    #[test]
    fn events_come_by_time_and_those_of_one_instant_as_they_were_put_in() {
        let mut schedule = Schedule::new();
        let mut random = Random::new(1, "schedule");
        let mut came = Vec::new();
        for number in 0..500_u64 {
            let after = came.last().map_or(0, |&(at, _)| at);
            schedule.insert(Time::from_nanos(after + random.below(4) as u64), number);
            if random.below(2) == 0 {
                let (at, event) = schedule.pop().expect("one was just put in");
                came.push((at.as_nanos(), event));
            }
        }
        while let Some((at, event)) = schedule.pop() {
            came.push((at.as_nanos(), event));
        }
        assert!(came.is_sorted(), "{came:?}");
        assert_eq!((came.len(), schedule.next_at()), (500, None));
        assert!(schedule.places.len() < 500, "places are used again");
    }
}
