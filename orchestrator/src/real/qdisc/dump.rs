//! Reads the kernel's list of queueing disciplines, byte for byte as in linux/pkt_sched.h and gen_stats.h.
//!
//! What is wrong with what was found is decided in `links::kernel::compare`.

use std::time::Duration;

use super::{
    NETEM_LOSS_GE, TCA_CODEL_INTERVAL, TCA_CODEL_LIMIT, TCA_CODEL_TARGET, TCA_KIND, TCA_NETEM_CORRUPT,
    TCA_NETEM_JITTER64, TCA_NETEM_LATENCY64, TCA_NETEM_LOSS, TCA_NETEM_PRNG_SEED, TCA_NETEM_RATE, TCA_NETEM_RATE64,
    TCA_NETEM_REORDER, TCA_OPTIONS, TCA_STAB, TCA_STAB_BASE, TCA_TBF_PARMS, TCA_TBF_PRATE64, TCA_TBF_RATE64,
};
use crate::{
    links::kernel::compare::{Counts, Found, FoundNetem, Setting},
    real::netlink::{Kind, Request, attributes},
};

/// A request for all disciplines of a namespace.
pub(in crate::real) fn dump_request(place: &str) -> Request {
    // struct tcmsg, empty: of every link.
    Request::new(Kind::GetQdiscs, &[0; TCMSG], format!("list the queueing disciplines of {place}"))
}

/// Reads one message of the list, without its header: the index of the link, and the discipline. Nothing when it is cut
/// short or of another shape.
pub(in crate::real) fn found(body: &[u8]) -> Option<(i32, Found)> {
    let fixed = body.get(..TCMSG)?;
    let mut kind = String::new();
    let (mut options, mut size_table, mut counts) = (&[][..], None, Counts::default());
    for (attribute, value) in attributes(&body[TCMSG..]) {
        match attribute {
            TCA_KIND => kind = String::from_utf8_lossy(value).trim_end_matches('\0').to_owned(),
            TCA_OPTIONS => options = value,
            // struct tc_sizespec begins with three bytes of scales and a half word of alignment.
            TCA_STAB => size_table = attribute_of(value, TCA_STAB_BASE).and_then(|base| i32_at(base, 4)),
            TCA_STATS2 => counts = read_counts(value),
            _ => {}
        }
    }
    let setting = match kind.as_str() {
        "tbf" => tbf(options),
        "netem" => netem(options).map(Setting::Netem),
        "codel" => codel(options),
        _ => Some(Setting::Other(kind)),
    };
    let found = Found { handle: u32_at(fixed, 8)?, parent: u32_at(fixed, 12)?, size_table, setting: setting?, counts };
    Some((i32_at(fixed, 4)?, found))
}

fn tbf(options: &[u8]) -> Option<Setting> {
    let parameters = attribute_of(options, TCA_TBF_PARMS)?;
    // struct tc_ratespec: cell_log, linklayer, overhead, cell_align, mpu, rate; twice. limit, buffer, mtu.
    let rate = |attribute, at| match attribute_of(options, attribute) {
        Some(rate) => u64_at(rate, 0),
        None => u32_at(parameters, at).map(u64::from),
    };
    Some(Setting::Bucket {
        rate: rate(TCA_TBF_RATE64, 8)?,
        peak: rate(TCA_TBF_PRATE64, 20)?,
        limit: u32_at(parameters, 24)?,
        burst_ticks: u32_at(parameters, 28)?,
    })
}

fn codel(options: &[u8]) -> Option<Setting> {
    let word = |attribute| u32_at(attribute_of(options, attribute)?, 0);
    let micros = |attribute| Some(Duration::from_micros(u64::from(word(attribute)?)));
    Some(Setting::CoDel {
        limit: word(TCA_CODEL_LIMIT)?,
        target: micros(TCA_CODEL_TARGET)?,
        interval: micros(TCA_CODEL_INTERVAL)?,
    })
}

fn netem(options: &[u8]) -> Option<FoundNetem> {
    // struct tc_netem_qopt: latency, limit, loss, gap, duplicate, jitter. The attributes follow it.
    let fixed = options.get(..NETEM_FIXED)?;
    let mut found = FoundNetem {
        limit: u32_at(fixed, 4)?,
        loss: u32_at(fixed, 8)?,
        duplicate: u32_at(fixed, 16)?,
        ..FoundNetem::default()
    };
    for (attribute, value) in attributes(&options[NETEM_FIXED..]) {
        match attribute {
            TCA_NETEM_LATENCY64 => found.delay = u64_at(value, 0)?.cast_signed(),
            TCA_NETEM_JITTER64 => found.jitter = u64_at(value, 0)?.cast_signed(),
            TCA_NETEM_REORDER => found.reorder = u32_at(value, 0)?,
            TCA_NETEM_CORRUPT => found.corrupt = u32_at(value, 0)?,
            // The narrow field is all ones where the wide one says more.
            TCA_NETEM_RATE => found.rate = found.rate.max(u64::from(u32_at(value, 0)?)),
            TCA_NETEM_RATE64 => found.rate = u64_at(value, 0)?,
            TCA_NETEM_LOSS => found.bursts = attribute_of(value, NETEM_LOSS_GE).and_then(four_words),
            TCA_NETEM_PRNG_SEED => found.seed = u64_at(value, 0),
            _ => {}
        }
    }
    Some(found)
}

fn read_counts(statistics: &[u8]) -> Counts {
    let word = |attribute, at| attribute_of(statistics, attribute).and_then(|value| u32_at(value, at)).map(u64::from);
    let wide = |attribute| attribute_of(statistics, attribute).and_then(|value| u64_at(value, 0));
    Counts {
        bytes: wide(TCA_STATS_BASIC).unwrap_or_default(),
        packets: wide(TCA_STATS_PKT64).or_else(|| word(TCA_STATS_BASIC, 8)).unwrap_or_default(),
        // struct gnet_stats_queue: qlen, backlog, drops, requeues, overlimits.
        waiting: word(TCA_STATS_QUEUE, 0).unwrap_or_default(),
        backlog: word(TCA_STATS_QUEUE, 4).unwrap_or_default(),
        drops: word(TCA_STATS_QUEUE, 8).unwrap_or_default(),
        requeues: word(TCA_STATS_QUEUE, 12).unwrap_or_default(),
    }
}

fn attribute_of(nest: &[u8], kind: u16) -> Option<&[u8]> {
    attributes(nest).find(|(found, _)| *found == kind).map(|(_, value)| value)
}

fn four_words(bytes: &[u8]) -> Option<[u32; 4]> {
    Some([u32_at(bytes, 0)?, u32_at(bytes, 4)?, u32_at(bytes, 8)?, u32_at(bytes, 12)?])
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

fn i32_at(bytes: &[u8], at: usize) -> Option<i32> {
    u32_at(bytes, at).map(u32::cast_signed)
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_ne_bytes(bytes.get(at..at + 8)?.try_into().ok()?))
}

/// Length of struct tcmsg: family, padding, index, handle, parent, info.
const TCMSG: usize = 20;
/// Length of struct tc_netem_qopt.
const NETEM_FIXED: usize = 24;
const TCA_STATS2: u16 = 7;
const TCA_STATS_BASIC: u16 = 1;
const TCA_STATS_QUEUE: u16 = 3;
const TCA_STATS_PKT64: u16 = 8;

#[cfg(test)]
mod tests;
