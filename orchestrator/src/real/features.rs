//! What this kernel can do, found out by doing it in a throw-away namespace.
//!
//! Nothing is concluded from version numbers or configuration files. What a missing feature means for a plan is
//! decided by `real`, and for a host by `doctor`.

use std::{fmt, io, time::Duration};

use crate::{
    links::kernel::{self, Qdisc, Tc},
    real::{
        netlink::Socket,
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
    /// Filters on incoming packets.
    Ingress,
}

impl Feature {
    /// All of them, in the order of the declaration.
    pub const ALL: [Self; 5] = [Self::Veth, Self::Tbf, Self::Htb, Self::Netem, Self::Ingress];

    /// The kernel's name for it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Veth => "veth",
            Self::Tbf => "sch_tbf",
            Self::Htb => "sch_htb",
            Self::Netem => "sch_netem",
            Self::Ingress => "sch_ingress",
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
            Self::Ingress => "CONFIG_NET_SCH_INGRESS",
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
        Feature::Tbf => qdisc::requests(
            &Tc { chain: vec![Qdisc::Bucket { rate: 1_000_000, burst: 1_514, limit: 1_514 }] },
            LOOPBACK,
            "lo",
        ),
        Feature::Netem => qdisc::requests(&kernel::read_latency(Duration::from_millis(1), 1), LOOPBACK, "lo"),
        Feature::Htb => vec![qdisc::htb_request(LOOPBACK)],
        Feature::Ingress => vec![qdisc::ingress_request(LOOPBACK)],
    };
    Ok(Socket::open()?.perform(requests).err().map(|e| e.words.unwrap_or(e.errno)))
}

/// Index of `lo` in every new namespace; probes hang their disciplines there.
const LOOPBACK: i32 = 1;
