//! `run` while others look on: its metrics, a Prometheus beside it, its live page.
//!
//! What is served, and what it looks like, lives in the library's `observe`.

use std::{
    net::{Ipv4Addr, SocketAddr},
    time::Duration,
};

use anyhow::anyhow;
use futures_util::future::try_join_all;
use peerbed_orchestrator::{
    observe::{self, Board, Pages, prometheus::Prometheus},
    progress::Progress,
    results::Conclusion,
    run_directory::RunDirectory,
};

use crate::arguments;

/// Who may look on, and where.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Watchers {
    metrics: Option<SocketAddr>,
    prometheus: Option<SocketAddr>,
    page: Option<SocketAddr>,
}

impl Watchers {
    pub(crate) fn of(arguments: &arguments::Run) -> Self {
        let prometheus = arguments.prometheus;
        // It needs metrics to scrape, on any port.
        let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        Self { metrics: arguments.metrics.or(prometheus.map(|_| any)), prometheus, page: arguments.watch }
    }

    /// Carries something out while they look on.
    pub(crate) async fn during(
        self,
        directory: &RunDirectory,
        mut progress: Progress,
        work: impl AsyncFnOnce(&mut Progress) -> anyhow::Result<Conclusion>,
    ) -> anyhow::Result<Conclusion> {
        let board = Board::default();
        let mut serving = Vec::new();
        let mut metrics = None;
        if let Some(address) = self.metrics {
            let (listener, taken) = observe::listen(address, Pages::Metrics).await?;
            progress.say(&format!("metrics on http://{taken}/metrics, service discovery on http://{taken}/sd"));
            serving.push(observe::serve(listener, board.clone(), Pages::Metrics));
            metrics = Some(taken);
        }
        if let Some(address) = self.page {
            let (listener, taken) = observe::listen(address, Pages::Live).await?;
            progress.say(&format!("live page on http://{taken}/"));
            serving.push(observe::serve(listener, board.clone(), Pages::Live));
        }
        if serving.is_empty() {
            return work(&mut progress).await;
        }
        let mut progress = progress.on(board.clone());
        let served = try_join_all(serving);
        tokio::pin!(served);
        tokio::select! {
            done = self.beside_prometheus(directory, &board, metrics, &mut progress, work) => done,
            failed = &mut served => failed.and_then(|_| Err(anyhow!("metrics and pages are no longer served"))),
        }
    }

    async fn beside_prometheus(
        self,
        directory: &RunDirectory,
        board: &Board,
        metrics: Option<SocketAddr>,
        progress: &mut Progress,
        work: impl AsyncFnOnce(&mut Progress) -> anyhow::Result<Conclusion>,
    ) -> anyhow::Result<Conclusion> {
        let (Some(metrics), Some(address)) = (metrics, self.prometheus) else { return work(progress).await };
        let prometheus = Prometheus::start(directory, metrics, address).await?;
        progress.say(&format!("Prometheus on http://{}/", prometheus.address()));
        board.expect_scraper();
        let done = work(progress).await;
        // A run that was stopped ends now; of one that came to its end, the end shall be seen.
        if done.as_ref().is_ok_and(|conclusion| *conclusion != Conclusion::NotCarriedOut) {
            board.until_scraped_again(LAST_SCRAPE_WITHIN).await;
        }
        let data = directory.prometheus_data();
        match prometheus.stop().await {
            Ok(()) => progress.say(&format!("Prometheus' samples are in {}", data.display())),
            Err(error) => progress.say(&format!("warning: {error:#}; its samples are in {}", data.display())),
        }
        done
    }
}

/// Two scrapes' time.
const LAST_SCRAPE_WITHIN: Duration = Duration::from_secs(2);
