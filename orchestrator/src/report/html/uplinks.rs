//! Figure: how much of the uplinks a distribution used over time, group by group.
//!
//! Made from samples of what each peer of a swarm had sent and knew to be received. A server's own count runs ahead by what
//! waits in its connections, so a server's uplink is reckoned from the pieces that reached its clients. Both count payload, a
//! few per cent less than what the links carried.

use std::collections::BTreeMap;

use super::{
    faults::{self, Fault},
    figure::{Figure, Key, Shape, series_class},
    frame::Frame,
    markup::{Table, escape},
};
use crate::{
    record::{
        course::{Course, Part},
        outline::Outline,
    },
    report::figures::seconds,
    results::Distribution,
};

/// Stacked rates of the groups below the capacity of all who may send; none where nothing was sampled.
pub(super) fn figure(
    id: &str,
    distribution: &Distribution,
    course: &Course,
    outline: &Outline,
    faults: &[Fault],
) -> Option<Figure> {
    let use_ = Use::of(course, outline)?;
    let capacity = capacity(distribution, course, outline);
    let frame = Frame::half(course.length() * 1.04, use_.highest().max(capacity.unwrap_or(0.0)) / 1e6);
    let mut drawing = frame.axes("seconds since the begin", "Mbit/s sent");
    let mut below = vec![0.0; use_.bins];
    for (index, (group, rates)) in use_.groups.iter().enumerate() {
        let above: Vec<f64> = below.iter().zip(rates).map(|(below, rate)| below + rate).collect();
        let path = frame.area(&use_.outline_of(&above), &use_.outline_of(&below));
        let (class, tip) = (series_class(index), escape(group));
        drawing.push_str(&format!("<path class=\"{class} fill area\" d=\"{path}\"><title>{tip}</title></path>\n"));
        below = above;
    }
    drawing.push_str(&faults::bands(&frame, faults, distribution.begun_seconds));
    if let Some(capacity) = capacity {
        let line = frame.line(&[(0.0, capacity / 1e6), (frame.x.high(), capacity / 1e6)]);
        drawing.push_str(&format!("<path class=\"ink bound\" d=\"{line}\"/>\n"));
    }
    let mut legend: Vec<Key> =
        use_.groups.iter().enumerate().map(|(i, (group, _))| Key::series(i, Shape::Area, group)).collect();
    if let Some(capacity) = capacity {
        let words = format!("nominal uplinks, {:.4} Mbit/s", capacity / 1e6).replace(".0000", "");
        legend.push(Key { class: "ink".into(), shape: Shape::Dashes, words });
    }
    Some(Figure {
        id: format!("{id}-uplinks"),
        title: "Use of the uplinks".into(),
        description: describe(&use_, capacity),
        caption:
            "Payload per second, as samples and finished pieces show it. Headers and acknowledgements of QUIC, UDP and \
                  IP come on top."
                .into(),
        legend,
        drawing,
        width: frame.width,
        height: frame.height,
        table: Some(table(&use_, capacity)),
    })
}

/// Rates of groups of peers over time.
#[derive(Debug)]
struct Use {
    /// Length of the time that the bins cut, in seconds.
    end: f64,
    bins: usize,
    /// Bits per second in each bin, by group in the order of the plan.
    groups: Vec<(String, Vec<f64>)>,
}

impl Use {
    fn of(course: &Course, outline: &Outline) -> Option<Self> {
        let end = course.sampled_length();
        let bins = bins(end);
        if let Some(served) = Self::served(course, outline, end, bins) {
            return Some(served);
        }
        let mut groups: BTreeMap<String, Vec<&Part>> = BTreeMap::new();
        for (name, part) in course.parts.iter().filter(|(_, part)| part.sent.iter().any(|(_, sent)| *sent > 0.0)) {
            groups.entry(outline.group(name)).or_default().push(part);
        }
        if groups.is_empty() || end <= 0.0 {
            return None;
        }
        let width = end / bins as f64;
        let rates = |parts: &[&Part]| -> Vec<f64> {
            let by = |edge: usize| parts.iter().map(|part| part.sent_by(edge as f64 * width)).sum::<f64>();
            (0..bins).map(|bin| (by(bin + 1) - by(bin)) * 8.0 / width).collect()
        };
        let planned: Vec<String> = outline.groups().into_iter().map(|(name, _)| name).collect();
        let mut groups: Vec<(String, Vec<f64>)> =
            groups.iter().map(|(name, parts)| (name.clone(), rates(parts))).collect();
        groups.sort_by_key(|(name, _)| planned.iter().position(|known| known == name));
        Some(Self { end, bins, groups: few(groups) })
    }

    /// What a server sent, from when its clients had which piece; none where there is no server.
    fn served(course: &Course, outline: &Outline, end: f64, bins: usize) -> Option<Self> {
        let (server, _) = course.parts.iter().find(|(_, part)| part.role == "server")?;
        let piece_bytes = course.bytes as f64 / f64::from(course.pieces.max(1));
        let (width, by) = (end / bins as f64, |t: f64| -> f64 {
            course.receivers().map(|(_, part)| part.pieces_by(t) * piece_bytes).sum()
        });
        let rate = |bin: usize| (by((bin + 1) as f64 * width) - by(bin as f64 * width)) * 8.0 / width;
        let rates: Vec<f64> = (0..bins).map(rate).collect();
        (end > 0.0 && rates.iter().any(|rate| *rate > 0.0)).then(|| Self {
            end,
            bins,
            groups: vec![(outline.group(server), rates)],
        })
    }

