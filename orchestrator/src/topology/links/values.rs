//! Values of links that are more than a quantity: rates that may be absent, loss in bursts, jitter, queues.

use std::time::Duration;

use super::{BURST_MAX, JITTER_KEYS, LOSS_KEYS, OVERHEAD_MAX, QUEUE_KEYS, QueueFields};
use crate::{
    diagnose::Problem,
    plan::{Discipline, Jitter, Loss, Order, Queue, Shape},
    topology::{
        reader::{Reader, Written},
        tree::{Node, Value},
    },
    units::{QuantityError, Rate, Share, Size, Span},
};

pub(in crate::topology) fn read_rate(reader: &mut Reader, node: &Node) -> Option<Written<Option<Rate>>> {
    let text = reader.text(node, "a rate")?;
    if text.value == "unshaped" {
        return Some(Written { value: None, place: text.place });
    }
    let rate = reader.quantity::<Rate>(node)?;
    if rate.value == Rate(0) {
        let problem = Problem::new(rate.place, "a rate of zero lets nothing through");
        reader.problem(problem.hint("leave it out, or write `unshaped`, for no limit"));
        return None;
    }
    Some(Written { value: Some(rate.value), place: rate.place })
}

pub(in crate::topology) fn read_loss(reader: &mut Reader, node: &Node) -> Option<Written<Loss>> {
    let (average, burst) = if let Value::Map(_) = node.value {
        let section = reader.section(node, "`loss`", node.place, LOSS_KEYS)?;
        let average = section.value("average").and_then(|node| reader.quantity::<Share>(node));
        let burst = section.value("burst").map(|node| reader.integer(node, "number of packets", 1..=BURST_MAX));
        (average?, burst.map_or(Some(1), |burst| burst.map(|burst| burst.value))?)
    } else {
        (reader.quantity::<Share>(node)?, 1)
    };
    let burst = u32::try_from(burst).expect("at most BURST_MAX");
    check_loss(reader, average, burst)?;
    Some(Written { value: Loss { average: average.value, burst }, place: average.place })
}

/// Gilbert–Elliott with losses of mean length b and average share a enters the bad state with probability
/// a / (b (1 − a)), which must not exceed 1.
fn check_loss(reader: &mut Reader, average: Written<Share>, burst: u32) -> Option<()> {
    if average.value == Share::WHOLE {
        let problem = Problem::new(average.place, "a link that loses every packet is no link");
        reader.problem(problem.hint("give less than 100%"));
        return None;
    }
    if !is_possible(average.value, burst) {
        let message = format!("losing {} of the packets takes more than {burst} in a row on average", average.value);
        reader.problem(Problem::new(average.place, message).hint("give a smaller share, or a larger `burst`"));
        return None;
    }
    Some(())
}

/// Whether losses of this average share can have this mean length.
pub(in crate::topology) fn is_possible(average: Share, burst: u32) -> bool {
    let lost = average.fraction();
    lost / (f64::from(burst) * (1.0 - lost)) <= 1.0
}

pub(in crate::topology) fn read_overhead(reader: &mut Reader, node: &Node) -> Option<Written<u32>> {
    let bytes = reader.integer(node, "number of bytes", 0..=OVERHEAD_MAX)?;
    Some(Written { value: u32::try_from(bytes.value).expect("at most OVERHEAD_MAX"), place: bytes.place })
}

/// Reads a jitter: its amount, or a map with distribution and order.
pub(in crate::topology) fn read_jitter(reader: &mut Reader, node: &Node) -> Option<Written<Jitter>> {
    if !matches!(node.value, Value::Map(_)) {
        let amount = reader.quantity::<Span>(node)?;
        return Some(Written { value: Jitter { amount: amount.value, ..Jitter::default() }, place: amount.place });
    }
    let section = reader.section(node, "`jitter`", node.place, JITTER_KEYS)?;
    let amount = section.value("amount").and_then(|node| reader.quantity::<Span>(node));
    let shapes = [("uniform", Shape::Uniform), ("normal", Shape::Normal), ("pareto", Shape::Pareto)];
    let shape = section.value("distribution").and_then(|node| reader.word(node, "distribution", &shapes));
    let keeps_order = section.value("keep-order").and_then(|node| reader.boolean(node));
    let order = if keeps_order == Some(true) { Order::Kept } else { Order::Free };
    let Written { value: amount, place } = amount?;
    Some(Written { value: Jitter { amount, shape: shape.map_or(Shape::Uniform, |shape| shape.value), order }, place })
}

