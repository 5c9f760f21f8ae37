//! Reading conditions over many values from their text.

use std::ops::Range;

use peerbed_peer::timing::Timing;

use super::{Bar, DistributionSeries, Function, Healed, HostSeries, Over, Series};
use crate::{
    diagnose::suggestion,
    expect::{ConditionError, Selector, parse as plain},
    scenario::rings::FaultKind,
    units::{Rate, Share, Span},
};

/// Reads a condition over many values; none where the text has not the form of one.
pub(in crate::expect) fn over(text: &str) -> Option<Result<Over, ConditionError>> {
    if text.starts_with("within ") {
        return Some(within(text));
    }
    let operator = text.find(['<', '>', '=', '!']).unwrap_or(text.len());
    if text[..operator].contains('(') {
        return Some(folded(text));
    }
    text[..operator].contains(" at ").then(|| at(text))
}

/// `FUNCTION(SERIES) OP VALUE`.
fn folded(text: &str) -> Result<Over, ConditionError> {
    let open = text.find('(').unwrap_or(0);
    let function = function(text[..open].trim(), 0..open.max(1))?;
    let Some(close) = text.find(')').filter(|close| *close > open) else {
        return Err(plain::error(
            "a closing bracket is missing",
            "write p95(distribution.NAME.completion)",
            open..text.len(),
        ));
    };
    let inside = text[open + 1..close].trim_start();
    let series = series(inside.trim_end(), close - inside.len())?;
    let bar = bar(&series, text, close + 1)?;
    Ok(Over::Folded { function, series, bar })
}

/// `SERIES at SPAN OP VALUE`.
fn at(text: &str) -> Result<Over, ConditionError> {
    let place = text.find(" at ").unwrap_or(0);
    let series = over_time(series(text[..place].trim_end(), 0)?, 0..place)?;
    let after = place + " at ".len();
    let end = text[after..].find(['<', '>', '=', '!']).map_or(text.len(), |end| after + end);
    let seconds = span(text[after..end].trim(), after..end)?;
    let bar = bar(&series, text, end)?;
    Ok(Over::At { series, seconds, bar })
}

/// `within SPAN of FAULT: WHAT`.
fn within(text: &str) -> Result<Over, ConditionError> {
    let hint = "write `within 6s of crash: recovered`, `… : ring.correct` or `… : distribution.NAME.uplink >= 10mbit`";
    let start = "within ".len();
    let of = text.find(" of ").ok_or_else(|| plain::error("`of` and the fault are missing", hint, 0..text.len()))?;
    let seconds = span(text[start..of].trim(), start..of.max(start + 1))?;
    let colon = text.find(':').filter(|colon| *colon > of);
    let colon =
        colon.ok_or_else(|| plain::error("a colon and what has to come true are missing", hint, of..text.len()))?;
    let word = text[of + " of ".len()..colon].trim();
    let place = of + " of ".len()..colon;
    let fault = fault(word, place.clone())?;
    let from = text.len() - text[colon + 1..].trim_start().len();
    if text[from..].trim() == "recovered" {
        return Ok(Over::Within { seconds, fault, healed: Healed::Recovered });
    }
    if let Some(ring) = text[from..].trim().strip_suffix(".correct").filter(|ring| is_name(ring)) {
        if !FaultKind::ALL.into_iter().any(|kind| kind.word() == fault) {
            let hint = "take crash, leave, join or heal";
            return Err(plain::error(format!("a ring is not watched getting over `{fault}`"), hint, place));
        }
        return Ok(Over::Within { seconds, fault, healed: Healed::Ring(ring.to_owned()) });
    }
    let end = text[from..].find(|c: char| c.is_whitespace() || "<>=!".contains(c)).map_or(text.len(), |end| from + end);
    let series = over_time(series(&text[from..end], from)?, from..end)?;
    let bar = bar(&series, text, end)?;
    Ok(Over::Within { seconds, fault, healed: Healed::Series(series, bar) })
}

fn fault(word: &str, range: Range<usize>) -> Result<&'static str, ConditionError> {
    FAULTS.iter().find(|known| **known == word).copied().ok_or_else(|| {
        let hint = match word {
            "flap" => "a flap changes links; write `link`".to_owned(),
            _ => suggestion(word, FAULTS.iter().copied()).unwrap_or_else(|| format!("take {}", FAULTS.join(", "))),
        };
        plain::error(format!("`{word}` is no fault"), hint, range)
    })
}

/// Whether this may be the name of a ring.
fn is_name(word: &str) -> bool {
    !word.is_empty() && !word.contains(['.', '(', '<', '>', '=', '!']) && !word.contains(char::is_whitespace)
}

