//! Figure: how long a ring's lookups took, as percentiles over the course of the run.

use std::fmt::Write;

use super::{
    faults::{self, Fault},
    figure::{Figure, Key, Shape, series_class},
    frame::Frame,
    markup::{Table, at, count},
};
use crate::{record::Record, report::figures::seconds, results::percentile};

/// Median and high percentiles over time; none where too few lookups ended to tell.
pub(super) fn figure(record: &Record, ring: &str, faults: &[Fault]) -> Option<Figure> {
    let all: Vec<(f64, f64)> =
        record.rings.lookups_in(ring).map(|lookup| (record.since_start(lookup.t), lookup.found.seconds)).collect();
    let bins = Bins::of(&all)?;
    let lines = bins.lines();
    let highest = bins.line(lines[lines.len() - 1].0).iter().map(|it| it.1).fold(0.0, f64::max);
    let frame = Frame::half(record.length().max(bins.last) * 1.02, highest);
    let mut drawing = frame.axes("seconds since the scenario's start", "milliseconds");
    drawing.push_str(&faults::bands(&frame, faults, 0.0));
    for (share, _, series) in lines {
        let (class, points) = (series_class(series), bins.line(share));
        let _ = writeln!(drawing, "<path class=\"{class} line\" d=\"{}\"/>", frame.line(&points));
        for (x, y) in points {
            let (x, y) = (at(frame.x.at(x)), at(frame.y.at(y)));
            let _ = writeln!(drawing, "<circle class=\"{class} fill\" cx=\"{x}\" cy=\"{y}\" r=\"2\"/>");
        }
    }
    let failed = record.rings.failed_in(ring);
    let mut sorted: Vec<f64> = all.iter().map(|it| it.1).collect();
    sorted.sort_by(f64::total_cmp);
    let of = |share: f64| seconds(percentile(&sorted, share));
    Some(Figure {
        id: format!("{ring}-latency"),
        title: "How long lookups took".into(),
        description: format!("Half of {} took {} s at most, 99 % {} s.", count(all.len(), "lookup"), of(0.5), of(0.99)),
        caption: format!(
            "From the question to its answer, at the asker. {} failed and {} not in it. Lines and bands mark faults.",
            count(failed, "lookup"),
            if failed == 1 { "is" } else { "are" }
        ),
        legend: lines.map(|(_, words, series)| Key::series(series, Shape::Line, words)).into(),
        drawing,
        width: frame.width,
        height: frame.height,
        table: Some(bins.table()),
    })
}

/// Lookups cut into equal times.
struct Bins {
    first: f64,
    last: f64,
    width: f64,
    /// Seconds that lookups took, in rising order, bin by bin.
    took: Vec<Vec<f64>>,
}

impl Bins {
    fn of(all: &[(f64, f64)]) -> Option<Self> {
        let (first, last) = (all.iter().map(|it| it.0).reduce(f64::min)?, all.iter().map(|it| it.0).reduce(f64::max)?);
        if all.len() < PER_BIN {
            return None;
        }
        let per_bin = if all.len() >= PER_BIN_99 * BINS_99_MIN { PER_BIN_99 } else { PER_BIN };
        let bins = (all.len() / per_bin).clamp(1, BINS_MAX);
        let width = ((last - first) / bins as f64).max(f64::MIN_POSITIVE);
        let mut took: Vec<Vec<f64>> = vec![Vec::new(); bins];
        for (t, seconds) in all {
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "not negative, and bounded behind"
            )]
            let bin = (((t - first) / width) as usize).min(bins - 1);
            took[bin].push(*seconds);
        }
        took.iter_mut().for_each(|bin| bin.sort_by(f64::total_cmp));
        Some(Self { first, last, width, took })
    }

    /// Share, words and series of the lines, the highest last; the second series is that of faults. 99 % of few lookups are
    /// all but none of them, and are called what they are.
    fn lines(&self) -> [(f64, &'static str, usize); 3] {
        let lookups: usize = self.took.iter().map(Vec::len).sum();
        let high = if lookups >= PER_BIN_99 * self.took.len() { (0.99, "99 %", 3) } else { (1.0, "longest", 3) };
        [(0.5, "median", 0), (0.9, "90 %", 2), high]
    }

    /// Those bins that hold something, with the middle of their time.
    fn filled(&self) -> impl Iterator<Item = (f64, &Vec<f64>)> {
        let middle = |bin: usize| self.first + (bin as f64 + 0.5) * self.width;
        self.took.iter().enumerate().filter(|(_, bin)| !bin.is_empty()).map(move |(n, bin)| (middle(n), bin))
    }

    /// A percentile over time, in seconds and milliseconds.
    fn line(&self, share: f64) -> Vec<(f64, f64)> {
        self.filled().filter_map(|(t, bin)| Some((t, percentile(bin, share)? * 1e3))).collect()
    }

    fn table(&self) -> Table {
        let lines = self.lines();
        let high = format!("{}, s", lines[2].1);
        let header = ["about second", "lookups", "median, s", "90 %, s", high.as_str()];
        let mut table = Table::new("Time that lookups took", &header, 0);
        for (t, bin) in self.filled() {
            let percentiles = lines.map(|(share, _, _)| seconds(percentile(bin, share)));
            table.row([seconds(Some(t)), bin.len().to_string()].into_iter().chain(percentiles));
        }
        table
    }
}

/// Lookups that a percentile over time is made of, on the average.
const PER_BIN: usize = 20;
/// The same where there are enough of them to say what 99 % took: two in a bin are above.
const PER_BIN_99: usize = 200;
/// Fewer bins than this would not show a course.
const BINS_99_MIN: usize = 10;
const BINS_MAX: usize = 60;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::html::fixture;

    #[test]
    fn few_lookups_have_no_percentiles_over_time() {
        let lookups: Vec<_> = (0..40).map(|n| (1, 3, n % 2, Vec::new())).collect();
        let drawn = figure(&fixture::ring(8, &lookups), "ring", &[]).unwrap();
        assert_eq!(drawn.drawing.matches(" line\"").count(), 3);
        assert!(figure(&fixture::ring(8, &lookups[..5]), "ring", &[]).is_none());
    }

    #[test]
    fn ninety_nine_per_cent_are_told_of_many_lookups_only_and_failures_are_mentioned() {
        let lookups: Vec<_> = (0..2_000).map(|n| (1, 3, n % 2, Vec::new())).collect();
        let highest = |record: &Record| figure(record, "ring", &[]).unwrap().legend[2].words.clone();
        let mut few = fixture::ring(8, &lookups[..40]);
        assert_eq!((highest(&few), highest(&fixture::ring(8, &lookups))), ("longest".into(), "99 %".into()));
        let failed = r#"{"t":3,"peer":"ring-1","event":"ring","what":"looked-up","request":9,"failed":"dead"}"#;
        few.rings.event(&serde_json::from_str(failed).unwrap());
        let caption = figure(&few, "ring", &[]).unwrap().caption;
        assert!(caption.contains("1 lookup failed and is not in it"), "{caption}");
    }
}
