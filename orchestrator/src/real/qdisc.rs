//! Sends a chain of queueing disciplines to the kernel, byte for byte as in linux/pkt_sched.h.
//!
//! What is in a chain, and why, is decided in `links::kernel`; what the kernel says it has is read in `dump`.

use std::time::Duration;

use crate::{
    links::kernel::{self, ETHERNET_HEADER, NO_LIMIT, Netem, NetemLoss, Qdisc, Tc},
    real::netlink::{Attributes, Kind, Request},
};

mod dump;

pub(super) use self::dump::{dump_request, found};

/// The requests that hang `tc` into the link with this index, root first. `place` names the link in errors.
pub(super) fn requests(tc: &Tc, link: i32, place: &str) -> Vec<Request> {
    let all = places(tc, link, Doing::Add);
    all.map(|(qdisc, at)| request(qdisc, tc.overhead, at, place)).collect()
}

/// The requests that turn what hangs in the link with this index from `old` into `new`: by new settings where the
/// disciplines are the same, and otherwise by making the chain anew, which loses what waits in it.
pub(super) fn change_requests(old: &Tc, new: &Tc, link: i32, place: &str) -> Vec<Request> {
    if !old.is_shaped_like(new) {
        let at = Place { link, handle: 0, parent: TC_H_ROOT, doing: Doing::Remove };
        let gone = (!old.chain.is_empty()).then(|| at.bare(format!("remove what shapes {place}")));
        return gone.into_iter().chain(requests(new, link, place)).collect();
    }
    // Overhead is in the size of every bucket.
    let is_changed = |before: &Qdisc, now: &Qdisc| before != now || old.overhead != new.overhead;
    let all = places(new, link, Doing::Change).zip(&old.chain);
    all.filter(|((now, _), before)| is_changed(before, now))
        .map(|((qdisc, at), _)| request(qdisc, new.overhead, at, place))
        .collect()
}

/// Each discipline of a chain with its place.
fn places(tc: &Tc, link: i32, doing: Doing) -> impl Iterator<Item = (&Qdisc, Place)> {
    let handles = (1_u32..).map(|level| level << 16);
    // Both tbf and netem have one class, number 1; nothing hangs in codel.
    let parents = std::iter::once(TC_H_ROOT).chain(handles.clone().map(|handle| handle | 1));
    let place = move |(handle, parent)| Place { link, handle, parent, doing };
    tc.chain.iter().zip(handles.zip(parents).map(place))
}

/// A bare htb on the link with this index, to see whether the kernel has it.
pub(super) fn htb_request(link: i32) -> Request {
    let at = Place { link, handle: 1 << 16, parent: TC_H_ROOT, doing: Doing::Add };
    // struct tc_htb_glob: version, rate2quantum, defcls, debug, direct_pkts.
    at.request("htb", 0, "lo").nest(TCA_OPTIONS, |options| options.put(TCA_HTB_INIT, &words([3, 10, 0, 0, 0])))
}

/// A bare ingress discipline on the link with this index, to see whether the kernel has it.
pub(super) fn ingress_request(link: i32) -> Request {
    let handle = TC_H_INGRESS & 0xffff_0000;
    Place { link, handle, parent: TC_H_INGRESS, doing: Doing::Add }.request("ingress", 0, "lo")
}

/// Where a queueing discipline hangs.
#[derive(Clone, Copy)]
struct Place {
    /// Index of the link.
    link: i32,
    /// The discipline's own handle.
    handle: u32,
    /// The class it hangs in.
    parent: u32,
    /// What happens to it.
    doing: Doing,
}

/// What happens to a queueing discipline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Doing {
    Add,
    Change,
    Remove,
}

impl Place {
    /// A request for this place alone.
    fn bare(self, what: String) -> Request {
        // struct tcmsg: family, padding, index, handle, parent, info.
        let mut body = vec![0_u8; 4];
        body.extend(self.link.to_ne_bytes());
        for word in [self.handle, self.parent, 0] {
            body.extend(word.to_ne_bytes());
        }
        let kind = match self.doing {
            Doing::Add => Kind::NewQdisc,
            Doing::Change => Kind::ChangeQdisc,
            Doing::Remove => Kind::RemoveQdisc,
        };
        Request::new(kind, &body, what)
    }