fn function(word: &str, range: Range<usize>) -> Result<Function, ConditionError> {
    match (word, percentile(word)) {
        ("min", _) => Ok(Function::Min),
        ("mean", _) => Ok(Function::Mean),
        ("median", _) => Ok(Function::Percentile(500)),
        ("max", _) => Ok(Function::Max),
        (_, Some(mille)) => Ok(Function::Percentile(mille)),
        _ => Err(plain::error(format!("`{word}` is no function"), "take min, mean, median, max or p1 to p99.9", range)),
    }
}

/// `p1` to `p99.9` as per mille, with one digit behind the point at most.
fn percentile(word: &str) -> Option<u16> {
    let percent = word.strip_prefix('p')?;
    let (whole, tenth) = percent.split_once('.').unwrap_or((percent, "0"));
    let tenth: u16 = tenth.parse().ok().filter(|_| tenth.len() == 1)?;
    let mille = whole.parse::<u8>().ok().map(|whole| u16::from(whole) * 10 + tenth)?;
    (10..=999).contains(&mille).then_some(mille)
}

/// `distribution.NAME[.VIA].SERIES` or `host.SERIES`, which begins at byte `start` of the text.
fn series(text: &str, start: usize) -> Result<Series, ConditionError> {
    let range = start..start + text.len().max(1);
    if let Some(word) = text.strip_prefix("host.") {
        let found = HOST.iter().find(|(known, _)| *known == word).map(|(_, series)| Series::Host(*series));
        return found.ok_or_else(|| {
            let hint = suggestion(word, HOST.iter().map(|(known, _)| *known)).unwrap_or_default();
            plain::error(format!("`{word}` is not watched of the host"), hint, range)
        });
    }
    if let Some(found) = timing(text) {
        return Ok(found);
    }
    let hint = "write distribution.NAME.completion, .progress or .uplink, host.busy, swarm.leaf or ring.answer";
    let missing = || plain::error(format!("`{text}` is no series"), hint, range.clone());
    let rest = text.strip_prefix("distribution.").ok_or_else(missing)?;
    let parts: Vec<&str> = rest.split('.').collect();
    let (name, via, word) = match parts.as_slice() {
        [name, word] => (*name, None, *word),
        [name, via, word] => (*name, Some(*via), *word),
        _ => return Err(missing()),
    };
    let name_start = start + "distribution.".len();
    let name_range = name_start..name_start + name.len();
    let via = via.map(|word| plain::read_via(word, name_range.end + 1)).transpose()?;
    let kind = DISTRIBUTION.iter().find(|(known, _)| *known == word).ok_or_else(missing)?.1;
    if name.is_empty() {
        return Err(missing());
    }
    Ok(Series::Distribution(Selector { name: name.to_owned(), via, name_range }, kind))
}

/// `swarm.leaf[.GROUP]` or `ring.answer[.GROUP]`.
fn timing(text: &str) -> Option<Series> {
    Timing::ALL.into_iter().find_map(|timing| {
        let rest = text.strip_prefix(timing.name())?;
        let group = rest.strip_prefix('.').filter(|group| !group.is_empty());
        (rest.is_empty() || group.is_some()).then(|| Series::Timing(timing, group.map(str::to_owned)))
    })
}

/// Refuses what has no value at an instant.
fn over_time(series: Series, range: Range<usize>) -> Result<Series, ConditionError> {
    if matches!(series, Series::Distribution(_, DistributionSeries::Completion | DistributionSeries::FromArrival)) {
        let hint = "take `progress` or `uplink`, or a function such as p95(…) of completions";
        return Err(plain::error("completions are no course over time", hint, range));
    }
    if matches!(series, Series::Timing(..)) {
        let hint = "take a function, such as p99(swarm.leaf)";
        return Err(plain::error("what peers measure is no course over time", hint, range));
    }
    Ok(series)
}

/// `OP VALUE` from byte `from` of the text on, with a value of the series' kind.
fn bar(series: &Series, text: &str, from: usize) -> Result<Bar, ConditionError> {
    let (operator, value, range) = plain::comparison(text, from)?;
    let seconds = || {
        value
            .parse()
            .ok()
            .filter(|n: &f64| n.is_finite() && *n >= 0.0)
            .or_else(|| value.parse::<Span>().ok().map(Span::seconds))
    };
    let share = || value.parse::<Share>().ok().map(Share::fraction);
    let (wanted, hint) = match series {
        Series::Distribution(_, DistributionSeries::Completion | DistributionSeries::FromArrival)
        | Series::Host(HostSeries::Lateness)
        | Series::Timing(..) => (seconds(), "give seconds, such as 40 or 40s"),
        Series::Distribution(_, DistributionSeries::Progress)
        | Series::Host(HostSeries::Busy | HostSeries::Waiting | HostSeries::Steal) => {
            (share(), "give a share, such as 50%")
        }
        Series::Distribution(_, DistributionSeries::Uplink) => {
            (value.parse::<Rate>().ok().map(|rate| rate.0 as f64), "give a rate, such as 10mbit")
        }
    };
    let wanted = wanted.ok_or_else(|| plain::error(format!("`{value}` does not fit this series"), hint, range))?;
    Ok(Bar { operator, wanted })
}

