//! The peer's seat in a ring: at most one driver, and how the peer talks to it.

use anyhow::Context;
use axum::http::StatusCode;
use tokio::sync::{mpsc, oneshot};
use tokio::task::{JoinError, JoinHandle};

use crate::control::Refused;
use crate::distribution::{Counts, QuicCounts, Surroundings};
use crate::ring::{RingDriver, RingOrder, RingSnapshot};
use crate::ring_control::{Enter, RingCommand};

/// Empty, or taken by one driver's task.
#[derive(Debug, Default)]
pub(super) struct Seat {
    taken: Option<Taken>,
    /// What the last driver had counted when it ended.
    last: Option<RingSnapshot>,
    /// What QUIC had counted for the driver when it was last exported.
    counted: QuicCounts,
}

#[derive(Debug)]
struct Taken {
    orders: mpsc::Sender<RingOrder>,
    task: JoinHandle<RingSnapshot>,
}

impl Seat {
    /// Carries a command out, or hands it to the driver, and sees to its answer.
    pub(super) fn command(
        &mut self,
        surroundings: &Surroundings,
        command: RingCommand,
        answer: oneshot::Sender<Result<(), Refused>>,
    ) {
        let result = match (command, &self.taken) {
            (RingCommand::Connect, Some(taken)) => {
                // A driver that cannot take it drops the answer, and with it the question.
                let _ = taken.orders.try_send(RingOrder::Connect(answer));
                return;
            }
            (command, _) => self.carry_out(surroundings, command),
        };
        let _ = answer.send(result);
    }

    fn carry_out(&mut self, surroundings: &Surroundings, command: RingCommand) -> Result<(), Refused> {
        match (command, &self.taken) {
            (RingCommand::Enter(_), Some(_)) => {
                Err(Refused::new(StatusCode::CONFLICT, "the peer is in a ring already"))
            }
            (RingCommand::Enter(enter), None) => self.enter(surroundings, *enter),
            (_, None) => Err(Refused::new(StatusCode::NOT_FOUND, "the peer is in no ring")),
            (command, Some(taken)) => taken.orders.try_send(RingOrder::Command(command)).map_err(|_| busy()),
        }
    }

    fn enter(&mut self, surroundings: &Surroundings, enter: Enter) -> Result<(), Refused> {
        let unusable = |error: anyhow::Error| Refused::new(StatusCode::UNPROCESSABLE_ENTITY, format!("{error:#}"));
        let driver = RingDriver::enter(surroundings.clone(), enter).map_err(unusable)?;
        let (orders, received) = mpsc::channel(ORDERS_MAX);
        self.counted = QuicCounts::default();
        self.taken = Some(Taken { orders, task: tokio::spawn(driver.run(received)) });
        Ok(())
    }

    /// Lets the node hand over what it has and end, because the peer was asked to leave.
    pub(super) fn leave(&self) {
        self.order(RingOrder::Leave);
    }

    /// Lets the node end at once, because the process ends.
    pub(super) fn end(&self) {
        self.order(RingOrder::End);
    }

    /// Waits until the driver has ended; for ever when there is none.
    pub(super) async fn ended(&mut self) -> Result<RingSnapshot, JoinError> {
        match &mut self.taken {
            Some(taken) => (&mut taken.task).await,
            None => std::future::pending().await,
        }
    }

    /// Frees the seat after its driver has ended.
    ///
    /// # Errors
    ///
    /// When the driver did not end by itself but failed.
    pub(super) fn settle(&mut self, ended: Result<RingSnapshot, JoinError>) -> anyhow::Result<()> {
        self.taken = None;
        self.last = Some(ended.context("the ring's driver failed")?);
        Ok(())
    }

    /// What the last driver had counted when it ended.
    pub(super) fn last(&self) -> Option<&RingSnapshot> {
        self.last.as_ref()
    }

    /// Hands over what QUIC had counted when this was last asked, and what it has counted now.
    pub(super) fn grown(&mut self, now: QuicCounts) -> (Counts, Counts) {
        let counts = |quic| Counts { quic, ..Counts::default() };
        let before = std::mem::replace(&mut self.counted, now);
        (counts(before), counts(now))
    }

    /// Whether no driver runs.
    pub(super) fn is_empty(&self) -> bool {
        self.taken.is_none()
    }

    /// How the ring is: of the one the peer is in, or the last one it was in.
    pub(super) async fn inspect(&self) -> Option<RingSnapshot> {
        let Some(taken) = &self.taken else { return self.last.clone() };
        let (answer, answered) = oneshot::channel();
        taken.orders.try_send(RingOrder::Inspect(answer)).ok()?;
        answered.await.ok()
    }

    fn order(&self, order: RingOrder) {
        if let Some(taken) = &self.taken {
            // A driver that cannot take it in time is dropped with the process.
            let _ = taken.orders.try_send(order);
        }
    }
}

fn busy() -> Refused {
    Refused::new(StatusCode::TOO_MANY_REQUESTS, "the ring has too many orders to carry out")
}

/// Orders that may wait for the driver; a command beyond them is refused.
const ORDERS_MAX: usize = 1_024;
