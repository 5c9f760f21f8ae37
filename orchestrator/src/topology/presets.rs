//! Ready links, each with the source of its figures.
//!
//! A preset fills in what a link leaves open; none of them loses packets, because their sources give no loss.

use std::time::Duration;

use crate::units::{Rate, Span};

/// A ready link.
#[derive(Debug, PartialEq, Eq)]
pub struct Preset {
    /// Its name in the topology.
    pub name: &'static str,
    /// Rate from the peer to the core.
    pub up: Rate,
    /// Rate from the core to the peer.
    pub down: Rate,
    /// One-way delay: half of the round trip that the source gives for one such link.
    pub delay: Span,
    /// Where the figures come from.
    pub source: &'static str,
}

/// Every preset.
pub const PRESETS: &[Preset] = &[
    Preset {
        name: "dsl",
        up: Rate(384_000),
        down: Rate(1_500_000),
        delay: Span(Duration::from_millis(25)),
        source: "WebPageTest's profile DSL: 1.5 Mbit/s down, 384 kbit/s up, 50 ms round trip",
    },
    Preset {
        name: "cable",
        up: Rate(1_000_000),
        down: Rate(5_000_000),
        delay: Span(Duration::from_millis(14)),
        source: "WebPageTest's profile Cable: 5 Mbit/s down, 1 Mbit/s up, 28 ms round trip",
    },
    Preset {
        name: "fibre",
        up: Rate(5_000_000),
        down: Rate(20_000_000),
        delay: Span(Duration::from_millis(2)),
        source: "WebPageTest's profile FIOS: 20 Mbit/s down, 5 Mbit/s up, 4 ms round trip",
    },
    Preset {
        name: "4g",
        up: Rate(9_000_000),
        down: Rate(9_000_000),
        delay: Span(Duration::from_millis(85)),
        source: "WebPageTest's profile 4G: 9 Mbit/s both ways, 170 ms round trip",
    },
    Preset {
        name: "3g",
        up: Rate(768_000),
        down: Rate(1_600_000),
        delay: Span(Duration::from_millis(150)),
        source: "WebPageTest's profile Mobile 3G: 1.6 Mbit/s down, 768 kbit/s up, 300 ms round trip",
    },
    Preset {
        name: "satellite",
        up: Rate(3_000_000),
        down: Rate(25_000_000),
        delay: Span(Duration::from_millis(279)),
        source: "RFC 2488 §2: 279 ms one way at the edge of a geostationary satellite's view; 25/3 Mbit/s is the FCC's \
                 broadband benchmark of 2015",
    },
    Preset {
        name: "lan",
        up: Rate(1_000_000_000),
        down: Rate(1_000_000_000),
        delay: Span(Duration::from_micros(50)),
        source: "Gigabit Ethernet (IEEE 802.3ab); 0.2 ms between two hosts is an estimate",
    },
    Preset {
        name: "datacentre",
        up: Rate(10_000_000_000),
        down: Rate(10_000_000_000),
        delay: Span(Duration::from_micros(125)),
        source: "10 Gigabit Ethernet (IEEE 802.3ae); 0.5 ms round trip within a datacentre from J. Dean's latency numbers",
    },
];
