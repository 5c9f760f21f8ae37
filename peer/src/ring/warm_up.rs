//! How a node comes to life: its first connections, and when its upkeep begins.
//!
//! Upkeep in the middle of everybody's handshakes would take slow peers for dead, so that a founder connects first. Hundreds of
//! founders on one host are held until they are told to go on, so that only some of them make handshakes at a time.

use axum::http::StatusCode;
use tokio::sync::oneshot;
use tokio::time::{Duration, Instant};

use crate::control::Refused;

/// Who waits for a founder's connections.
pub(crate) type Connected = oneshot::Sender<Result<(), Refused>>;

/// Where a node is in coming to life.
///
/// ```text
///         connect              all there, or too late
///  Held ──────────▶ Connecting ──────────────────────▶ Ready ──begin──▶ Live
///                    (not held) └──────────────────────────────────────▶
/// ```
#[derive(Debug)]
pub(super) enum WarmUp {
    /// Takes connections, and dials nobody.
    Held,
    /// Makes its first connections.
    Connecting {
        /// When it does without those that are missing.
        until: Instant,
        /// Who is told of the end; nobody where the node goes on by itself.
        answer: Option<Connected>,
    },
    /// Connected, and waits to be told to begin.
    Ready,
    /// Its upkeep is under way.
    Live,
}

/// What the connections of a node that is connecting mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Turn {
    /// Nothing has changed.
    Same,
    /// The upkeep begins now.
    Begins,
}

impl WarmUp {
    /// A founder: held, or connecting by itself.
    pub(super) fn founder(is_held: bool) -> Self {
        if is_held { Self::Held } else { Self::Connecting { until: Instant::now() + CONNECT_MAX, answer: None } }
    }

    /// How many neighbours are dialled at once for their own sake.
    pub(super) fn dials_at_once(&self) -> usize {
        match self {
            Self::Held => 0,
            // With more, all handshakes on the host would be slow together and none in time.
            Self::Connecting { .. } | Self::Ready => 1,
            Self::Live => LIVE_DIALS,
        }
    }

    /// Whether timers go off and lost connections mean something.
    pub(super) fn is_live(&self) -> bool {
        matches!(self, Self::Live)
    }

    /// Lets a held founder connect. Others have done so already, or do.
    pub(super) fn connect(&mut self, answer: Connected) {
        match self {
            Self::Held => *self = Self::Connecting { until: Instant::now() + CONNECT_MAX, answer: Some(answer) },
            Self::Connecting { .. } | Self::Ready | Self::Live => {
                let _ = answer.send(Ok(()));
            }
        }
    }

    /// Lets a founder begin, whatever it has done so far.
    pub(super) fn begin(&mut self) -> Turn {
        if self.is_live() {
            return Turn::Same;
        }
        *self = Self::Live;
        Turn::Begins
    }

    /// Takes how many of the wanted connections there are.
    pub(super) fn on_connections(&mut self, connected: usize, wanted: usize) -> Turn {
        let Self::Connecting { until, answer } = self else { return Turn::Same };
        let result = if connected == wanted {
            Ok(())
        } else if Instant::now() < *until {
            return Turn::Same;
        } else {
            let error = format!("only {connected} of {wanted} connections came about in {CONNECT_MAX:?}");
            Err(Refused::new(StatusCode::GATEWAY_TIMEOUT, error))
        };
        match answer.take() {
            Some(answer) => {
                *self = Self::Ready;
                let _ = answer.send(result);
                Turn::Same
            }
            None => self.begin(),
        }
    }
}

/// Neighbours dialled at once once the upkeep is under way. Wild guess.
const LIVE_DIALS: usize = 4;

/// Time for a founder's first connections. Ten or so, one after the other, at some tenths of a second each on a busy host.
const CONNECT_MAX: Duration = Duration::from_secs(50);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_held_founder_connects_when_told_and_begins_when_told() {
        let mut founder = WarmUp::founder(true);
        assert_eq!(founder.dials_at_once(), 0);
        assert_eq!(founder.on_connections(0, 3), Turn::Same);
        let (answer, mut answered) = oneshot::channel();
        founder.connect(answer);
        assert_eq!(founder.dials_at_once(), 1);
        assert_eq!(founder.on_connections(2, 3), Turn::Same);
        assert!(answered.try_recv().is_err(), "one is still missing");
        assert_eq!(founder.on_connections(3, 3), Turn::Same);
        assert_eq!(answered.try_recv().unwrap(), Ok(()));
        assert!(!founder.is_live());
        assert_eq!((founder.begin(), founder.begin()), (Turn::Begins, Turn::Same));
        assert!(founder.is_live());
    }

    #[test]
    fn a_founder_that_is_not_held_begins_by_itself_once_connected() {
        let mut founder = WarmUp::founder(false);
        assert_eq!(founder.on_connections(1, 3), Turn::Same);
        assert_eq!(founder.on_connections(3, 3), Turn::Begins);
        assert!(founder.is_live());
    }
}
