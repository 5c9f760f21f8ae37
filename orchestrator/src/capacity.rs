//! Whether a plan asks for more than this host carries: what a packet costs here, and how many a plan moves at once.
//!
//! The cost comes from a short calibration that is kept per host; where it is kept is decided in `main.rs`, and planning
//! knows nothing of it. A warning is an estimate before the run; whether the host was fit is the verdict's to say.

use std::{
    fs, io,
    net::{Ipv4Addr, UdpSocket},
    path::Path,
    time::Duration,
};

use anyhow::Context;
use peerbed_proto::{Hash, id::PeerId};
use rustix::time::{ClockId, clock_gettime};
use serde::{Deserialize, Serialize};

use crate::{
    measure::host,
    plan::{Direction, Distribute, Plan, Via},
    units::Rate,
};

/// What one packet costs on a host.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Calibration {
    /// Version of this format and of what is measured; `SCHEMA`.
    pub schema: u32,
    /// Release of the kernel it was measured on.
    pub kernel: String,
    /// Processors that could be used.
    pub cores: usize,
    /// Main memory in bytes.
    pub memory_bytes: u64,
    /// Processor time for sending, receiving and hashing one packet of 1 200 bytes, in seconds.
    pub packet_seconds: f64,
}

impl Calibration {
    /// Measures this host: about 0.1 s of processor time. What else runs hardly matters, as only own time is counted.
    ///
    /// # Errors
    ///
    /// When there is no loopback to send on.
    pub fn measure() -> io::Result<Self> {
        let receiver = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
        let sender = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
        sender.connect(receiver.local_addr()?)?;
        receiver.set_read_timeout(Some(Duration::from_millis(100)))?;
        let mut packet = [7; PACKET];
        let mut best = f64::INFINITY;
        // The best of some rounds, as the first one finds cold caches and others may have been held up.
        for _ in 0..ROUNDS {
            let before = own_time();
            for _ in 0..PACKETS {
                sender.send(&packet)?;
                receiver.recv(&mut packet)?;
                std::hint::black_box(Hash::of(&packet));
            }
            best = best.min((own_time() - before).as_secs_f64() / f64::from(PACKETS));
        }
        let host = host::describe();
        let (kernel, cores, memory_bytes) = (host.kernel, host.cores, host.memory_bytes);
        Ok(Self { schema: SCHEMA, kernel, cores, memory_bytes, packet_seconds: best })
    }

    /// The calibration kept in `directory`, or a new one, which is kept there when it can be.
    ///
    /// # Errors
    ///
    /// When there is none and none can be measured.
    pub fn kept_in(directory: Option<&Path>) -> anyhow::Result<Self> {
        let path = directory.map(|directory| directory.join(FILE));
        if let Some(kept) = path.as_ref().and_then(|path| fs::read(path).ok())
            && let Ok(kept) = serde_json::from_slice::<Self>(&kept)
            && kept.is_of_this_host()
        {
            return Ok(kept);
        }
        let measured = Self::measure().context("measuring what this host can carry")?;
        if let (Some(directory), Some(path)) = (directory, path) {
            // A place that takes nothing costs a tenth of a second each time.
            let text = serde_json::to_vec_pretty(&measured).unwrap_or_default();
            let partial = path.with_extension("partial");
            let _ = fs::create_dir_all(directory)
                .and_then(|()| fs::write(&partial, text))
                .and_then(|()| fs::rename(&partial, &path));
        }
        Ok(measured)
    }

    /// Bits per second of payload that all peers of a run can move together before processors are the bottleneck.
    #[must_use]
    pub fn bits_per_second(&self) -> f64 {
        self.cores as f64 * LOAD_MAX / (self.packet_seconds * PEER_FACTOR) * (PACKET * 8) as f64
    }

    fn is_of_this_host(&self) -> bool {
        let host = host::describe();
        self.schema == SCHEMA
            && self.packet_seconds > 0.0
            && (&self.kernel, self.cores, self.memory_bytes) == (&host.kernel, host.cores, host.memory_bytes)
    }
}

/// Why `plan` asks for more than the calibrated host carries, with the arithmetic; nothing when it does not.
#[must_use]
pub fn warnings(plan: &Plan, host: &Calibration) -> Vec<String> {
    let mut warnings = Vec::new();
    let busiest = plan.steps.iter().filter_map(|step| {
        let spec = step.action.distribute()?;
        Some((spec, demand(plan, spec)?))
    });
    if let Some((spec, bits)) = busiest.max_by_key(|(_, bits)| *bits)
        && bits as f64 > host.bits_per_second()
    {
        let packets = bits as f64 / (PACKET * 8) as f64;
        let cost = host.packet_seconds * PEER_FACTOR;
        warnings.push(format!(
            "this host may be too slow: the links let `{}` move {} at once, which is {packets:.0} packets a second; at \
             {:.0} µs of processor time each that is {:.1} processors, and {:.1} of {} leave room for timers; expect a \
             verdict other than valid above {}, or lower the rates",
            spec.name,
            rough(bits as f64),
            cost * 1e6,
            packets * cost,
            host.cores as f64 * LOAD_MAX,
            host.cores,
            rough(host.bits_per_second()),
        ));
    }
    let memory = plan.peers.len() as u64 * PEER_MEMORY;
    if memory > host.memory_bytes / 10 * 9 {
        warnings.push(format!(
            "this host may have too little memory: {} peers at about {} MiB each are {} MiB, and it has {} MiB",
            plan.peers.len(),
            PEER_MEMORY >> 20,
            memory >> 20,
            host.memory_bytes >> 20,
        ));
    }
    warnings
}

