//! What is right of one honest member's pointers where hostile members may sit between the honest ones.
//!
//! A hostile member may be pointed at or shut out, and what a list says from it on is its word; what is wrong is to pass over
//! an honest member. For whoever knows everybody: the simulator, and the orchestrator of real peers.

/// Whether a pointer from `from` to `to` or the other way names `next`, or a hostile one between them, as `lurks` says.
pub fn is_sound<M: Copy + PartialEq>(
    found: Option<M>,
    next: M,
    (from, to): (M, M),
    lurks: impl Fn(M, M, M) -> bool,
) -> bool {
    found.is_some_and(|it| it == next || lurks(it, from, to))
}

/// Whether a successor list is exactly the next honest members, up to its end or to a hostile one that sits between them.
///
/// `at` gives the honest member so many steps on, the owner of the list at 0; `len` is how many a whole list has;
/// `lurks(it, from, to)` says whether the first is hostile and sits between the others.
pub fn begins_right<M: Copy + PartialEq>(
    list: &[M],
    len: usize,
    at: impl Fn(usize) -> M,
    lurks: impl Fn(M, M, M) -> bool,
) -> bool {
    let known = list.iter().zip(1..=len).take_while(|(it, step)| **it == at(*step)).count();
    known == len || list.get(known).is_some_and(|it| lurks(*it, at(known), at(known + 1)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Honest members are tens, round a circle of 50; all others are hostile.
    fn at(step: usize) -> u8 {
        10 * (step % 5) as u8
    }

    fn lurks(it: u8, from: u8, to: u8) -> bool {
        !it.is_multiple_of(10) && from < it && it < to
    }

    #[test]
    fn a_list_is_judged_up_to_its_first_hostile_entry_between_honest_ones() {
        let right = |list: &[u8]| begins_right(list, 3, at, lurks);
        assert!(right(&[10, 20, 30]) && right(&[10, 15, 40]) && right(&[5]) && right(&[10, 20, 30, 7]));
        // One passed over, by an honest entry or by a hostile one that sits further on; and a list that is too short.
        assert!(!right(&[20, 30, 40]) && !right(&[15, 20]) && !right(&[10, 20]) && !right(&[]));
    }

    #[test]
    fn a_pointer_names_the_next_or_a_hostile_one_before_it() {
        let sound = |found| is_sound(found, 20, (10, 20), lurks);
        assert!(sound(Some(20)) && sound(Some(15)));
        assert!(!sound(Some(30)) && !sound(Some(25)) && !sound(None));
    }
}
