//! Figures that may be relative: how they are read, and what they come to for a class of link.

use std::{fmt::Display, str::FromStr};

use super::{Amount, Fields, NewFields, Part};
use crate::{
    diagnose::Problem,
    plan::{Changes, Jitter, Loss, NewRate},
    topology::{
        keys::Form,
        links,
        reader::{Reader, Written},
        tree::{Node, Value},
    },
    units::{Factor, QuantityError, Rate, Share, Span},
};

/// How a relative figure looks: `+50ms`, `-5ms`, `x2`.
pub(super) const RELATIVE: Form =
    Form::Pattern("relative", r"^([+-] ?[0-9]+(\.[0-9]+)?[a-zA-Z]+|[+-] ?[0-9]+(\.[0-9]+)?%|x ?[0-9]+(\.[0-9]+)?)$");

/// A quantity that can be reckoned with.
pub(super) trait Figure: Copy + Display + FromStr<Err = QuantityError> {
    fn units(self) -> u64;
    fn of_units(units: u64) -> Option<Self>;
}

impl Figure for Rate {
    fn units(self) -> u64 {
        self.0
    }

    fn of_units(units: u64) -> Option<Self> {
        Some(Self(units))
    }
}

impl Figure for Span {
    fn units(self) -> u64 {
        u64::try_from(self.0.as_nanos()).unwrap_or(u64::MAX)
    }

    fn of_units(units: u64) -> Option<Self> {
        Some(Self(std::time::Duration::from_nanos(units)))
    }
}

impl Figure for Share {
    fn units(self) -> u64 {
        u64::from(self.0)
    }

    fn of_units(units: u64) -> Option<Self> {
        u32::try_from(units).ok().map(Self)
    }
}

/// Whether a value is written as a relative one.
pub(super) fn is_relative(node: &Node) -> bool {
    matches!(&node.value, Value::Scalar(scalar) if scalar.text.starts_with(['+', '-', 'x']))
}

/// Reads a figure, absolute or relative.
pub(super) fn read_amount<T: Figure>(reader: &mut Reader, node: &Node) -> Option<Written<Amount<T>>> {
    if !is_relative(node) {
        return reader.quantity(node).map(|it| Written { value: Amount::To(it.value), place: it.place });
    }
    let text = reader.text(node, "a figure")?;
    let (sign, rest) = text.value.split_at(1);
    let rest = rest.trim_start();
    let amount = match sign {
        "+" => rest.parse().map(Amount::More),
        "-" => rest.parse().map(Amount::Less),
        _ => rest.parse().map(Amount::Times),
    };
    match amount {
        Ok(value) => Some(Written { value, place: text.place }),
        Err(error) => {
            reader.problem(Problem::new(text.place, error.message).hint(error.hint));
            None
        }
    }
}

/// What new figures come to for a direction whose class says `class`; what is impossible is reported as being so for
/// `whose`.
pub(crate) fn resolve(problems: &mut Vec<Problem>, whose: &str, class: &Fields, new: NewFields) -> Changes {
    let mut sum = Sum { problems, whose };
    let share = |written: Option<Written<Share>>| written.map_or(Share(0), |share| share.value);
    Changes {
        state: new.state,
        rate: new.rate.and_then(|rate| sum.rate(class, rate)),
        overhead: new.overhead.map(|overhead| overhead.value),
        delay: new.delay.and_then(|delay| {
            let own = class.delay.map_or(Span::default(), |delay| delay.value);
            sum.of("delay", own, delay)
        }),
        jitter: new.jitter.and_then(|jitter| sum.jitter(class, jitter)),
        loss: new.loss.and_then(|loss| sum.loss(class, loss)),
        reorder: new.reorder.and_then(|it| sum.of("reorder", share(class.reorder), it)),
        duplicate: new.duplicate.and_then(|it| sum.of("duplicate", share(class.duplicate), it)),
        corrupt: new.corrupt.and_then(|it| sum.of("corrupt", share(class.corrupt), it)),
        queue: new.queue.and_then(|queue| queue.value.length),
        discipline: new.queue.map(|queue| queue.value.discipline),
    }
}

/// Computes new figures of one direction.
struct Sum<'a> {
    problems: &'a mut Vec<Problem>,
    whose: &'a str,
}

impl Sum<'_> {
    fn rate(&mut self, class: &Fields, new: Written<Option<Amount<Rate>>>) -> Option<NewRate> {
        let Some(amount) = new.value else { return Some(NewRate::Unshaped) };
        let own = class.rate.and_then(|rate| rate.value);
        let own = match (own, amount) {
            (Some(own), _) => own,
            (None, Amount::To(_)) => Rate(0),
            (None, Amount::More(_) | Amount::Less(_) | Amount::Times(_)) => {
                let problem =
                    Problem::new(new.place, format!("{} is unshaped, so no rate is relative to it", self.whose));
                self.problems.push(problem.hint("give a rate such as 10mbit"));
                return None;
            }
        };
        let rate = self.of("rate", own, Written { value: amount, place: new.place })?;
        if rate == Rate(0) {
            let problem = Problem::new(new.place, format!("{}: a rate of zero lets nothing through", self.whose));
            self.problems.push(problem.hint("write `state: down` for that"));
            return None;
        }
        Some(NewRate::Limited(rate))
    }

    fn jitter(&mut self, class: &Fields, new: Written<Part<Jitter, Span>>) -> Option<Jitter> {
        let own = class.jitter.map_or(Jitter::default(), |jitter| jitter.value);
        match new.value {
            Part::Whole(jitter) => Some(jitter),
            Part::Amount(value) => {
                let amount = self.of("jitter", own.amount, Written { value, place: new.place })?;
                Some(Jitter { amount, ..own })
            }
        }
    }

    fn loss(&mut self, class: &Fields, new: Written<Part<Loss, Share>>) -> Option<Loss> {
        let own = class.loss.map_or(Loss { average: Share(0), burst: 1 }, |loss| loss.value);
        let Part::Amount(value) = new.value else {
            let Part::Whole(loss) = new.value else { return None };
            return Some(loss);
        };
        let average = self.of("loss", own.average, Written { value, place: new.place })?;
        if average == Share::WHOLE || !links::is_possible(average, own.burst) {
            let message =
                format!("{}: losing {average} of the packets takes more than {} in a row", self.whose, own.burst);
            let problem = Problem::new(new.place, message);
            self.problems.push(problem.hint("give { average, burst }, or `state: down` to lose everything"));
            return None;
        }
        Some(Loss { average, ..own })
    }

    /// The sum, difference or product; rounded down to the unit's resolution.
    fn of<T: Figure>(&mut self, key: &str, own: T, new: Written<Amount<T>>) -> Option<T> {
        let units = match new.value {
            Amount::To(value) => return Some(value),
            Amount::More(more) => own.units().checked_add(more.units()),
            Amount::Less(less) => own.units().checked_sub(less.units()),
            Amount::Times(Factor(millionths)) => {
                u64::try_from(u128::from(own.units()) * u128::from(millionths) / 1_000_000).ok()
            }
        };
        // The quantity's own grammar knows its largest value.
        let value = units.and_then(T::of_units).filter(|value| value.to_string().parse::<T>().is_ok());
        if value.is_none() {
            let message = format!("{}: this leads beyond what a {key} can be", self.whose);
            self.problems.push(Problem::new(new.place, message).hint(format!("its own {key} is {own}")));
        }
        value
    }
}
