//! Asked and found: whether the kernel has the queueing disciplines that it was told to have.
//!
//! Pure: how a dump of the kernel becomes [`Found`] lives in `real/qdisc/dump`. Not everything can be compared: the kernel
//! does not report the table of a jitter's distribution, and a kernel before 6.6 has no seed.

use std::{fmt, time::Duration};

use super::{ETHERNET_HEADER, Netem, NetemLoss, Qdisc, Tc, frame, keeps_order};

/// One queueing discipline as the kernel reports it.
#[derive(Clone, Debug, PartialEq)]
pub struct Found {
    /// Its own handle; `2 << 16` is written `2:`.
    pub handle: u32,
    /// The class it hangs in; all ones for the root of a link.
    pub parent: u32,
    /// Bytes that its size table adds to every packet; none without a table.
    pub size_table: Option<i32>,
    /// Its kind and settings.
    pub setting: Setting,
    /// What it has done so far.
    pub counts: Counts,
}

/// Kind and settings of a discipline.
#[derive(Clone, Debug, PartialEq)]
pub enum Setting {
    /// `tbf`
    Bucket {
        /// Bytes per second.
        rate: u64,
        /// Bytes per second of the second bucket.
        peak: u64,
        /// Bytes of queue; 0 when something else is the queue.
        limit: u32,
        /// Time the rate needs for a full bucket, in ticks of 64 ns.
        burst_ticks: u32,
    },
    /// `netem`
    Netem(FoundNetem),
    /// `codel`
    CoDel {
        /// Packets.
        limit: u32,
        /// Acceptable waiting time.
        target: Duration,
        /// How long it may be above the target.
        interval: Duration,
    },
    /// Another kind, by name.
    Other(String),
}

/// Settings of netem as the kernel reports them; probabilities in 1 / (2³² − 1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FoundNetem {
    /// Nanoseconds added to every packet.
    pub delay: i64,
    /// Nanoseconds of variation.
    pub jitter: i64,
    /// Packets on their way at once.
    pub limit: u32,
    /// Independent loss.
    pub loss: u32,
    /// Gilbert and Elliott's model: p, r, 1 − h, 1 − k.
    pub bursts: Option<[u32; 4]>,
    /// Probability to skip the delay.
    pub reorder: u32,
    /// Probability to come twice.
    pub duplicate: u32,
    /// Probability that one bit is flipped.
    pub corrupt: u32,
    /// Bytes per second; 0 is none.
    pub rate: u64,
    /// Seed of its random numbers, from kernel 6.6 on.
    pub seed: Option<u64>,
}

/// What a discipline has done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Bytes sent on, as counted with the size table.
    pub bytes: u64,
    /// Packets sent on.
    pub packets: u64,
    /// Packets dropped, for whatever reason.
    pub drops: u64,
    /// Packets put in front of others; what netem does to those that skip the delay.
    pub requeues: u64,
    /// Bytes waiting.
    pub backlog: u64,
    /// Packets waiting.
    pub waiting: u64,
}

/// Something that is not as it was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// What it is: `delay of netem 2:`.
    pub what: String,
    /// As asked.
    pub asked: String,
    /// As found.
    pub found: String,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: asked {}, found {}", self.what, self.asked, self.found)
    }
}

/// Compares the disciplines of one end of a link with what was asked for. Nothing is returned when all is well.
///
/// `found` are those of this end alone, in any order. What the kernel puts on unshaped ends by itself is no difference.
#[must_use]
pub fn compare(asked: &Tc, found: &[Found]) -> Vec<Difference> {
    let mut differences = Differences::default();
    let mut parent = ROOT;
    for (handle, qdisc) in (1_u32..).map(|level| level << 16).zip(&asked.chain) {
        let name = format!("{} {}:", kind(qdisc), handle >> 16);
        match found.iter().find(|f| f.handle == handle) {
            None => differences.add(&name, &"present", &"absent"),
            Some(found) => {
                differences.same(&format!("parent of {name}"), parent, found.parent);
                // The kernel keeps size tables at the root only.
                if parent == ROOT {
                    let table = i64::from(asked.overhead) - i64::from(ETHERNET_HEADER);
                    differences.same(&format!("size table of {name}"), Some(table), found.size_table.map(i64::from));
                }
                differences.setting(&name, qdisc, &found.setting, frame(asked.overhead));
            }
        }
        parent = handle | 1;
    }
    for extra in found.iter().filter(|f| is_ours(f) && (f.handle >> 16) as usize > asked.chain.len()) {
        differences.add(&format!("discipline {}:", extra.handle >> 16), &"absent", &name(&extra.setting));
    }
    differences.0
}

/// Those that the kernel makes by itself have the handle 0, or high ones.
fn is_ours(found: &Found) -> bool {
    (1 << 16..0x8000_0000).contains(&found.handle)
}

fn kind(qdisc: &Qdisc) -> &'static str {
    match qdisc {
        Qdisc::Cut | Qdisc::Bucket { .. } => "tbf",
        Qdisc::CoDel { .. } => "codel",
        Qdisc::Netem(_) => "netem",
    }
}

