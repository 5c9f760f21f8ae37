//! The link settings that the table of measured links shows, for every engine the same.
//!
//! They span the rates, delays and losses of the ready topologies and presets, each alone and together. A row has one
//! link with these figures in both directions, and an open one at the other end.

use std::time::Duration;

use peerbed_orchestrator::{
    plan::{Direction, Discipline, Jitter, Loss, Queue},
    units::{Rate, Share, Span},
};

/// One row.
#[derive(Clone, Debug)]
pub(crate) struct Setting {
    /// What it is called in the table.
    pub(crate) name: &'static str,
    /// Both directions of the link.
    pub(crate) direction: Direction,
    /// One-way latency between the regions of the two peers; zero means that they have none.
    pub(crate) region: Duration,
}

/// All rows.
pub(crate) fn settings() -> Vec<Setting> {
    let ms = Duration::from_millis;
    let kbit = 1_000;
    let row = |name, rate: u64, delay, loss: f64| Setting {
        name,
        direction: direction(rate, delay, loss, 1),
        region: Duration::ZERO,
    };
    vec![
        row("modem", 256 * kbit, ms(0), 0.0),
        row("slow and far", 1_000 * kbit, ms(50), 0.0),
        row("home up", 2_000 * kbit, ms(20), 0.01),
        row("home down", 20_000 * kbit, ms(20), 0.01),
        Setting {
            name: "bursty losses",
            direction: direction(10_000 * kbit, ms(30), 0.02, 8),
            region: Duration::ZERO,
        },
        row("dsl", 16_000 * kbit, ms(10), 0.0),
        row("lossy radio", 5_000 * kbit, ms(40), 0.1),
        row("satellite", 20_000 * kbit, ms(300), 0.001),
        Setting { name: "two regions", direction: direction(20_000 * kbit, ms(5), 0.0, 1), region: ms(80) },
        row("cable", 50_000 * kbit, ms(5), 0.0),
        row("fibre", 100_000 * kbit, ms(2), 0.001),
        row("campus", 500_000 * kbit, ms(0), 0.0),
    ]
}

fn direction(rate: u64, delay: Duration, loss: f64, burst: u32) -> Direction {
    Direction {
        rate: Some(Rate(rate)),
        overhead: 0,
        delay: Span(delay),
        jitter: Jitter::default(),
        loss: Loss { average: Share((loss * 1e9).round() as u32), burst },
        reorder: Share(0),
        duplicate: Share(0),
        corrupt: Share(0),
        queue: Queue::Time(Span(Duration::from_millis(100))),
        discipline: Discipline::DropTail,
        trace: None,
    }
}
