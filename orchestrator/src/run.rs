//! One run: from a plan to its results, whatever happens on the way.
//!
//! Brings the testbed up, plays the scenario on it, takes it down and writes `results.json`, also when the run failed
//! or somebody stopped it. Playing lives in `play`, turning what was observed into results in `assemble`, repeating
//! runs for a sweep in `series`.

use std::time::{Duration, Instant};

use anyhow::{Context, anyhow};

use crate::{
    evidence::{
        self, Keep,
        capture::{Captures, Rest},
    },
    plan::Plan,
    progress::Progress,
    results::{Conclusion, Outcome, Provenance, Results},
    run_directory::RunDirectory,
    testbed::{self, SetUpError, Testbed},
    verdict::Verdict,
    verify,
};

mod assemble;
mod courses;
mod play;
pub mod series;
mod stop;

pub use stop::{Stop, StopSender};

/// One run to be made.
#[derive(Debug)]
pub struct Job<'a> {
    /// What to do.
    pub plan: &'a Plan,
    /// Where its files go; its places do not exist yet.
    pub directory: &'a RunDirectory,
    /// How to bring up the testbed.
    pub testbed: &'a testbed::Options,
    /// What becomes of the distributed files.
    pub payload: Payload,
    /// Whether links are measured before the scenario.
    pub links: Links,
    /// What the results say about their origin; times and set-up are filled in.
    pub provenance: Provenance,
}

/// What becomes of the distributed files after they have been read back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Payload {
    /// They are removed, as is what a crashed peer left, when the run finishes. A run that fails keeps them.
    Remove,
    /// They stay in the run directory.
    Keep,
}

/// What happens to links before the scenario.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Links {
    /// They are measured, and a run whose links are not as asked for is not played.
    Verify,
    /// They are trusted.
    Trust,
}

/// Why a run did not finish.
#[derive(Debug)]
enum Early {
    Stopped,
    Failed(anyhow::Error),
}

/// Makes one run. Whatever becomes of it is in the results, which are on disk when this returns.
///
/// # Errors
///
/// Only when the results themselves cannot be written.
pub async fn carry_out(job: Job<'_>, stop: &Stop, progress: &mut Progress) -> anyhow::Result<Results> {
    let started = Instant::now();
    progress.begin(job.plan, job.directory);
    let mut results = Results::begun(job.plan, job.provenance.clone());
    if let Some(board) = progress.board() {
        board.results(results.clone());
    }
    let ended = set_up_and_play(&job, stop, progress, &mut results).await;
    results.provenance.wall_seconds = started.elapsed().as_secs_f64();
    let early = match ended {
        Ok(()) => None,
        Err(Early::Stopped) => Some((Outcome::Interrupted, "the run was stopped before its end".to_owned())),
        Err(Early::Failed(error)) => Some((Outcome::Failed, format!("{error:#}"))),
    };
    if let Some((outcome, why)) = early {
        results.outcome = outcome;
        results.error = Some(why);
        results.verdict = std::mem::replace(&mut results.verdict, Verdict::unmeasured()).cut_short();
    }
    progress.finish();
    write(&job, &results)?;
    Ok(results)
}

/// Writes the results. Where the disk is full of payload, payload makes room for them.
fn write(job: &Job<'_>, results: &Results) -> anyhow::Result<()> {
    let path = job.directory.results();
    let Err(full) = job.directory.write_json(&path, results) else { return Ok(()) };
    if job.payload == Payload::Remove && remove_payload(job).is_ok() && job.directory.write_json(&path, results).is_ok()
    {
        return Ok(());
    }
    // What went wrong first says more than that it could not be written down.
    Err(results.error.as_ref().map_or(full, |first| anyhow!("{first}")))
}

async fn set_up_and_play(
    job: &Job<'_>,
    stop: &Stop,
    progress: &mut Progress,
    results: &mut Results,
) -> Result<(), Early> {
    job.directory.create_places()?;
    progress.say(&format!("setting up {} peers", job.plan.peers.len()));
    let set_up = Testbed::set_up(job.plan, job.directory, job.testbed);
    let (testbed, events) = tokio::select! {
        made = set_up => made.map_err(|error| match error {
            SetUpError::Unsupported(missing) => anyhow::Error::from(missing),
            SetUpError::Failed(error) => error,
        })?,
        () = stop.wished() => return Err(Early::Stopped),
    };
    assemble::set_up(results, testbed.set_up_report());
    progress.say(&assemble::set_up_sentence(testbed.set_up_report(), job.plan.peers.len()));
    let captures = begin_captures(job, &testbed).await?;
    let ready = match verify_links(job, &testbed, stop, progress, results).await {
        Ok(()) => until_watched(stop, progress).await,
        Err(early) => Err(early),
    };
    let played = match ready {
        Ok(()) => play::play(job, &testbed, events, stop, progress, results, &captures).await,
        Err(early) => Err(early),
    };
    let torn_down = tear_down(testbed, stop).await;
    let passed = played.is_ok() && results.conclusion() == Conclusion::Held;
    if let Err(error) = settle_evidence(job, captures, passed, progress) {
        // It is beside the run, whose results stand.
        progress.say(&format!("warning: not all evidence was written: {error:#}"));
    }
    played?;
    torn_down?;
    if job.payload == Payload::Remove {
        remove_payload(job)?;
    }
    Ok(())
}

