//! Figure: a ring as a circle, with its members where they sit, their fingers, and a lookup's way from peer to peer.

use std::{collections::BTreeMap, f64::consts::TAU, fmt::Write};

use super::{
    figure::{Figure, Key, Shape},
    frame::HALF_WIDTH,
    markup::{Table, at, count, escape},
};
use crate::record::{
    Record,
    rings::{Lookup, Seat},
};

/// The ring called `name`; none where no member of it was seen.
pub(super) fn figure(record: &Record, name: &str, bits: u8) -> Option<Figure> {
    let seats = record.rings.seats.get(name)?;
    let mut nodes: Vec<Node<'_>> = seats.iter().filter_map(|(name, seat)| Node::of(name, seat, bits)).collect();
    nodes.sort_by(|a, b| a.place.total_cmp(&b.place));
    if nodes.is_empty() {
        return None;
    }
    let spots: BTreeMap<&str, (f64, f64)> = nodes.iter().map(|node| (node.name, spot(node.place, RADIUS))).collect();
    let spot_of = |id: u32| spots.get(record.outline.peer_name(id)?).copied();
    let shown = record.rings.lookups_in(name).max_by_key(|lookup| lookup.found.hops);
    let mut drawing =
        format!("<circle class=\"base\" cx=\"{}\" cy=\"{}\" r=\"{}\"/>\n", at(CENTRE.0), at(CENTRE.1), at(RADIUS));
    let has_few = nodes.len() <= CHORDS_MAX;
    for node in nodes.iter().filter(|node| has_few || shown.is_some_and(|lookup| lookup.from == node.name)) {
        for to in node.seat.fingers.iter().filter_map(|id| spot_of(*id)) {
            let _ = writeln!(drawing, "<path class=\"s0 line thin\" d=\"{}\"/>", chord(spots[node.name], to));
        }
    }
    if let Some(lookup) = shown {
        way(&mut drawing, record, lookup, &spot_of);
    }
    nodes.iter().for_each(|node| node.draw(&mut drawing, nodes.len()));
    if nodes.len() <= NAMES_MAX {
        names(&mut drawing, &nodes);
    }
    Some(Figure {
        id: format!("{name}-ring"),
        title: format!("The ring {name}"),
        description: describe(&nodes, record, shown),
        caption: format!(
            "Members where they sit on the circle of {bits} bits, clockwise from the top. Thin: {}.",
            if has_few { "everybody's fingers" } else { "the fingers of the peer that asked" }
        ),
        legend: legend(shown),
        drawing,
        width: HALF_WIDTH,
        height: 2.0 * CENTRE.1,
        table: Some(table(&nodes, record)),
    })
}

struct Node<'a> {
    name: &'a str,
    seat: &'a Seat,
    /// 0 to 1, clockwise from the top.
    place: f64,
}

impl<'a> Node<'a> {
    fn of(name: &'a str, seat: &'a Seat, bits: u8) -> Option<Self> {
        Some(Self { name, seat, place: seat.place(bits)? })
    }

    fn draw(&self, out: &mut String, all: usize) {
        let ((x, y), (name, point)) = (spot(self.place, RADIUS), (escape(self.name), escape(&self.seat.point)));
        let size = if all > NAMES_MAX { 3.0 } else { 5.0 };
        let _ = writeln!(
            out,
            "<circle class=\"s2 fill\" cx=\"{}\" cy=\"{}\" r=\"{size}\"><title>{name} at {point}</title></circle>",
            at(x),
            at(y)
        );
    }
}

