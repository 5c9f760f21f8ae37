//! Whether links are what the topology asks for, measured by probes before the scenario begins.
//!
//! Each class of links is measured at one of its peers, up and down, from one more namespace without shaping
//! ([`vantage`]): one-way time, loss and rate; and the latencies between regions from peer to peer. Whatever engine
//! shapes the links, the probes are the same. How streams of probes are sent lives in `flow`, what they tell in
//! `measure` and `between`, what is in tolerance in `tolerance`, and what the results say in [`found`].

use std::time::Instant;

use anyhow::Context;

use crate::{plan::Plan, testbed::Testbed};

mod between;
mod flow;
pub mod found;
mod measure;
mod tolerance;
pub mod vantage;

use found::{LatencyFound, LinkFound, State, Verification};
use measure::{Attempt, Site};

/// What a verification found.
#[derive(Clone, Debug, PartialEq)]
pub struct Report {
    /// Up and down of each class, in the order of the plan.
    pub links: Vec<LinkFound>,
    /// Each latency in use.
    pub latencies: Vec<LatencyFound>,
    /// How it went.
    pub verification: Verification,
}

/// Measures all classes of links of a plan that has just become real, and what they are part of.
///
/// Nothing else may use the links meanwhile. What is out of tolerance is measured once more, for twice as long; the
/// second figures count, and the first are kept beside them.
///
/// # Errors
///
/// When nothing could be measured, because sockets could not be opened. Links that are not as asked for are no error
/// here; they are what [`Report::failure`] tells.
pub async fn verify(testbed: &Testbed, plan: &Plan) -> anyhow::Result<Report> {
    let began = Instant::now();
    let mut links = LinkFound::unmeasured(plan);
    let mut latencies = Vec::new();
    let sites = sites(testbed, plan).await?;
    let regions = between::places(testbed, plan).await?;
    let measuring = move || {
        let problems = classes(&sites, &mut links);
        (problems, links, regions)
    };
    let (mut problems, links, regions) = off_thread(measuring).await?;
    if let Some(regions) = regions {
        let (found, wrong) = off_thread(move || regions.measure()).await?;
        latencies = found;
        problems.extend(wrong);
    }
    let verification = Verification { state: State::Done, seconds: began.elapsed().as_secs_f64(), problems };
    Ok(Report { links, latencies, verification })
}

impl Report {
    /// Why the scenario may not begin, in one sentence; none when all links are as asked for.
    #[must_use]
    pub fn failure(&self) -> Option<String> {
        let problems = &self.verification.problems;
        (!problems.is_empty()).then(|| {
            format!(
                "links are not as asked for: {}; free this host of other work or, to run all the same, take --no-verify",
                problems.join("; ")
            )
        })
    }

    /// One line on how it went.
    #[must_use]
    pub fn sentence(&self) -> String {
        let measured = self.links.iter().filter(|link| link.measured.is_some()).count();
        let good = self.links.iter().filter(|link| link.within_tolerance == Some(true)).count();
        let seconds = self.verification.seconds;
        let mut text = format!("links measured in {seconds:.1} s: {good} of {measured} directions as asked for");
        for (link, note) in self.links.iter().filter_map(|link| Some((link, link.measured.as_ref()?.note.as_ref()?))) {
            text.push_str(&format!("; the rate of `{}` {} was not measured ({note})", link.class, link.direction));
        }
        text
    }
}

/// Sockets at both ends of one link of each class.
async fn sites(testbed: &Testbed, plan: &Plan) -> anyhow::Result<Vec<Site>> {
    let extended = vantage::with_vantage(plan);
    let point = extended.peers.last().context("a plan without a vantage point")?;
    let mut sites = Vec::new();
    for (link, peer) in vantage::representatives(plan) {
        sites.push(Site {
            link: link.clone(),
            vantage: testbed.probe_socket(point.id, point.address).await?,
            peer: testbed.probe_socket(peer.id, peer.address).await?,
        });
    }
    Ok(sites)
}

/// Measures all sites, some of them twice, and fills in what was found; what is wrong, one sentence each.
fn classes(sites: &[Site], links: &mut [LinkFound]) -> Vec<String> {
    let all: Vec<&Site> = sites.iter().collect();
    let first = measure::measure(&all, Attempt::First);
    let wrong = |site: &Site, found: &[found::Measured; 2]| {
        let directions = [("up", &site.link.up), ("down", &site.link.down)].into_iter().zip(found);
        let sentences = directions.flat_map(|((word, asked), found)| {
            let problems = tolerance::problems(asked, found);
            problems.into_iter().map(move |problem| (word, problem))
        });
        sentences.collect::<Vec<(&str, String)>>()
    };
    let doubtful: Vec<usize> =
        (0..sites.len()).filter(|index| !wrong(&sites[*index], &first[*index]).is_empty()).collect();
    let again: Vec<&Site> = doubtful.iter().map(|index| &sites[*index]).collect();
    let mut second = doubtful.iter().zip(measure::measure(&again, Attempt::Second)).peekable();
    let mut problems = Vec::new();
    for (index, (site, first)) in sites.iter().zip(first).enumerate() {
        let repeated = second.next_if(|(again, _)| **again == index).map(|(_, measured)| measured);
        let counts = repeated.clone().unwrap_or_else(|| first.clone());
        let wrong = wrong(site, &counts);
        for (place, word) in ["up", "down"].into_iter().enumerate() {
            let found = links.iter_mut().find(|link| link.class == site.link.name && link.direction == word);
            let Some(found) = found else { continue };
            found.measured = Some(counts[place].clone());
            found.first_attempt = repeated.as_ref().map(|_| first[place].clone());
            found.within_tolerance = Some(wrong.iter().all(|(direction, _)| *direction != word));
        }
        problems
            .extend(wrong.into_iter().map(|(word, problem)| format!("link `{}` {word}: {problem}", site.link.name)));
    }
    problems
}

async fn off_thread<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> anyhow::Result<T> {
    tokio::task::spawn_blocking(work).await.context("the measuring thread failed")
}
