//! The choices that make a run, drawn or given, and kept so that the run can be repeated and shrunk.

use crate::random::Random;

/// Where choices come from: chance, or a list; behind the list's end a run stops.
#[derive(Debug)]
pub(super) struct Choices {
    random: Option<Random>,
    given: Vec<u32>,
    pub(super) made: Vec<u32>,
}

impl Choices {
    pub(super) fn random(seed: u64) -> Self {
        Self { random: Some(Random::new(seed, "interleaving")), given: Vec::new(), made: Vec::new() }
    }

    pub(super) fn given(choices: &[u32]) -> Self {
        Self { random: None, given: choices.to_vec(), made: Vec::new() }
    }

    pub(super) fn are_over(&self) -> bool {
        self.random.is_none() && self.made.len() >= self.given.len()
    }

    pub(super) fn below(&mut self, end: usize) -> usize {
        let choice = match &mut self.random {
            Some(random) => u32::try_from(random.below(1 << 16)).expect("below 2^16"),
            None => self.given.get(self.made.len()).copied().unwrap_or(0),
        };
        self.made.push(choice);
        choice as usize % end.max(1)
    }
}
