//! When a distribution's content first exists a second time, spread over those who began without it, and what that took.

use std::collections::BTreeSet;

/// What is known of how far one content has spread.
#[derive(Clone, Debug)]
pub struct Copies {
    pieces: u32,
    /// Pieces that somebody completed who did not begin with them.
    out: BTreeSet<u32>,
    /// When the last of them came.
    complete_at: Option<f64>,
    /// Payload that had come from the seeds, in bytes, before and after that moment as far as it was looked at.
    before: (f64, u64),
    after: Option<(f64, u64)>,
}

impl Copies {
    /// Nothing of a content of so many pieces has spread.
    #[must_use]
    pub fn of(pieces: u32) -> Self {
        Self { pieces, out: BTreeSet::new(), complete_at: None, before: (0.0, 0), after: None }
    }

    /// Somebody completed a piece at `t`.
    pub fn on_piece(&mut self, t: f64, piece: u32) {
        if self.before.1 == 0 && self.out.is_empty() {
            self.before.0 = t;
        }
        if self.out.insert(piece) && self.out.len() == self.pieces as usize {
            self.complete_at = Some(t);
        }
    }

    /// By `t`, so many bytes of payload had come from the seeds.
    pub fn on_sample(&mut self, t: f64, bytes: u64) {
        match self.complete_at {
            Some(at) if t >= at => _ = self.after.get_or_insert((t, bytes)),
            Some(_) | None => self.before = (t, bytes),
        }
    }

    /// When everything was out, and what had come from the seeds by then in bytes; between two looks a steady rate is
    /// assumed.
    #[must_use]
    pub fn second(&self) -> Option<(f64, f64)> {
        let at = self.complete_at?;
        let (t, bytes) = self.after?;
        let span = t - self.before.0;
        let share = if span > 0.0 { ((at - self.before.0) / span).clamp(0.0, 1.0) } else { 1.0 };
        let grown = bytes.saturating_sub(self.before.1) as f64;
        Some((at, self.before.1 as f64 + share * grown))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_seeds_had_sent_is_read_between_two_samples() {
        let mut copies = Copies::of(2);
        copies.on_piece(1.0, 0);
        copies.on_sample(2.0, 1_000);
        copies.on_piece(2.1, 0);
        copies.on_piece(2.25, 1);
        assert_eq!(copies.second(), None, "nobody has looked since");
        copies.on_sample(3.0, 2_000);
        copies.on_sample(4.0, 9_000);
        assert_eq!(copies.second(), Some((2.25, 1_250.0)));
    }

    #[test]
    fn a_content_that_is_not_all_out_has_no_second_copy() {
        let mut copies = Copies::of(2);
        copies.on_piece(1.0, 0);
        copies.on_sample(3.0, 2_000);
        assert_eq!(copies.second(), None);
    }
}