/// Reads a queue: its length, or a map with what is dropped.
pub(in crate::topology) fn read_queue(reader: &mut Reader, node: &Node) -> Option<Written<QueueFields>> {
    if !matches!(node.value, Value::Map(_)) {
        let length = read_length(reader, node)?;
        let fields = QueueFields { length: Some(length.value), discipline: Discipline::DropTail };
        return Some(Written { value: fields, place: length.place });
    }
    let section = reader.section(node, "`queue`", node.place, QUEUE_KEYS)?;
    let length = section.value("length").and_then(|node| read_length(reader, node));
    let words = [("drop-tail", false), ("codel", true)];
    let discipline = section.value("discipline").and_then(|node| reader.word(node, "queue discipline", &words));
    let target = section.value("target").and_then(|node| reader.quantity::<Span>(node));
    let interval = section.value("interval").and_then(|node| reader.quantity::<Span>(node));
    let is_codel = discipline.is_some_and(|discipline| discipline.value);
    let is_other = !is_codel && (discipline.is_some() || section.value("discipline").is_none());
    for key in ["target", "interval"].into_iter().filter(|key| is_other && section.value(key).is_some()) {
        let problem = Problem::new(section.key_place(key), format!("`{key}` is a figure of codel"));
        reader.problem(problem.hint("add `discipline: codel`"));
    }
    let discipline = if is_codel { read_codel(reader, target, interval)? } else { Discipline::DropTail };
    let place = length.map_or(node.place, |length| length.place);
    Some(Written { value: QueueFields { length: length.map(|length| length.value), discipline }, place })
}

fn read_codel(
    reader: &mut Reader,
    target: Option<Written<Span>>,
    interval: Option<Written<Span>>,
) -> Option<Discipline> {
    let (own_target, own_interval) = (target.map(|it| it.value), interval.map(|it| it.value));
    let (target_time, interval_time) = (own_target.unwrap_or(CODEL_TARGET), own_interval.unwrap_or(CODEL_INTERVAL));
    let written = target.or(interval);
    if let Some(place) = written.filter(|_| target_time.0.is_zero() || target_time >= interval_time).map(|it| it.place)
    {
        let message = format!("codel's target of {target_time} has to be more than nothing and less than its interval");
        reader.problem(Problem::new(place, message).hint(format!("the interval is {interval_time}")));
        return None;
    }
    Some(Discipline::CoDel { target: target_time, interval: interval_time })
}

/// From RFC 8289, section 4.3.
const CODEL_TARGET: Span = Span(Duration::from_millis(5));
/// From RFC 8289, section 4.3.
const CODEL_INTERVAL: Span = Span(Duration::from_millis(100));

/// Reads a queue's length: time at link rate, bytes, or full packets.
fn read_length(reader: &mut Reader, node: &Node) -> Option<Written<Queue>> {
    let text = reader.text(node, "a queue")?;
    match parse_queue(&text.value) {
        Ok(value) => Some(Written { value, place: text.place }),
        Err(error) => {
            reader.problem(Problem::new(text.place, error.message).hint(error.hint));
            None
        }
    }
}

fn parse_queue(text: &str) -> Result<Queue, QuantityError> {
    let examples = "50ms (at link rate), 64KiB, or 30 packets";
    let number = |unit: &str| text.strip_suffix(unit).map(str::trim_end);
    if let Some(count) = number("packets").or_else(|| number("packet")) {
        let count = count.parse().map_err(|_| QuantityError {
            message: format!("`{text}` is no number of packets"),
            hint: format!("write a queue as {examples}"),
        })?;
        return Ok(Queue::Packets(count));
    }
    if text.ends_with('B') || text.ends_with("bit") {
        return text.parse::<Size>().map(Queue::Bytes);
    }
    text.parse::<Span>().map(Queue::Time).map_err(|error| QuantityError {
        message: error.message.replace("a span of time", "a queue's length"),
        hint: format!("write a queue as {examples}"),
    })
}