/// Measures the links and notes what was found.
async fn verify_links(
    job: &Job<'_>,
    testbed: &Testbed,
    stop: &Stop,
    progress: &mut Progress,
    results: &mut Results,
) -> Result<(), Early> {
    if job.links == Links::Trust {
        results.verification.state = verify::found::State::Skipped;
        progress.say("links are not measured (--no-verify)");
        return Ok(());
    }
    let report = tokio::select! {
        report = verify::verify(testbed, job.plan) => report.context("measuring the links")?,
        () = stop.wished() => return Err(Early::Stopped),
    };
    progress.say(&report.sentence());
    let failure = report.failure();
    (results.links, results.latencies, results.verification) = (report.links, report.latencies, report.verification);
    failure.map_or(Ok(()), |why| Err(anyhow!(why).into()))
}

/// Begins to capture the packets that are wanted, before anything connects.
async fn begin_captures(job: &Job<'_>, testbed: &Testbed) -> anyhow::Result<Captures> {
    let wanted = job.testbed.evidence.packets_of(job.plan)?;
    let peers: Vec<_> = job.plan.peers.iter().filter(|peer| wanted.contains(&peer.id)).collect();
    testbed.capture(&peers).await
}

/// Keeps evidence of a run that passed only around faults, unless all of it is wanted.
fn settle_evidence(job: &Job<'_>, captures: Captures, passed: bool, progress: &mut Progress) -> anyhow::Result<()> {
    let wanted = &job.testbed.evidence;
    if wanted.packets.is_empty() && wanted.qlog.is_empty() {
        return Ok(());
    }
    let is_all_kept = !passed || wanted.keep == Keep::Always;
    if !is_all_kept && !captures.saw_a_fault() {
        evidence::remove(job.plan, job.directory);
    }
    let packets = captures.end(if is_all_kept { Rest::All } else { Rest::AroundFaults })?;
    progress.say(&format!("evidence: {packets} packets are kept in {}", job.directory.peers().display()));
    Ok(())
}

/// Lets a scraper that was started for the run see the peers before anything happens to them.
async fn until_watched(stop: &Stop, progress: &mut Progress) -> Result<(), Early> {
    let Some(board) = progress.board().filter(|board| board.expects_scraper()) else { return Ok(()) };
    let is_watched = tokio::select! {
        is_watched = board.until_scraped(SCRAPE_WITHIN) => is_watched,
        () = stop.wished() => return Err(Early::Stopped),
    };
    if !is_watched {
        progress.say("Prometheus has not come for the peers' metrics yet; the scenario begins without it");
    }
    Ok(())
}

/// Ends everything; a second wish to stop ends it by force. Dropping the testbed does the same to what is left.
async fn tear_down(testbed: Testbed, stop: &Stop) -> anyhow::Result<()> {
    let graceful = async {
        match tokio::time::timeout(TEAR_DOWN_MAX, testbed.tear_down()).await {
            Ok(done) => done.context("taking the testbed down"),
            Err(_) => anyhow::bail!("taking the testbed down took longer than {TEAR_DOWN_MAX:?}; it was killed"),
        }
    };
    tokio::select! {
        done = graceful => done,
        () = stop.wished_again() => Ok(()),
    }
}

fn remove_payload(job: &Job<'_>) -> anyhow::Result<()> {
    for step in &job.plan.steps {
        let Some(distribute) = step.action.distribute() else { continue };
        for peer in &job.plan.peers {
            job.directory.remove_payload(&peer.name, &distribute.id)?;
            if let Some(program) = peer.exec.as_ref().filter(|_| distribute.to.contains(&peer.id)) {
                // Absence is fine, and so is what has become a directory: it is the program's own.
                let _ = std::fs::remove_file(job.directory.output(&peer.name, program.output(&distribute.file)));
            }
        }
    }
    job.directory.remove_content()
}

impl From<anyhow::Error> for Early {
    fn from(error: anyhow::Error) -> Self {
        Self::Failed(error)
    }
}

/// Prometheus looks for its targets every 5 s.
const SCRAPE_WITHIN: Duration = Duration::from_secs(20);
/// Peers have 5 s to end when asked (`testbed::Options::stop_within`); this is for a host that does not answer.
const TEAR_DOWN_MAX: Duration = Duration::from_secs(60);