/// Bits per second that a distribution moves at most with the rates of its links; none where these set no bound.
///
/// A swarm is bounded by everybody's uplink and the receivers' downlinks, a client-server distribution by the server's
/// uplink.
fn demand(plan: &Plan, spec: &Distribute) -> Option<u64> {
    let link = |id: &PeerId| plan.link_of(*id);
    // A sum without a bound in one place is unbounded.
    let sum = |peers: &mut dyn Iterator<Item = &PeerId>, side: fn(&crate::plan::Link) -> &Direction| {
        peers.map(|id| Some(side(link(id)?).rate?.0)).sum::<Option<u64>>()
    };
    let down = sum(&mut spec.to.iter(), |link| &link.down);
    let up = match spec.via {
        Via::ClientServer => sum(&mut spec.from.iter(), |link| &link.up),
        Via::Swarm => sum(&mut spec.from.iter().chain(&spec.to), |link| &link.up),
    };
    [up, down].into_iter().flatten().min()
}

/// A rate with two significant digits.
fn rough(bits_per_second: f64) -> String {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "rates are positive and below 2^63")]
    let bits = bits_per_second.max(1.0) as u64;
    let unit = 10_u64.pow(bits.max(1).ilog10().saturating_sub(1));
    Rate((bits + unit / 2) / unit * unit).to_string()
}

/// Processor time of the calling thread.
fn own_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(u64::try_from(time.tv_sec).unwrap_or(0), u32::try_from(time.tv_nsec).unwrap_or(0))
}

/// Changes whenever what is measured does.
const SCHEMA: u32 = 1;
/// Name of the file in the cache directory.
const FILE: &str = "calibration.json";
/// Bytes of a datagram of QUIC.
const PACKET: usize = 1_200;
/// Packets of one round; about 20 ms.
const PACKETS: u32 = 2_000;
const ROUNDS: u32 = 5;
/// What a packet between peers costs beside what is calibrated: encryption, acknowledgements, two namespaces and shaping.
/// Measured once: 128 MiB to four peers at 100 Mbit/s took 28 ns of all processes' processor time a byte, 34 µs a packet,
/// in a swarm and from a server, on a host where a calibrated packet took 4.7 µs.
const PEER_FACTOR: f64 = 7.0;
/// Share of the processors that a run may take: above, verdicts begin to turn suspect (95 % busy in some windows).
const LOAD_MAX: f64 = 0.7;
/// Resident memory of a peer: 8 MiB while it takes part in a swarm, and its share of namespaces and buffers.
const PEER_MEMORY: u64 = 12 << 20;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::topology::{self, sweep};

    fn plan(count: usize, rate: &str, via: &str) -> Plan {
        let text = format!(
            "version: 1\nname: c\nlinks:\n  l: {{ up: {rate}, down: {rate} }}\ngroups:\n  o: {{ link: l, swarm: seed, \
             tracker: {{}} }}\n  h: {{ count: {count}, link: l, swarm: leecher }}\nfiles:\n  f: {{ size: 1MiB }}\n\
             scenario:\n  - distribute: {{ file: f, from: o, to: h, via: {via} }}\n"
        );
        let topology = topology::read("c.yaml", &text).unwrap();
        sweep::expand(&topology).unwrap().remove(0).1
    }

    fn host(packet_seconds: f64) -> Calibration {
        Calibration { schema: SCHEMA, kernel: "k".into(), cores: 2, memory_bytes: 4 << 30, packet_seconds }
    }

    #[test]
    fn what_fits_is_no_news() {
        assert_eq!(warnings(&plan(20, "2mbit", "swarm"), &host(10e-6)), Vec::<String>::new());
    }

    #[test]
    fn more_than_the_host_carries_is_told_with_the_arithmetic() {
        // 101 uplinks and 100 downlinks of 20 Mbit/s: 2 Gbit/s are 208 333 packets, at 70 µs 14.6 processors.
        let told = warnings(&plan(100, "20mbit", "swarm"), &host(10e-6));
        assert_eq!(told.len(), 1);
        for words in ["move 2gbit at once", "208333 packets", "70 µs", "14.6 processors", "1.4 of 2", "above 190mbit"]
        {
            assert!(told[0].contains(words), "{words}: {}", told[0]);
        }
        // From one server no more can go than its uplink carries.
        assert!(warnings(&plan(100, "20mbit", "client-server"), &host(10e-6)).is_empty());
    }

    #[test]
    fn peers_need_memory() {
        let told = warnings(&plan(400, "100kbit", "swarm"), &host(10e-6));
        assert!(told[0].contains("401 peers") && told[0].contains("4096 MiB"), "{told:?}");
    }

    #[test]
    fn a_calibration_is_kept_until_the_host_changes() {
        let place = tempfile::tempdir().unwrap();
        let cache = place.path().join("peerbed");
        let measured = Calibration::kept_in(Some(&cache)).unwrap();
        assert!(measured.packet_seconds > 0.0 && measured.packet_seconds < 1e-3, "{measured:?}");
        assert_eq!(Calibration::kept_in(Some(&cache)).unwrap(), measured);
        let other = Calibration { cores: measured.cores + 1, packet_seconds: 1.0, ..measured };
        fs::write(cache.join(FILE), serde_json::to_vec(&other).unwrap()).unwrap();
        assert_ne!(Calibration::kept_in(Some(&cache)).unwrap(), other);
    }
}