fn name(setting: &Setting) -> String {
    match setting {
        Setting::Bucket { .. } => "tbf".into(),
        Setting::Netem(_) => "netem".into(),
        Setting::CoDel { .. } => "codel".into(),
        Setting::Other(kind) => kind.clone(),
    }
}

#[derive(Default)]
struct Differences(Vec<Difference>);

impl Differences {
    fn add(&mut self, what: &str, asked: &dyn fmt::Display, found: &dyn fmt::Display) {
        self.0.push(Difference { what: what.to_owned(), asked: asked.to_string(), found: found.to_string() });
    }

    fn same<T: PartialEq + fmt::Debug>(&mut self, what: &str, asked: T, found: T) {
        if asked != found {
            self.add(what, &format!("{asked:?}"), &format!("{found:?}"));
        }
    }

    fn near(&mut self, what: &str, asked: u64, found: u64, by: u64) {
        if asked.abs_diff(found) > by {
            self.add(what, &asked, &found);
        }
    }

    fn setting(&mut self, name: &str, asked: &Qdisc, found: &Setting, frame: u32) {
        match (asked, found) {
            (Qdisc::Cut, Setting::Bucket { rate, peak, limit, .. }) => {
                // A bucket that cuts has no effect on anything else.
                if *rate < WITHOUT_EFFECT || *peak < WITHOUT_EFFECT {
                    self.add(&format!("rate of {name}"), &"without effect", rate);
                }
                self.same(&format!("queue of {name}"), 0, *limit);
            }
            (Qdisc::Bucket { rate, burst, limit }, Setting::Bucket { rate: r, peak, limit: l, burst_ticks }) => {
                self.same(&format!("rate of {name}"), *rate, *r);
                self.same(&format!("queue of {name}"), *limit, *l);
                if *peak < WITHOUT_EFFECT {
                    self.add(&format!("peak rate of {name}"), &"without effect", peak);
                }
                // The kernel keeps a bucket as time, with the precision of its multiplier.
                let ticks = u64::from((*burst).max(frame)) * 1_000_000_000 / rate / NANOS_PER_TICK;
                // At rates below some kilobits a full bucket takes longer than the kernel's report can say.
                if ticks <= u64::from(u32::MAX) {
                    self.near(&format!("burst of {name} in ticks"), ticks, u64::from(*burst_ticks), 1 + ticks / 1_000);
                }
            }
            (Qdisc::CoDel { limit, target, interval }, Setting::CoDel { limit: l, target: t, interval: i }) => {
                self.same(&format!("queue of {name}"), *limit, *l);
                for (what, asked, found) in [("target", target, t), ("interval", interval, i)] {
                    // Kept in units of 1024 ns, reported in microseconds.
                    let micros = |time: &Duration| u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
                    self.near(&format!("{what} of {name} in µs"), micros(asked), micros(found), 2);
                }
            }
            (Qdisc::Netem(asked), Setting::Netem(found)) => self.netem(name, asked, found),
            (asked, found) => self.add(&format!("kind of {name}"), &kind(asked), &self::name(found)),
        }
    }

    fn netem(&mut self, name: &str, asked: &Netem, found: &FoundNetem) {
        let nanos = |time: Duration| i64::try_from(time.as_nanos()).unwrap_or(i64::MAX);
        let (loss, bursts) = match asked.loss {
            NetemLoss::Independent(loss) => (loss, None),
            NetemLoss::Bursty { worsen, recover } => (0, Some([worsen, recover, 0, 0])),
        };
        self.same(&format!("delay of {name} in ns"), nanos(asked.delay), found.delay);
        self.same(&format!("jitter of {name} in ns"), nanos(asked.jitter.amount.0), found.jitter);
        self.same(&format!("limit of {name}"), asked.limit, found.limit);
        self.same(&format!("loss of {name}"), loss, found.loss);
        self.same(&format!("bursts of {name}"), bursts, found.bursts);
        self.same(&format!("reorder of {name}"), asked.reorder, found.reorder);
        self.same(&format!("duplicate of {name}"), asked.duplicate, found.duplicate);
        self.same(&format!("corrupt of {name}"), asked.corrupt, found.corrupt);
        self.same(&format!("order of {name}"), keeps_order(asked.jitter), found.rate >= WITHOUT_EFFECT);
        if found.rate != 0 && found.rate < WITHOUT_EFFECT {
            self.add(&format!("rate of {name}"), &"none", &found.rate);
        }
        if let Some(seed) = found.seed {
            self.same(&format!("seed of {name}"), asked.seed, seed);
        }
    }
}

/// Where the root of a link hangs (TC_H_ROOT).
const ROOT: u32 = 0xffff_ffff;
/// Rates above this change no packet's time by more than some nanoseconds: 800 Gbit/s.
const WITHOUT_EFFECT: u64 = 100_000_000_000;
/// The kernel's tick for packet schedulers (PSCHED_SHIFT).
const NANOS_PER_TICK: u64 = 64;