/// Names beside their members, further out where they would lie on another, and none where that does not help: the dots and
/// the table have all.
fn names(out: &mut String, nodes: &[Node<'_>]) {
    let mut taken: Vec<[f64; 4]> = Vec::new();
    for node in nodes {
        let shown: String = node.name.chars().take(NAME_MAX).collect();
        let width = shown.chars().count() as f64 * LETTER;
        for further in OUTWARDS {
            let (x, y) = spot(node.place, RADIUS + further);
            let (anchor, left) = match x - CENTRE.0 {
                side if side > 20.0 => ("start", x),
                side if side < -20.0 => ("end", x - width),
                _ => ("middle", x - width / 2.0),
            };
            let own = [left, left + width, y - LINE / 2.0, y + LINE / 2.0];
            let is_inside = own[0] > 0.0 && own[1] < HALF_WIDTH && own[2] > 0.0 && own[3] < 2.0 * CENTRE.1;
            let meets = |it: &[f64; 4]| own[0] < it[1] && it[0] < own[1] && own[2] < it[3] && it[2] < own[3];
            if is_inside && !taken.iter().any(meets) {
                let (x, y) = (at(x), at(y));
                let name = escape(&shown);
                let _ = writeln!(out, "<text x=\"{x}\" y=\"{y}\" dy=\".32em\" text-anchor=\"{anchor}\">{name}</text>");
                taken.push(own);
                break;
            }
        }
    }
}

/// The way of a lookup: through everybody who was contacted where that was recorded, and else only its ends.
fn way(out: &mut String, record: &Record, lookup: &Lookup, spot_of: &impl Fn(u32) -> Option<(f64, f64)>) {
    let found = &lookup.found;
    let mut stops: Vec<(f64, f64)> = record.outline.peer_id(&lookup.from).and_then(spot_of).into_iter().collect();
    let is_whole = !found.path.is_empty() || found.hops <= 1;
    if found.path.is_empty() {
        stops.extend(spot_of(found.predecessor).filter(|spot| stops.first() != Some(spot)));
    } else {
        stops.extend(found.path.iter().filter_map(|id| spot_of(*id)));
    }
    stops.extend(spot_of(found.owner));
    stops.dedup();
    for (index, pair) in stops.windows(2).enumerate() {
        let class = if is_whole || index > 0 { "line thick" } else { "bound" };
        let _ = writeln!(out, "<path class=\"s1 {class}\" d=\"{}\"/>", chord(pair[0], pair[1]));
    }
    if let (Some(first), Some(last)) = (stops.first(), stops.last()) {
        for ((x, y), radius) in [(first, 9.0), (last, 12.0)] {
            let _ = writeln!(out, "<circle class=\"s1 whisker\" cx=\"{}\" cy=\"{}\" r=\"{radius}\"/>", at(*x), at(*y));
        }
    }
}

/// A curve that bends a little towards the centre, so that ways there and back are told apart from the circle.
fn chord(from: (f64, f64), to: (f64, f64)) -> String {
    let bend = |a: f64, b: f64, centre: f64| f64::midpoint(a, b) + (centre - f64::midpoint(a, b)) * 0.35;
    let (x, y) = (bend(from.0, to.0, CENTRE.0), bend(from.1, to.1, CENTRE.1));
    format!("M{} {}Q{} {} {} {}", at(from.0), at(from.1), at(x), at(y), at(to.0), at(to.1))
}

fn spot(place: f64, radius: f64) -> (f64, f64) {
    let angle = place * TAU;
    (CENTRE.0 + radius * angle.sin(), CENTRE.1 - radius * angle.cos())
}

fn legend(shown: Option<&Lookup>) -> Vec<Key> {
    let mut legend = vec![Key::series(2, Shape::Dot, "a member"), Key::series(0, Shape::Line, "a finger")];
    if let Some(lookup) = shown {
        let is_whole = !lookup.found.path.is_empty() || lookup.found.hops <= 1;
        legend.push(Key::series(1, Shape::Line, "the longest lookup's way"));
        if !is_whole {
            legend.push(Key::series(1, Shape::Dashes, "its hops that were not recorded"));
        }
    }
    legend
}

fn describe(nodes: &[Node<'_>], record: &Record, shown: Option<&Lookup>) -> String {
    let mut text = format!("{} on a circle", count(nodes.len(), "member"));
    if let Some(lookup) = shown {
        let owner = record.outline.peer_name(lookup.found.owner).unwrap_or("?");
        let _ = write!(text, "; the longest lookup went from {} to {owner} by {} hops", lookup.from, lookup.found.hops);
    }
    text + "."
}

fn table(nodes: &[Node<'_>], record: &Record) -> Table {
    let mut table = Table::new("Members clockwise", &["peer", "point", "successors", "fingers"], 4);
    let names = |ids: &mut dyn Iterator<Item = u32>| {
        let all: Vec<&str> = ids.filter_map(|id| record.outline.peer_name(id)).collect();
        all.join(", ")
    };
    for node in nodes {
        table.row([
            node.name.to_owned(),
            node.seat.point.clone(),
            names(&mut node.seat.successors.iter().flatten().copied()),
            names(&mut node.seat.fingers.iter().copied()),
        ]);
    }
    table
}

const CENTRE: (f64, f64) = (HALF_WIDTH / 2.0, 232.0);
const RADIUS: f64 = 180.0;
/// Members whose fingers are all drawn; of more, only the asker's.
const CHORDS_MAX: usize = 16;
/// Members whose names fit around the circle.
const NAMES_MAX: usize = 32;
/// How far from the circle a name stands: the next where the one before is taken.
const OUTWARDS: [f64; 3] = [14.0, 29.0, 44.0];
/// About the width of a letter and the height of a line.
const LETTER: f64 = 7.5;
const LINE: f64 = 15.0;
/// Letters of a name beside the circle.
const NAME_MAX: usize = 12;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::html::fixture;

    #[test]
    fn members_sit_where_their_points_are_and_a_known_way_is_drawn_whole() {
        let record = fixture::ring(4, &[(1, 3, 2, vec![2, 4])]);
        let figure = figure(&record, "ring", 4).unwrap();
        assert_eq!(figure.drawing.matches("s2 fill").count(), 4);
        // The first sits at point 0, at the top.
        assert!(figure.drawing.contains(&format!("cx=\"{}\" cy=\"{}\"", at(CENTRE.0), at(CENTRE.1 - RADIUS))));
        assert_eq!(figure.drawing.matches("s1 line thick").count(), 3, "{}", figure.drawing);
    }

    #[test]
    fn hops_that_nobody_recorded_are_dashed() {
        let record = fixture::ring(4, &[(1, 3, 2, Vec::new())]);
        let figure = figure(&record, "ring", 4).unwrap();
        assert_eq!(figure.drawing.matches("s1 bound").count(), 1, "{}", figure.drawing);
        assert_eq!(figure.legend.len(), 4);
    }

    #[test]
    fn a_run_without_rings_has_no_such_figure() {
        assert!(figure(&Record::default(), "ring", 4).is_none());
    }
}
