//! What a plan means for every pair of groups: the round trip and the rate between their peers.

use std::time::Duration;

use comfy_table::{Table, presets};

use super::{Direction, Discipline, Jitter, Link, Order, Peer, Plan, Shape};
use crate::units::{Rate, Share, Span};

/// The matrix as text: a row for each sending group, a column for each receiving one, each cell with the round-trip time
/// without queueing and the smaller of the sender's upload and the receiver's download; and below, what is lost.
#[must_use]
pub fn matrix(plan: &Plan) -> String {
    let groups = groups(plan);
    let mut table = Table::new();
    table.load_style(presets::UTF8_FULL_CONDENSED);
    table.set_header(std::iter::once("from \\ to".to_owned()).chain(groups.iter().map(|(name, ..)| name.clone())));
    for (name, count, from) in &groups {
        let cells = groups.iter().map(
            |(other, _, to)| {
                if name == other && *count == 1 { "-".to_owned() } else { cell(plan, from, to) }
            },
        );
        table.add_row(std::iter::once(format!("{name} ({count})")).chain(cells));
    }
    let mut text = String::from("Round-trip time and rate from group to group, without queueing:\n\n");
    text.push_str(&table.to_string());
    text.push('\n');
    for link in &plan.links {
        for (word, direction) in [("up", &link.up), ("down", &link.down)] {
            if let Some(impaired) = impairments(direction) {
                text.push_str(&format!("\n{} {word}: {impaired}", link.name));
            }
        }
    }
    text
}

/// Groups in order, with their sizes and first peers.
fn groups(plan: &Plan) -> Vec<(String, usize, &Peer)> {
    let mut groups: Vec<(String, usize, &Peer)> = Vec::new();
    for peer in &plan.peers {
        match groups.last_mut().filter(|(name, ..)| *name == peer.group) {
            Some((_, count, _)) => *count += 1,
            None => groups.push((peer.group.clone(), 1, peer)),
        }
    }
    groups
}

fn cell(plan: &Plan, from: &Peer, to: &Peer) -> String {
    let (Some(a), Some(b)) = (link(plan, from), link(plan, to)) else { return "?".to_owned() };
    let there = latency(plan, from, to);
    let back = latency(plan, to, from);
    let delays = [a.up.delay, b.down.delay, b.up.delay, a.down.delay].map(|delay| delay.0);
    let rtt = delays.iter().sum::<Duration>() + there + back;
    let rate = [a.up.rate, b.down.rate].into_iter().flatten().min();
    format!("{}, {}", Span(rtt), rate.map_or("unshaped".to_owned(), |rate: Rate| rate.to_string()))
}

fn link<'a>(plan: &'a Plan, peer: &Peer) -> Option<&'a Link> {
    plan.links.iter().find(|link| link.name == peer.link)
}

fn latency(plan: &Plan, from: &Peer, to: &Peer) -> Duration {
    let (Some(from), Some(to)) = (&from.region, &to.region) else { return Duration::ZERO };
    let found = plan.latencies.iter().find(|latency| latency.from == *from && latency.to == *to);
    found.map_or(Duration::ZERO, |latency| latency.delay.0)
}

/// What else a direction does to packets.
fn impairments(direction: &Direction) -> Option<String> {
    let mut parts = Vec::new();
    if !direction.jitter.amount.0.is_zero() {
        parts.push(jitter(direction.jitter));
    }
    if direction.loss.average > Share(0) {
        let burst = direction.loss.burst;
        let bursts = if burst > 1 { format!(" in bursts of {burst}") } else { String::new() };
        parts.push(format!("loss {}{bursts}", direction.loss.average));
    }
    if direction.reorder > Share(0) {
        parts.push(format!("reordering {}", direction.reorder));
    }
    if direction.duplicate > Share(0) {
        parts.push(format!("duplicates {}", direction.duplicate));
    }
    if direction.corrupt > Share(0) {
        parts.push(format!("corrupted {}", direction.corrupt));
    }
    if direction.overhead > 0 {
        parts.push(format!("{} bytes of framing per packet", direction.overhead));
    }
    if let Discipline::CoDel { target, interval } = direction.discipline {
        parts.push(format!("CoDel {target} in {interval}"));
    }
    if let Some(trace) = &direction.trace {
        let points = trace.points.len();
        let repeats = trace.repeat.map_or(String::new(), |every| format!(", again every {every}"));
        parts.push(format!("a trace of {points} points{repeats}"));
    }
    (!parts.is_empty()).then(|| parts.join(", "))
}

fn jitter(jitter: Jitter) -> String {
    let shape = match jitter.shape {
        Shape::Uniform => "",
        Shape::Normal => ", normal",
        Shape::Pareto => ", Pareto",
    };
    let order = match jitter.order {
        Order::Free => "",
        Order::Kept => ", in order",
    };
    format!("jitter {}{shape}{order}", jitter.amount)
}