    /// A request for a discipline of this kind, without options, whose packets have so many bytes of overhead.
    fn request(self, kind: &str, overhead: u32, place: &str) -> Request {
        let word = if self.doing == Doing::Change { "change" } else { "add" };
        let name = [kind.as_bytes(), b"\0"].concat();
        let request = self.bare(format!("{word} {kind} to {place}")).with(TCA_KIND, &name);
        // The kernel takes size tables at the root only; sizes stay with packets on their way through the chain.
        if self.parent == TC_H_ROOT { request.nest(TCA_STAB, |table| sizes(table, overhead)) } else { request }
    }
}

fn request(qdisc: &Qdisc, overhead: u32, at: Place, place: &str) -> Request {
    let frame = kernel::frame(overhead);
    match qdisc {
        // What hangs in the bucket is made by the next request; until then nothing can pass.
        Qdisc::Cut => {
            at.request("tbf", overhead, place).nest(TCA_OPTIONS, |options| bucket(options, NO_LIMIT, frame, 0, frame))
        }
        Qdisc::Bucket { rate, burst, limit } => {
            let request = at.request("tbf", overhead, place);
            request.nest(TCA_OPTIONS, |options| bucket(options, *rate, *burst, *limit, frame))
        }
        Qdisc::CoDel { limit, target, interval } => {
            let micros = |time: &Duration| u32::try_from(time.as_micros()).unwrap_or(u32::MAX).to_ne_bytes();
            at.request("codel", overhead, place).nest(TCA_OPTIONS, |options| {
                options.put(TCA_CODEL_TARGET, &micros(target));
                options.put(TCA_CODEL_LIMIT, &limit.to_ne_bytes());
                options.put(TCA_CODEL_INTERVAL, &micros(interval));
                // Packets are dropped, never marked: not every peer's transport reads marks.
                options.put(TCA_CODEL_ECN, &0_u32.to_ne_bytes());
            })
        }
        Qdisc::Netem(settings) => {
            at.request("netem", overhead, place).nest(TCA_OPTIONS, |options| netem(options, settings))
        }
    }
}

/// A size table that counts the IP packets inside frames, and so many bytes more.
fn sizes(table: &mut Attributes, overhead: u32) {
    // struct tc_sizespec: cell_log, size_log, cell_align; overhead, linklayer, mpu, mtu, tsize.
    let mut base = vec![0_u8; 4];
    base.extend(overhead.wrapping_sub(ETHERNET_HEADER).to_ne_bytes());
    base.extend([0; 16]);
    table.put(TCA_STAB_BASE, &base);
}

/// Options of tbf. The bucket of the peak rate holds one frame, which makes tbf cut every train.
fn bucket(options: &mut Attributes, rate: u64, burst: u32, limit: u32, frame: u32) {
    // struct tc_tbf_qopt: rate, peakrate, limit, buffer, mtu. The sizes of both buckets are given in bytes below.
    let mut parameters = rate_spec(rate);
    parameters.extend(rate_spec(PEAK));
    parameters.extend(words([limit, 0, 0]));
    options.put(TCA_TBF_PARMS, &parameters);
    options.put(TCA_TBF_RATE64, &rate.to_ne_bytes());
    options.put(TCA_TBF_PRATE64, &PEAK.to_ne_bytes());
    options.put(TCA_TBF_BURST, &burst.to_ne_bytes());
    options.put(TCA_TBF_PBURST, &frame.to_ne_bytes());
}

/// struct tc_ratespec: cell_log, linklayer, overhead, cell_align, mpu, rate.
fn rate_spec(rate: u64) -> Vec<u8> {
    let mut spec = vec![0, LINKLAYER_ETHERNET];
    spec.extend([0; 6]);
    spec.extend(u32::try_from(rate).unwrap_or(u32::MAX).to_ne_bytes());
    spec
}