fn span(text: &str, range: Range<usize>) -> Result<f64, ConditionError> {
    let span = text.parse::<Span>().map(Span::seconds);
    span.map_err(|_| plain::error(format!("`{text}` is no span"), "give a span, such as 6s", range))
}

const DISTRIBUTION: &[(&str, DistributionSeries)] = &[
    ("completion", DistributionSeries::Completion),
    ("from-arrival", DistributionSeries::FromArrival),
    ("progress", DistributionSeries::Progress),
    ("uplink", DistributionSeries::Uplink),
];
const HOST: &[(&str, HostSeries)] = &[
    ("busy", HostSeries::Busy),
    ("waiting", HostSeries::Waiting),
    ("steal", HostSeries::Steal),
    ("lateness", HostSeries::Lateness),
];
/// Words of steps. A flap becomes changes of links in the plan, and churn becomes crashes, leaves and joins of a ring's members.
const FAULTS: &[&str] = &["crash", "leave", "join", "link", "partition", "heal", "pause"];

#[cfg(test)]
mod tests {
    use crate::expect::{Condition, RingSubject};

    #[test]
    fn what_is_wrong_is_named_where_it_stands() {
        for (text, message, part) in [
            ("p0(distribution.x.completion) <= 1s", "`p0` is no function", "p0"),
            ("p99.99(swarm.leaf) <= 1s", "`p99.99` is no function", "p99.99"),
            ("p100(swarm.leaf) <= 1s", "`p100` is no function", "p100"),
            ("p95(distribution.x.completions) <= 1s", "is no series", "distribution.x.completions"),
            ("p95(distribution.x.completion <= 1s", "a closing bracket is missing", "(distribution.x.completion <= 1s"),
            ("p95(distribution.x.bus.completion) <= 1s", "`bus` is no way to spread a file", "bus"),
            ("p95(distribution.x.completion) <= 10%", "`10%` does not fit this series", "10%"),
            ("max(distribution.x.uplink) >= 5", "`5` does not fit this series", "5"),
            ("max(host.bussy) <= 5%", "`bussy` is not watched of the host", "host.bussy"),
            (
                "distribution.x.completion at 5s <= 1s",
                "completions are no course over time",
                "distribution.x.completion",
            ),
            ("p99(swarm.leafs) <= 1s", "is no series", "swarm.leafs"),
            ("p99(ring.answer.) <= 1s", "is no series", "ring.answer."),
            ("p99(swarm.leaf) <= 10%", "`10%` does not fit this series", "10%"),
            ("swarm.leaf at 5s <= 1s", "what peers measure is no course over time", "swarm.leaf"),
            ("distribution.x.progress at noon >= 5%", "`noon` is no span", "noon "),
            ("within 6s of crsh: recovered", "`crsh` is no fault", "crsh"),
            ("within 6s of flap: recovered", "`flap` is no fault", "flap"),
            ("within 6s of pause: ring.correct", "is not watched getting over `pause`", "pause"),
            ("within 6s of crash: ring.corect", "is no series", "ring.corect"),
            ("p95( distribution.x.completions ) <= 1s", "is no series", "distribution.x.completions"),
            ("within 6s of crash recovered", "a colon and what has to come true are missing", " of crash recovered"),
            ("within 6s: recovered", "`of` and the fault are missing", "within 6s: recovered"),
        ] {
            let error = Condition::parse(text).unwrap_err();
            assert!(error.message.contains(message), "{text}: {error}");
            assert_eq!(&text[error.range.clone()], part, "{text}");
        }
    }

    #[test]
    fn the_name_of_a_distribution_is_found_for_checks_and_hints() {
        for text in [
            "p95(distribution.release.swarm.completion) <= 40s",
            "distribution.release.progress at 10s >= 40%",
            "within 6s of crash: distribution.release.uplink >= 20mbit",
        ] {
            let condition = Condition::parse(text).unwrap();
            let selector = condition.selector().unwrap();
            assert_eq!((&text[selector.name_range.clone()], condition.is_live()), ("release", false), "{text}");
        }
        assert!(Condition::parse("within 6s of crash: recovered").unwrap().selector().is_none());
        let ring = Condition::parse("within 6s of heal: ring.correct").unwrap();
        assert_eq!(ring.ring_subjects(), [(RingSubject::Rings, "ring")]);
    }
}
