//! One histogram as Prometheus text, from counts by class that somebody else keeps.

use crate::timing::{Classes, SECONDS_BOUNDS};

/// Appends a histogram of times.
pub(super) fn write_times(text: &mut Vec<u8>, name: &str, help: &str, classes: &Classes) {
    let bounds = SECONDS_BOUNDS.iter().map(ToString::to_string);
    write(text, name, help, bounds, &classes.counts, &classes.sum.as_secs_f64().to_string());
}

/// Appends one histogram; `counts` has one class more than there are bounds.
pub(super) fn write(
    text: &mut Vec<u8>,
    name: &str,
    help: &str,
    bounds: impl Iterator<Item = String>,
    counts: &[u64],
    sum: &str,
) {
    let mut lines = format!("# HELP {name} {help}\n# TYPE {name} histogram\n");
    let mut below = 0;
    for (bound, count) in bounds.chain(["+Inf".to_owned()]).zip(counts) {
        below += count;
        lines.push_str(&format!("{name}_bucket{{le=\"{bound}\"}} {below}\n"));
    }
    lines.push_str(&format!("{name}_sum {sum}\n{name}_count {below}\n"));
    text.extend_from_slice(lines.as_bytes());
}
