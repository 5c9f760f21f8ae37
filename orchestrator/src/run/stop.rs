//! The wish to stop: counted, so that a second one means "faster".
//!
//! `main.rs` turns signals into wishes; a run and its tearing down wait for them.

use tokio::sync::watch;

/// Waits for the wish to stop. Clones see the same wishes.
#[derive(Clone, Debug)]
pub struct Stop(watch::Receiver<u32>);

/// Wishes to stop.
#[derive(Debug)]
pub struct StopSender(watch::Sender<u32>);

impl Stop {
    /// A pair; dropping the sender wishes nothing.
    #[must_use]
    pub fn channel() -> (StopSender, Self) {
        let (sender, receiver) = watch::channel(0);
        (StopSender(sender), Self(receiver))
    }

    /// Whether somebody wishes to stop.
    #[must_use]
    pub fn is_wished(&self) -> bool {
        *self.0.borrow() > 0
    }

    /// Returns when somebody wishes to stop.
    pub async fn wished(&self) {
        self.at_least(1).await;
    }

    /// Returns when somebody wishes for the second time.
    pub async fn wished_again(&self) {
        self.at_least(2).await;
    }

    async fn at_least(&self, count: u32) {
        let mut receiver = self.0.clone();
        if receiver.wait_for(|wishes| *wishes >= count).await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

impl StopSender {
    /// Wishes once more, and says how often that has happened.
    pub fn wish(&self) -> u32 {
        self.0.send_modify(|wishes| *wishes += 1);
        *self.0.borrow()
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    #[test]
    fn the_second_wish_is_not_the_first() {
        let (sender, stop) = Stop::channel();
        assert!(stop.wished().now_or_never().is_none());
        assert_eq!(sender.wish(), 1);
        assert!(stop.wished().now_or_never().is_some());
        assert!(stop.wished_again().now_or_never().is_none());
        sender.wish();
        assert!(stop.wished_again().now_or_never().is_some());
    }
}
