//! Values of links that are more than a quantity: rates that may be absent, loss in bursts, queues.

use super::{BURST_MAX, LOSS_KEYS};
use crate::{
    diagnose::Problem,
    plan::{Loss, Queue},
    topology::{
        reader::{Reader, Written},
        tree::{Node, Value},
    },
    units::{QuantityError, Rate, Share, Size, Span},
};

pub(super) fn read_rate(reader: &mut Reader, node: &Node) -> Option<Written<Option<Rate>>> {
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

pub(super) fn read_loss(reader: &mut Reader, node: &Node) -> Option<Written<Loss>> {
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
    let lost = average.value.fraction();
    if lost / (f64::from(burst) * (1.0 - lost)) > 1.0 {
        let message = format!("losing {} of the packets takes more than {burst} in a row on average", average.value);
        reader.problem(Problem::new(average.place, message).hint("give a smaller share, or a larger `burst`"));
        return None;
    }
    Some(())
}

/// Reads a queue's length: time at link rate, bytes, or full packets.
pub(super) fn read_queue(reader: &mut Reader, node: &Node) -> Option<Written<Queue>> {
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