fn netem(options: &mut Attributes, settings: &Netem) {
    let (independent, bursty) = match settings.loss {
        NetemLoss::Independent(loss) => (loss, None),
        NetemLoss::Bursty { worsen, recover } => (0, Some((worsen, recover))),
    };
    // A gap of one means that reordering may strike any packet.
    let gap = u32::from(settings.reorder > 0);
    // struct tc_netem_qopt: latency, limit, loss, gap, duplicate, jitter. The times are given as 64 bits below.
    options.bytes(&words([0, settings.limit, independent, gap, settings.duplicate, 0]));
    let nanoseconds = |time: Duration| i64::try_from(time.as_nanos()).unwrap_or(i64::MAX).to_ne_bytes();
    options.put(TCA_NETEM_LATENCY64, &nanoseconds(settings.delay));
    options.put(TCA_NETEM_JITTER64, &nanoseconds(settings.jitter.amount.0));
    if let Some(table) = kernel::table(settings.jitter.shape).filter(|_| !settings.jitter.amount.0.is_zero()) {
        let table: Vec<u8> = table.into_iter().flat_map(i16::to_ne_bytes).collect();
        options.put(TCA_NETEM_DELAY_DIST, &table);
    }
    // What is left out of a change stays as it was, so that zeros are said as well.
    // struct tc_netem_reorder and struct tc_netem_corrupt: probability, correlation.
    options.put(TCA_NETEM_REORDER, &words([settings.reorder, 0]));
    options.put(TCA_NETEM_CORRUPT, &words([settings.corrupt, 0]));
    // netem puts packets in order when it has a rate: each then leaves after the one before it. This rate sends a
    // full packet in two nanoseconds. struct tc_netem_rate: rate, packet_overhead, cell_size, cell_overhead.
    if kernel::keeps_order(settings.jitter) {
        options.put(TCA_NETEM_RATE, &words([u32::MAX, 0, 0, 0]));
        options.put(TCA_NETEM_RATE64, &IN_ORDER.to_ne_bytes());
    } else {
        options.put(TCA_NETEM_RATE, &words([0, 0, 0, 0]));
    }
    if let Some((worsen, recover)) = bursty {
        // struct tc_netem_gemodel: p, r, h, k1. All is lost in the bad state (h = 0) and nothing in the good one.
        options.nest(TCA_NETEM_LOSS, |loss| loss.put(NETEM_LOSS_GE, &words([worsen, recover, 0, 0])));
    }
    options.put(TCA_NETEM_PRNG_SEED, &settings.seed.to_ne_bytes());
}

fn words<const N: usize>(words: [u32; N]) -> Vec<u8> {
    words.into_iter().flat_map(u32::to_ne_bytes).collect()
}

/// The peak rate, which must be above the rate: 8 Tbit/s.
const PEAK: u64 = 1_000_000_000_000;
/// Bytes per second at which netem keeps order without adding to a delay: 8 Tbit/s.
const IN_ORDER: u64 = 1_000_000_000_000;
/// The root of a link's outgoing direction.
const TC_H_ROOT: u32 = 0xffff_ffff;
/// The place of a link's incoming direction.
const TC_H_INGRESS: u32 = 0xffff_fff1;
/// Says that no rate table comes along (TC_LINKLAYER_ETHERNET).
const LINKLAYER_ETHERNET: u8 = 1;

const TCA_KIND: u16 = 1;
const TCA_OPTIONS: u16 = 2;
const TCA_STAB: u16 = 8;
const TCA_STAB_BASE: u16 = 1;
const TCA_TBF_PARMS: u16 = 1;
const TCA_TBF_RATE64: u16 = 4;
const TCA_TBF_PRATE64: u16 = 5;
const TCA_TBF_BURST: u16 = 6;
const TCA_TBF_PBURST: u16 = 7;
const TCA_HTB_INIT: u16 = 2;
const TCA_CODEL_TARGET: u16 = 1;
const TCA_CODEL_LIMIT: u16 = 2;
const TCA_CODEL_INTERVAL: u16 = 3;
const TCA_CODEL_ECN: u16 = 4;
const TCA_NETEM_DELAY_DIST: u16 = 2;
const TCA_NETEM_REORDER: u16 = 3;
const TCA_NETEM_CORRUPT: u16 = 4;
const TCA_NETEM_LOSS: u16 = 5;
const TCA_NETEM_RATE: u16 = 6;
const TCA_NETEM_RATE64: u16 = 8;
const NETEM_LOSS_GE: u16 = 2;
const TCA_NETEM_LATENCY64: u16 = 10;
const TCA_NETEM_JITTER64: u16 = 11;
const TCA_NETEM_PRNG_SEED: u16 = 14;
