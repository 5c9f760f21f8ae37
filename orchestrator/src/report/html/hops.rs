//! Figure: how many hops a ring's lookups took, beside what theory expects.

use std::{collections::BTreeMap, fmt::Write};

use super::{
    figure::{Figure, Key, Shape},
    frame::Frame,
    markup::{Table, at, count},
};
use crate::record::{Record, rings::Lookup};

/// A figure for each step that looked something up, since members come and go between steps; none where none did.
pub(super) fn figures(record: &Record, ring: &str) -> Vec<Option<Figure>> {
    let mut steps: BTreeMap<usize, Vec<&Lookup>> = BTreeMap::new();
    for lookup in record.rings.lookups_in(ring) {
        steps.entry(lookup.step).or_default().push(lookup);
    }
    let is_one = steps.len() == 1;
    let titled = |(step, lookups): (usize, Vec<&Lookup>)| {
        let mut figure = figure(record, ring, &lookups)?;
        if !is_one {
            let name = record.outline.lookups_name(step).map_or_else(|| format!("step {step}"), str::to_owned);
            figure.id = format!("{ring}-hops-{step}");
            figure.title = format!("{}: {name}", figure.title);
        }
        Some(figure)
    };
    steps.into_iter().take(STEPS_MAX).map(titled).collect()
}

/// How many of these lookups took how many hops, beside theory for the members that lived then.
fn figure(record: &Record, ring: &str, lookups: &[&Lookup]) -> Option<Figure> {
    let hops: Vec<u32> = lookups.iter().map(|lookup| lookup.found.hops).collect();
    let instants: Vec<f64> = lookups.iter().map(|lookup| lookup.t).collect();
    let members = record.rings.members_about(ring, &instants);
    let most = hops.iter().copied().max()?;
    let theory = Theory::of(record.outline.routing(ring), members);
    let bars = most.max(theory.as_ref().map_or(0, Theory::last)).min(BARS_MAX);
    let share = |n: u32| hops.iter().filter(|it| **it == n).count() as f64 / hops.len() as f64;
    let highest = (0..=bars).map(|n| share(n).max(theory.as_ref().map_or(0.0, |it| it.share(n)))).fold(0.0, f64::max);
    let frame = Frame::half(f64::from(bars) + 1.0, highest * 100.0);
    let mut drawing = frame.axes("hops to the key's predecessor", "% of the lookups");
    let (bottom, _) = frame.y.places();
    for n in 0..=bars {
        let (from, to, top) =
            (frame.x.at(f64::from(n) + 0.1), frame.x.at(f64::from(n) + 0.9), frame.y.at(share(n) * 100.0));
        let _ = writeln!(
            drawing,
            "<rect class=\"s0 fill\" x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\"><title>{n} hops: {:.1} %</title></rect>",
            at(from),
            at(top),
            at(to - from),
            at(bottom - top),
            share(n) * 100.0
        );
        if let Some(theory) = &theory {
            let (x, y) = (f64::midpoint(from, to), frame.y.at(theory.share(n) * 100.0));
            let _ = writeln!(drawing, "<circle class=\"s1 hollow\" cx=\"{}\" cy=\"{}\" r=\"4\"/>", at(x), at(y));
        }
    }
    let mean = hops.iter().copied().map(f64::from).sum::<f64>() / hops.len() as f64;
    let mut legend = vec![Key::series(0, Shape::Area, "measured")];
    legend.extend(theory.as_ref().map(|theory| Key::series(1, Shape::Dot, theory.words)));
    let expected = theory.as_ref().map(|it| format!(", {:.2} in theory", it.mean())).unwrap_or_default();
    let there = match members {
        0 => String::new(),
        _ => format!(" with the N = {members} members there were about the middle of these lookups"),
    };
    Some(Figure {
        id: format!("{ring}-hops"),
        title: "Hops of lookups".into(),
        description: format!("{} took {mean:.2} hops on the average{expected}.", count(hops.len(), "lookup")),
        caption: format!(
            "Peers contacted up to the key's predecessor, the asker not counted: {mean:.2} on the average{expected}{there}."
        ),
        legend,
        drawing,
        width: frame.width,
        height: frame.height,
        table: Some(table(bars, &share, theory.as_ref())),
    })
}

/// What a settled ring's lookups take, for keys and askers at random.
struct Theory {
    words: &'static str,
    shares: Vec<f64>,
}

impl Theory {
    /// With fingers, each bit of the distance costs a hop or not: binomial over log2 N of them, with a mean of half as many
    /// (Stoica et al., "Chord", §V.B). From successor to successor every distance is as likely as any other.
    fn of(routing: Option<&str>, members: usize) -> Option<Self> {
        if members < 2 {
            return None;
        }
        match routing {
            Some("fingers") | None => {
                Some(Self { words: "theory: binomial, mean ½ log₂ N", shares: binomial((members as f64).log2()) })
            }
            Some("successor") => Some(Self {
                words: "theory: around the ring, mean (N − 1) / 2",
                shares: vec![1.0 / members as f64; members],
            }),
            Some(_) => None,
        }
    }

