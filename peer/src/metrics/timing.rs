//! What `timing` records, in coarse classes as Prometheus text. All are zero where the peer takes no part.

use super::histogram;
use crate::timing::{Timing, Timings};

/// Appends one histogram for each quantity.
pub(crate) fn write(text: &mut Vec<u8>, timings: &Timings) {
    for timing in Timing::ALL {
        let (name, help) = match timing {
            Timing::SwarmLeaf => {
                ("peerbed_swarm_leaf_seconds", "Time from requesting a run of leaves to the verified arrival of each.")
            }
            Timing::RingAnswer => {
                ("peerbed_ring_answer_seconds", "Time from a question to another node to its answer, of any kind.")
            }
        };
        histogram::write_times(text, name, help, &timings.classes(timing));
    }
}
