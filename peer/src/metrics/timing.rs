//! What `timing` records, in coarse classes as Prometheus text. All are zero where the peer takes no part.

use super::histogram;
use crate::timing::{SECONDS_BOUNDS, Timing, Timings};

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
        let (classes, sum) = timings.classes(timing);
        let bounds = SECONDS_BOUNDS.iter().map(ToString::to_string);
        histogram::write(text, name, help, bounds, &classes, &sum.as_secs_f64().to_string());
    }
}
