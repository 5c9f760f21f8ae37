//! What this kernel can do, found out by doing it in a throw-away namespace.
//!
//! Nothing is concluded from version numbers or configuration files. What a missing feature means for a plan is
//! decided by `real`, and for a host by `doctor`.

use std::{fmt, io, time::Duration};

use crate::{
    links::{
        kernel::{self, Qdisc, Tc},
        user::device::Device,
    },
    real::{
        netlink::{Request, Socket},
        netns::Namespace,
        network, qdisc,
    },
};

/// Something a kernel may have or lack.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Feature {
    /// Pairs of virtual Ethernet devices.
    Veth,
    /// Token buckets with a queue that counts IP bytes: every rate.
    Tbf,
    /// Hierarchical token buckets.
    Htb,
    /// Delay, jitter, loss, reordering, duplication.
    Netem,
    /// Queues that keep waiting short.
    CoDel,
    /// Filters on incoming packets.
    Ingress,
    /// Devices whose packets a program of ours carries: the user engine.
    Tun,
}

impl Feature {
    /// All of them, in the order of the declaration.
    pub const ALL: [Self; 7] = [Self::Veth, Self::Tbf, Self::Htb, Self::Netem, Self::CoDel, Self::Ingress, Self::Tun];

    /// The kernel's name for it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Veth => "veth",
            Self::Tbf => "sch_tbf",
            Self::Htb => "sch_htb",
            Self::Netem => "sch_netem",
            Self::CoDel => "sch_codel",
            Self::Ingress => "sch_ingress",
            Self::Tun => "tun",
        }
    }

    /// How to get it.
    #[must_use]
    pub fn cure(self) -> String {
        let option = match self {
            Self::Veth => "CONFIG_VETH",
            Self::Tbf => "CONFIG_NET_SCH_TBF",
            Self::Htb => "CONFIG_NET_SCH_HTB",
            Self::Netem => "CONFIG_NET_SCH_NETEM",
            Self::CoDel => "CONFIG_NET_SCH_CODEL",
            Self::Ingress => "CONFIG_NET_SCH_INGRESS",
            Self::Tun => {
                return "let programs open /dev/net/tun (in a container: --device /dev/net/tun), load the module (modprobe \
                        tun), or run on a kernel built with CONFIG_TUN"
                    .to_owned();
            }
        };
        let name = self.name();
        format!(
            "load the module (modprobe {name}; on Fedora and RHEL it is in kernel-modules-extra, on Ubuntu in \
             linux-modules-extra) or run on a kernel built with {option}"
        )
    }
}

impl fmt::Display for Feature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Tries `feature` in a namespace that is gone when this returns: the kernel's words when it is missing.
///
/// # Errors
///
/// When no namespace can be made, so that nothing is known.
pub fn probe(features: &[Feature]) -> io::Result<Vec<(Feature, Option<String>)>> {
    let features = features.to_vec();
    let probing = move || features.into_iter().map(|feature| Ok((feature, attempt(feature)?))).collect();
    // A thread of its own, because it cannot come back from the namespace without privilege over the host's.
    std::thread::spawn(probing).join().unwrap_or_else(|_| Err(io::Error::other("the probing thread failed")))
}

/// Moves the calling thread to a fresh namespace and tries one feature there.
fn attempt(feature: Feature) -> io::Result<Option<String>> {
    let _namespace = Namespace::create()?;
    let requests = match feature {
        Feature::Veth => vec![network::throw_away_pair()],
        Feature::Tbf => chain(Qdisc::Bucket { rate: 1_000_000, burst: 1_514, limit: 1_514 }),
        Feature::CoDel => {
            let (target, interval) = (Duration::from_millis(5), Duration::from_millis(100));
            chain(Qdisc::CoDel { limit: 100, target, interval })
        }
        Feature::Netem => qdisc::requests(&kernel::read_latency(Duration::from_millis(1), 1), LOOPBACK, "lo"),
        Feature::Htb => vec![qdisc::htb_request(LOOPBACK)],
        Feature::Ingress => vec![qdisc::ingress_request(LOOPBACK)],
        Feature::Tun => return Ok(Device::create("probe", LOOPBACK_NEXT).err().map(|error| error.to_string())),
    };
    Ok(Socket::open()?.perform(requests).err().map(|e| e.words.unwrap_or(e.errno)))
}

fn chain(qdisc: Qdisc) -> Vec<Request> {
    qdisc::requests(&Tc { chain: vec![qdisc], overhead: 0 }, LOOPBACK, "lo")
}

/// Index of `lo` in every new namespace; probes hang their disciplines there.
const LOOPBACK: i32 = 1;
/// The next index is free.
const LOOPBACK_NEXT: u32 = 2;