    fn total(&self, bin: usize) -> f64 {
        self.groups.iter().map(|(_, rates)| rates[bin]).sum()
    }

    fn highest(&self) -> f64 {
        (0..self.bins).map(|bin| self.total(bin)).fold(0.0, f64::max)
    }

    /// Mean over the whole time, in bits per second.
    fn mean(&self) -> f64 {
        (0..self.bins).map(|bin| self.total(bin)).sum::<f64>() / self.bins as f64
    }

    /// Points around the bins of one line, in seconds and Mbit/s.
    fn outline_of(&self, rates: &[f64]) -> Vec<(f64, f64)> {
        let width = self.end / self.bins as f64;
        let edges = |bin: usize, rate: f64| [(bin as f64 * width, rate / 1e6), ((bin + 1) as f64 * width, rate / 1e6)];
        rates.iter().enumerate().flat_map(|(bin, rate)| edges(bin, *rate)).collect()
    }
}

/// As many bins as seconds, within what can be told apart; samples are a second apart or more.
fn bins(end: f64) -> usize {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to a small range")]
    let bins = end.clamp(4.0, BINS_MAX).round() as usize;
    bins
}

/// At most as many groups as there are colours; what is left becomes one.
fn few(mut groups: Vec<(String, Vec<f64>)>) -> Vec<(String, Vec<f64>)> {
    if groups.len() <= super::figure::SERIES {
        return groups;
    }
    let rest = groups.split_off(super::figure::SERIES - 1);
    let sum = |bin: usize| rest.iter().map(|(_, rates)| rates[bin]).sum();
    let rates = (0..rest[0].1.len()).map(sum).collect();
    groups.push((format!("{} other groups", rest.len()), rates));
    groups
}

/// Nominal rate of all uplinks that may be used, in bits per second; none where one has no limit or is unknown.
fn capacity(distribution: &Distribution, course: &Course, outline: &Outline) -> Option<f64> {
    let (from, to) = outline.sides(&distribution.id)?;
    let senders: Vec<String> =
        if distribution.via == "client-server" { from } else { from.into_iter().chain(to).collect() };
    let known = senders.iter().filter(|name| course.parts.contains_key(*name));
    let rates: Option<Vec<u64>> = known.map(|name| outline.up(name)).collect();
    rates.map(|rates| rates.iter().sum::<u64>() as f64).filter(|capacity| *capacity > 0.0)
}

fn describe(use_: &Use, capacity: Option<f64>) -> String {
    let mean = use_.mean();
    let head = format!("On the average {:.1} Mbit/s of payload were sent", mean / 1e6);
    match capacity {
        Some(capacity) => {
            let (percent, all) = (mean / capacity * 100.0, capacity / 1e6);
            format!("{head}, {percent:.0} % of the nominal {all:.1} Mbit/s of the uplinks.")
        }
        None => format!("{head}."),
    }
}

fn table(use_: &Use, capacity: Option<f64>) -> Table {
    let mut header = vec!["until second".to_owned()];
    header.extend(use_.groups.iter().map(|(name, _)| format!("{name}, Mbit/s")));
    header.extend(["all, Mbit/s".to_owned(), "% of nominal".to_owned()]);
    let mut table = Table::new("Payload sent per second", &header.iter().map(String::as_str).collect::<Vec<_>>(), 0);
    let megabits = |rate: f64| format!("{:.2}", rate / 1e6);
    for bin in 0..use_.bins {
        let until = use_.end * (bin + 1) as f64 / use_.bins as f64;
        let total = use_.total(bin);
        let share =
            capacity.map_or_else(|| crate::report::figures::NONE.into(), |c| format!("{:.0}", total / c * 100.0));
        let groups = use_.groups.iter().map(|(_, rates)| megabits(rates[bin]));
        table.row([seconds(Some(until))].into_iter().chain(groups).chain([megabits(total), share]));
    }
    table
}

/// More bins than this are narrower than what is seen.
const BINS_MAX: f64 = 120.0;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::html::fixture;

    #[test]
    fn rates_of_groups_stack_up_to_what_was_sent() {
        // Each home sends 1 MB within 4 s.
        let course = fixture::course(3, 4);
        let found = Use::of(&course, &Outline::default()).unwrap();
        assert_eq!((found.bins, found.groups.len()), (4, 1));
        assert!((found.mean() - 3.0 * 8e6 / 4.0).abs() < 1.0, "{}", found.mean());
    }

    #[test]
    fn without_samples_there_is_nothing_to_draw() {
        let distribution = fixture::distribution("swarm", &[Some(1.0)]);
        assert!(figure("d0", &distribution, &Course::default(), &Outline::default(), &[]).is_none());
    }

    #[test]
    fn more_groups_than_colours_are_put_together() {
        let groups: Vec<(String, Vec<f64>)> = (0..9).map(|n| (n.to_string(), vec![1.0, 2.0])).collect();
        let found = few(groups);
        assert_eq!((found.len(), found[5].clone()), (6, ("4 other groups".into(), vec![4.0, 8.0])));
    }
}
