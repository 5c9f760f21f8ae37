//! What a link's settings mean to each engine.
//!
//! A plan's [`Direction`](crate::plan::Direction) is read here by one reader per engine; [`Engine`] names the engines.
//! How a reading reaches the kernel lives in `real/`. Nothing here touches the host.

use std::fmt;

use serde::Serialize;

/// What shapes the links of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Engine {
    /// The kernel's queueing disciplines, in each link's two ends.
    Kernel,
}

impl fmt::Display for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Kernel => f.write_str("kernel"),
        }
    }
}

/// A plan needs a kernel feature that this host lacks.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{needs} {feature}, which this kernel lacks; {cure}")]
pub struct MissingFeature {
    /// The feature: `sch_netem`.
    pub feature: &'static str,
    /// Who needs it for what, as the beginning of a sentence: `the links "home" and "far" need (delay, loss)`.
    pub needs: String,
    /// What to do about it.
    pub cure: String,
}
