//! A Prometheus beside a run: Debian's program, with a configuration made for the run and its samples in the run's directory.
//!
//! It is found on the path, scrapes the run's own port every second, and knows the rules of `dashboards/rules.yml`, which are
//! in this program. It ends with the run, and the kernel kills it when the orchestrator dies. What is shown to it is the
//! business of the parent module.

use std::{
    fs::File,
    io,
    net::{SocketAddr, TcpListener},
    os::{fd::OwnedFd, unix::process::CommandExt},
    process::{Child, Command, ExitStatus, Stdio},
    sync::Arc,
    time::Duration,
};

use anyhow::{Context, anyhow, bail};
use rustix::process::Signal;
use tokio::{
    io::unix::AsyncFd,
    net::TcpStream,
    time::{sleep, timeout},
};

use crate::{
    real::{
        pidfd::{PidFd, die_with_parent},
        process,
    },
    run_directory::{RunDirectory, disk_problem},
};

/// A running Prometheus. Dropping it kills it.
#[derive(Debug)]
pub struct Prometheus {
    child: Child,
    descriptor: PidFd,
    end: AsyncFd<Arc<OwnedFd>>,
    address: SocketAddr,
}

impl Prometheus {
    /// Starts it for the run or sweep in `directory` whose metrics are served on `metrics`; its own pages are served on
    /// `address`, where port 0 is any free one. Returns when it answers.
    ///
    /// # Errors
    ///
    /// When it is not installed, with how to get it; when the address is taken; when it ends or does not answer within 30 s, with
    /// the end of its log.
    pub async fn start(directory: &RunDirectory, metrics: SocketAddr, address: SocketAddr) -> anyhow::Result<Self> {
        let address = free(address)?;
        let place = directory.prometheus();
        std::fs::create_dir_all(&place).map_err(|error| disk_problem(&error, "make", &place))?;
        directory.write_whole(&directory.prometheus_rules(), RULES.as_bytes())?;
        directory.write_whole(&directory.prometheus_configuration(), configuration(metrics).as_bytes())?;
        let log = directory.prometheus_log();
        let output = File::create(&log).map_err(|error| disk_problem(&error, "make", &log))?;
        let mut command = Command::new("prometheus");
        command
            .arg(format!("--config.file={}", directory.prometheus_configuration().display()))
            .arg(format!("--storage.tsdb.path={}", directory.prometheus_data().display()))
            .arg(format!("--storage.tsdb.retention.time={RETENTION}"))
            .arg(format!("--web.listen-address={address}"))
            .stdin(Stdio::null())
            .stdout(output.try_clone().context("opening Prometheus' log")?)
            .stderr(output)
            // Ctrl-C in a terminal goes to its whole group; the run ends it, after a last scrape.
            .process_group(0);
        die_with_parent(&mut command);
        let mut child = command.spawn().map_err(|error| missing(&error))?;
        let watched = PidFd::open(&child).and_then(|descriptor| Ok((descriptor.watch()?, descriptor)));
        let (end, descriptor) = watched.context("watching Prometheus").inspect_err(|_| {
            // Not reaped yet, so that the number is still its own.
            let _ = child.kill();
            let _ = child.wait();
        })?;
        let mut started = Self { child, descriptor, end, address };
        let answered = timeout(READY_WITHIN, started.until_it_answers()).await;
        match answered {
            Ok(Ok(())) => Ok(started),
            Ok(Err(error)) => Err(error.context(log_tail(directory))),
            Err(_) => Err(anyhow!("Prometheus did not answer within {READY_WITHIN:?}").context(log_tail(directory))),
        }
    }

    /// Where its pages are.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Ends it; what it has scraped is on disk afterwards.
    ///
    /// # Errors
    ///
    /// When it had to be killed after 10 s, or had ended before. Its samples are readable all the same.
    pub async fn stop(mut self) -> anyhow::Result<()> {
        if let Some(status) = self.child.try_wait().context("looking after Prometheus")? {
            bail!("Prometheus ended before the run ({})", process::describe(status));
        }
        self.descriptor.signal(Signal::TERM).context("ending Prometheus")?;
        match timeout(STOP_WITHIN, self.end.readable()).await {
            Ok(ended) => {
                drop(ended.context("watching Prometheus")?);
                self.reap()?;
                Ok(())
            }
            Err(_) => bail!("Prometheus did not end within {STOP_WITHIN:?} and was killed"),
        }
    }

    async fn until_it_answers(&mut self) -> anyhow::Result<()> {
        loop {
            if let Some(status) = self.child.try_wait().context("looking after Prometheus")? {
                bail!("Prometheus ended at once ({})", process::describe(status));
            }
            if TcpStream::connect(self.address).await.is_ok() {
                return Ok(());
            }
            sleep(LOOK_AGAIN).await;
        }
    }

    fn reap(&mut self) -> io::Result<ExitStatus> {
        self.child.wait()
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        // One that has been waited for gets no signal from its descriptor.
        let _ = self.descriptor.signal(Signal::KILL);
        let _ = self.reap();
    }
}

/// An address that can be listened on at this moment. Prometheus does not say which port it took, so that one is looked for here.
fn free(address: SocketAddr) -> anyhow::Result<SocketAddr> {
    let listener = TcpListener::bind(address)
        .with_context(|| format!("Prometheus cannot listen on {address}; choose another with --prometheus=PORT"))?;
    listener.local_addr().context("asking for a free port")
}

/// The configuration of `dashboards/`, for these metrics.
fn configuration(metrics: SocketAddr) -> String {
    CONFIGURATION.replace(METRICS, &metrics.to_string())
}

fn missing(error: &io::Error) -> anyhow::Error {
    if error.kind() == io::ErrorKind::NotFound {
        anyhow!(
            "there is no program `prometheus` on the path: apt install prometheus (and systemctl disable --now prometheus, if \
             it shall not run by itself), or a release from https://prometheus.io/download"
        )
    } else {
        anyhow!("cannot start prometheus: {error}")
    }
}

fn log_tail(directory: &RunDirectory) -> String {
    let lines = process::tail(&directory.prometheus_log());
    format!("Prometheus could not be started; the end of its log:\n    {}", lines.join("\n    "))
}

const CONFIGURATION: &str = include_str!("../../../dashboards/prometheus.yml");
const RULES: &str = include_str!("../../../dashboards/rules.yml");
/// The address in [`CONFIGURATION`].
const METRICS: &str = "127.0.0.1:9464";
/// A run's samples are kept as long as the run's directory is.
const RETENTION: &str = "100y";
/// It takes half a second; a busy host may take its time.
const READY_WITHIN: Duration = Duration::from_secs(30);
const STOP_WITHIN: Duration = Duration::from_secs(10);
const LOOK_AGAIN: Duration = Duration::from_millis(50);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_configuration_asks_the_run_where_its_metrics_are() {
        let text = configuration(SocketAddr::from(([127, 0, 0, 1], 40_123)));
        assert!(text.contains("url: http://127.0.0.1:40123/sd"), "{text}");
        assert!(text.lines().all(|line| line.starts_with('#') || !line.contains(METRICS)), "{text}");
    }

    #[test]
    fn who_has_no_prometheus_is_told_how_to_get_it() {
        let text = missing(&io::Error::from(io::ErrorKind::NotFound)).to_string();
        assert!(text.contains("apt install prometheus"), "{text}");
    }
}