    fn share(&self, hops: u32) -> f64 {
        self.shares.get(hops as usize).copied().unwrap_or(0.0)
    }

    fn last(&self) -> u32 {
        u32::try_from(self.shares.len().saturating_sub(1)).unwrap_or(BARS_MAX)
    }

    fn mean(&self) -> f64 {
        self.shares.iter().enumerate().map(|(hops, share)| hops as f64 * share).sum()
    }
}

/// Between the whole numbers of tries the two distributions are mixed, so that the mean is half of `tries`.
fn binomial(tries: f64) -> Vec<f64> {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the logarithm of a number of peers")]
    let (below, part) = (tries.floor() as usize, tries.fract());
    let whole = |tries: usize| -> Vec<f64> {
        let mut shares = vec![0.5_f64.powi(i32::try_from(tries).unwrap_or(i32::MAX))];
        for k in 1..=tries {
            shares.push(shares[k - 1] * (tries + 1 - k) as f64 / k as f64);
        }
        shares
    };
    let (low, high) = (whole(below), whole(below + 1));
    let mixed = |k: usize| low.get(k).copied().unwrap_or(0.0) * (1.0 - part) + high[k] * part;
    (0..high.len()).map(mixed).filter(|share| *share > 0.0).collect()
}

fn table(bars: u32, share: &impl Fn(u32) -> f64, theory: Option<&Theory>) -> Table {
    let mut table = Table::new("Lookups by hops", &["hops", "measured, %", "theory, %"], 0);
    for n in 0..=bars {
        let expected =
            theory.map_or_else(|| crate::report::figures::NONE.into(), |it| format!("{:.1}", it.share(n) * 100.0));
        table.row([n.to_string(), format!("{:.1}", share(n) * 100.0), expected]);
    }
    table
}

/// Steps with a figure each; what further ones found is in `results.json`.
const STEPS_MAX: usize = 8;
/// More bars than this would be a curve.
const BARS_MAX: u32 = 60;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::html::fixture;

    #[test]
    fn theory_has_the_means_of_the_paper() {
        for members in [8, 64, 100, 500] {
            let theory = Theory::of(Some("fingers"), members).unwrap();
            assert!((theory.mean() - (members as f64).log2() / 2.0).abs() < 1e-9, "{members}");
            assert!((theory.shares.iter().sum::<f64>() - 1.0).abs() < 1e-9);
        }
        assert_eq!(Theory::of(Some("successor"), 9).unwrap().mean(), 4.0);
        assert!(Theory::of(Some("shortcuts"), 9).is_none());
    }

    #[test]
    fn each_number_of_hops_has_its_bar() {
        let lookups: Vec<_> = (0..40).map(|n| (1, 3, n % 2, Vec::new())).collect();
        let record = fixture::ring(8, &lookups);
        let drawn = figures(&record, "ring").remove(0).unwrap();
        assert_eq!((drawn.id.as_str(), drawn.title.as_str()), ("ring-hops", "Hops of lookups"));
        assert!(drawn.description.contains("0.50 hops"), "{}", drawn.description);
        assert_eq!(drawn.drawing.matches("<rect").count(), 4, "log2 8 hops at most in theory");
        assert!(figures(&Record::default(), "ring").is_empty());
    }

    #[test]
    fn each_step_is_set_beside_the_members_that_lived_then() {
        let lookups: Vec<_> = (0..40).map(|n| (1, 3, n % 2, Vec::new())).collect();
        let mut record = fixture::ring(8, &lookups);
        // Half of the eight crash, and the other half is asked a minute later.
        for name in 1..=4 {
            record.rings.sample(&format!("ring-{name}"), 60.0, &fixture::seat());
        }
        let later =
            r#"{"t":60,"peer":"ring-1","event":"ring","what":"looked-up","request":12884901888,"found":{"hops":1}}"#;
        record.rings.event(&serde_json::from_str(later).unwrap());
        let drawn: Vec<Figure> = figures(&record, "ring").into_iter().flatten().collect();
        let ids: Vec<&str> = drawn.iter().map(|figure| figure.id.as_str()).collect();
        assert_eq!(ids, ["ring-hops-0", "ring-hops-3"]);
        assert!(drawn[0].caption.contains("1.50 in theory with the N = 8"), "{}", drawn[0].caption);
        assert!(drawn[1].caption.contains("1.00 in theory with the N = 4"), "{}", drawn[1].caption);
    }
}
