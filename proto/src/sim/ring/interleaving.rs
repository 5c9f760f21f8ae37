//! Random interleavings of the ring's steps, message by message, with Zave's invariant checked after each.
//!
//! Every step is a choice: deliver any one message, let any one node's next timer go off, let a node join, fail, leave or
//! come back. Time does not order anything: each node has a clock of its own that jumps to its next deadline. Within
//! the environment rule a question's time runs out only when its answer cannot come any more, and nobody fails whose
//! failure the proof does not allow. A failing run shrinks to fewer choices.

mod choices;
mod world;

use std::time::Duration;

use self::choices::Choices;
use self::world::World;
use super::invariant::Broken;

/// What a run may do.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// Length of the lists, 2 to 8.
    pub list: u8,
    /// Steps of the run.
    pub steps: usize,
    /// Whether nodes look themselves up in between.
    pub audits: bool,
    /// What may fail.
    pub rule: Rule,
}

/// What the environment may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    /// What the proof allows.
    Kept,
    /// Any node but the first may fail, messages get lost, and live nodes are taken for dead.
    Broken,
}

/// A run that broke the invariant.
#[derive(Clone, Debug)]
pub struct Failure {
    /// What was broken.
    pub broken: Broken,
    /// The choices that lead there; [`replay`] repeats them.
    pub choices: Vec<u32>,
    /// The steps, one a line.
    pub story: String,
}

/// What a run that broke nothing did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Messages delivered.
    pub delivered: u64,
    /// Timers that went off.
    pub timers: u64,
    /// Members that came in.
    pub joins: u64,
    /// Members that failed or left.
    pub failures: u64,
    /// Times the invariant was checked.
    pub checks: u64,
    /// Lists cut because they were out of order: none while the rule is kept.
    pub lists_cut: u64,
    /// Nodes that found themselves without successors: none while the rule is kept.
    pub orphaned: u64,
}

/// Runs one interleaving; the seed makes all choices.
///
/// # Errors
/// The first broken invariant, shrunk.
pub fn run(plan: &Plan, seed: u64) -> Result<Tally, Box<Failure>> {
    let mut world = World::new(plan, Choices::random(seed));
    match world.play() {
        Ok(()) => Ok(world.tally()),
        Err(_) => {
            let choices = shrink(world.into_choices(), |choices| replay(plan, choices).is_err());
            Err(replay(plan, &choices).expect_err("only choices that fail are kept"))
        }
    }
}

/// Repeats a run from its choices.
///
/// # Errors
/// The first broken invariant, as it is.
pub fn replay(plan: &Plan, choices: &[u32]) -> Result<Tally, Box<Failure>> {
    let mut world = World::new(plan, Choices::given(choices)).telling();
    match world.play() {
        Ok(()) => Ok(world.tally()),
        Err(broken) => Err(Box::new(Failure { broken, choices: choices.to_vec(), story: world.into_story() })),
    }
}

/// Plays a run that may break the rule, then leaves the ring alone; returns how long it took until every pointer was
/// right.
///
/// # Errors
/// What every node points at when that did not happen in `limit`.
pub fn recovery(plan: &Plan, seed: u64, limit: Duration) -> Result<Duration, String> {
    let mut world = World::new(plan, Choices::random(seed));
    // Whatever it broke is what is to be mended.
    let _ = world.play();
    world.mend(limit)
}

/// Takes choices away while the run still fails, and makes those that stay as small as can be.
fn shrink(choices: Vec<u32>, fails: impl Fn(&[u32]) -> bool) -> Vec<u32> {
    let mut best = choices;
    let mut len = best.len() / 2;
    while len > 0 {
        let mut start = 0;
        while start < best.len() {
            let mut shorter = best.clone();
            shorter.drain(start..(start + len).min(best.len()));
            if fails(&shorter) {
                best = shorter;
            } else {
                start += len;
            }
        }
        len /= 2;
    }
    for place in 0..best.len() {
        let mut smaller = best.clone();
        smaller[place] = 0;
        if fails(&smaller) {
            best = smaller;
        }
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failing_run_shrinks_to_the_choices_that_matter() {
        // Fails when a 7 comes somewhere before a 9, whatever else is chosen.
        let fails = |choices: &[u32]| {
            let seven = choices.iter().position(|&choice| choice == 7);
            seven.is_some_and(|seven| choices[seven..].contains(&9))
        };
        let choices: Vec<u32> = (0..100).map(|place| [3, 7, 5, 1, 9, 4][place % 6]).collect();
        assert_eq!(shrink(choices, fails), [7, 9]);
    }
}
