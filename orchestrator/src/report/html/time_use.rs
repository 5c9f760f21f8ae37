//! Figure: where the time of the uplinks went over the course of a distribution, as the peers account for it.
//!
//! `uplinks` shows what was carried; this one, what became of the capacity that was not used for payload.

use super::{
    faults::{self, Fault},
    figure::{Figure, Key, Shape},
    frame::Frame,
    markup::Table,
};
use crate::{
    record::course::{Course, PARTS},
    results::Distribution,
};

/// Shares of the uplinks' time, stacked; none where no peer gave account.
pub(super) fn figure(id: &str, distribution: &Distribution, course: &Course, faults: &[Fault]) -> Option<Figure> {
    let end = course.sampled_length();
    let givers: Vec<_> = course.parts.values().filter(|part| part.account.len() > 1).collect();
    if givers.is_empty() || end <= 0.0 {
        return None;
    }
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to a small range")]
    let bins = end.clamp(4.0, BINS_MAX).round() as usize;
    let width = end / bins as f64;
    let shares: Vec<[f64; PARTS]> = (0..bins)
        .map(|bin| {
            let (from, to) = (bin as f64 * width, (bin + 1) as f64 * width);
            let mut sum = [0.0; PARTS];
            for part in &givers {
                let (before, after) = (part.account_by(from), part.account_by(to));
                (0..PARTS).for_each(|n| sum[n] += (after[n] - before[n]).max(0.0));
            }
            let all = sum.iter().sum::<f64>().max(f64::MIN_POSITIVE);
            sum.map(|part| part / all * 100.0)
        })
        .collect();
    let frame = Frame::half(end * 1.04, 100.0);
    let mut drawing = frame.axes("seconds since the begin", "% of the uplinks' time");
    let mut below = vec![0.0; bins];
    for (n, class) in CLASSES.into_iter().enumerate() {
        let above: Vec<f64> = below.iter().zip(&shares).map(|(below, bin)| below + bin[n]).collect();
        let stairs = |values: &[f64]| -> Vec<(f64, f64)> {
            let edges = |(bin, y): (usize, &f64)| [(bin as f64 * width, *y), ((bin + 1) as f64 * width, *y)];
            values.iter().enumerate().flat_map(edges).collect()
        };
        let path = frame.area(&stairs(&above), &stairs(&below));
        drawing
            .push_str(&format!("<path class=\"{class} fill area\" d=\"{path}\"><title>{}</title></path>\n", WORDS[n]));
        below = above;
    }
    drawing.push_str(&faults::bands(&frame, faults, distribution.begun_seconds));
    let mean = |n: usize| shares.iter().map(|bin| bin[n]).sum::<f64>() / bins as f64;
    let said: Vec<String> = (0..PARTS).map(|n| format!("{} {:.0} %", WORDS[n], mean(n))).collect();
    let key = |(class, words): (&str, &&str)| Key { class: class.into(), shape: Shape::Area, words: (*words).into() };
    Some(Figure {
        id: format!("{id}-time-use"),
        title: "Where the uplinks' time went".into(),
        description: format!("On the average: {}.", said.join(", ")),
        caption: "Over all uplinks with a rate, as their peers account for them. Only payload brings a distribution nearer to its bound."
            .into(),
        legend: CLASSES.into_iter().zip(&WORDS).map(key).collect(),
        drawing,
        width: frame.width,
        height: frame.height,
        table: Some(table(&shares, width)),
    })
}

fn table(shares: &[[f64; PARTS]], width: f64) -> Table {
    let header: Vec<String> =
        ["until second".to_owned()].into_iter().chain(WORDS.iter().map(|words| format!("{words}, %"))).collect();
    let header: Vec<&str> = header.iter().map(String::as_str).collect();
    let mut table = Table::new("Where the uplinks' time went", &header, 0);
    for (bin, shares) in shares.iter().enumerate() {
        let until = format!("{:.1}", (bin + 1) as f64 * width);
        table.row([until].into_iter().chain(shares.iter().map(|share| format!("{share:.1}"))));
    }
    table
}

/// In the order of [`Part::account`](crate::record::course::Part).
const WORDS: [&str; PARTS] =
    ["payload", "protocol and duplicates", "sent again", "idle though wanted", "idle, nothing wanted"];
const CLASSES: [&str; PARTS] = ["s2", "s0", "s3", "s1", "l0"];
const BINS_MAX: f64 = 120.0;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::html::fixture;

    #[test]
    fn the_parts_fill_the_whole_time() {
        let distribution = fixture::distribution("swarm", &[Some(4.0)]);
        let figure = figure("d0", &distribution, &fixture::accounted(), &[]).unwrap();
        assert!(
            figure.description.contains("payload 50 %") && figure.description.contains("though wanted 25 %"),
            "{}",
            figure.description
        );
        assert_eq!(figure.drawing.matches("fill area").count(), PARTS);
    }

    #[test]
    fn without_an_account_there_is_no_figure() {
        let distribution = fixture::distribution("swarm", &[Some(4.0)]);
        assert!(figure("d0", &distribution, &fixture::course(2, 4), &[]).is_none());
    }
}
