//! Turns what was observed into results: pure functions from scenario, windows and theory to `results.json`'s types.

use std::collections::BTreeMap;

use anyhow::anyhow;
use peerbed_proto::PeerId;
use serde_json::json;

use super::courses;
use crate::{
    accounting::{Accounting, Said, Word},
    content::Content,
    expect::{Condition, Facts, Subject},
    links::traces::Followed,
    measure::{copies::Copies, host},
    plan::{self, Plan},
    results::{self, Completion, Expectation, NO_ENGINE, Outcome, Provenance, Results, SCHEMA, SecondCopy, Spread},
    run_directory::RunDirectory,
    scenario::{Distribution, Scenario, via},
    testbed::SetUpReport,
    theory,
    verdict::{Verdict, Window},
    verify::found::{LinkFound, Verification},
};

mod rings;

/// How far a run is when its results are looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// The scenario is being played; what takes long to reckon is left out.
    Playing,
    /// It has ended.
    Ended,
}

/// What was observed while the scenario was played.
pub(super) struct Observed<'a> {
    pub(super) stage: Stage,
    pub(super) scenario: &'a Scenario,
    pub(super) windows: &'a [Window],
    /// How late the latest participant of a common begin began, in seconds.
    pub(super) begin_lateness: f64,
    /// Bytes received in vain, by index of the distribution.
    pub(super) wasted: &'a BTreeMap<usize, u64>,
    /// What each participant said last of a distribution, by its index.
    pub(super) said: &'a BTreeMap<usize, BTreeMap<PeerId, Word>>,
    /// Neighbours dropped in each distribution, by its index and the reason.
    pub(super) dropped: &'a BTreeMap<usize, BTreeMap<String, u64>>,
    /// How far each distribution's content has spread, by its index.
    pub(super) copies: &'a BTreeMap<usize, Copies>,
    pub(super) contents: &'a BTreeMap<String, Content>,
    pub(super) changes: &'a [results::Change],
    /// Most resident bytes of each peer, as far as they said.
    pub(super) memory: &'a BTreeMap<PeerId, u64>,
    pub(super) traces: Vec<Followed>,
    /// What peers measured, merged; nothing before the scenario's end.
    pub(super) timings: &'a [results::TimingFound],
}

impl Results {
    /// The results of a run of `plan` that has found nothing yet.
    #[must_use]
    pub fn begun(plan: &Plan, provenance: Provenance) -> Self {
        Self {
            schema: SCHEMA,
            name: plan.name.clone(),
            seed: plan.seed,
            engine: NO_ENGINE.into(),
            engine_reason: "the testbed was not set up".into(),
            testbed: "real".into(),
            outcome: Outcome::Finished,
            error: None,
            verdict: Verdict::unmeasured(),
            distributions: Vec::new(),
            programs: Vec::new(),
            left_out: Vec::new(),
            lookups: Vec::new(),
            recoveries: Vec::new(),
            rings: Vec::new(),
            links: LinkFound::unmeasured(plan),
            latencies: Vec::new(),
            changes: Vec::new(),
            traces: Vec::new(),
            memory: Vec::new(),
            timings: Vec::new(),
            verification: Verification::default(),
            expectations: Vec::new(),
            provenance: Provenance { host: host::describe(), ..provenance },
        }
    }
}

/// Notes how the set-up went.
pub(super) fn set_up(results: &mut Results, report: &SetUpReport) {
    results.engine = report.engine.to_string();
    results.engine_reason.clone_from(&report.engine_reason);
    let phases = [
        ("network", report.network),
        ("contents", report.contents),
        ("processes", report.processes),
        ("readiness", report.readiness),
    ];
    results.provenance.setup_seconds =
        phases.into_iter().map(|(phase, took)| (phase.to_owned(), took.as_secs_f64())).collect();
}

/// `10 peers ready in 0.4 s (network 0.1 s, …); kernel engine: …`
pub(super) fn set_up_sentence(report: &SetUpReport, peers: usize) -> String {
    let total = report.network + report.contents + report.processes + report.readiness;
    format!(
        "{peers} peers set up in {:.2} s (network {:.2}, files {:.2}, processes {:.2}, readiness {:.2}); {} engine: {}",
        total.as_secs_f64(),
        report.network.as_secs_f64(),
        report.contents.as_secs_f64(),
        report.processes.as_secs_f64(),
        report.readiness.as_secs_f64(),
        report.engine,
        report.engine_reason
    )
}

/// Fills in everything that is known, also when the scenario did not come to its end.
pub(super) fn fill(results: &mut Results, plan: &Plan, observed: &Observed<'_>) {
    results.verdict = Verdict::of(observed.windows, observed.begin_lateness);
    results.changes = observed.changes.to_vec();
    results.traces.clone_from(&observed.traces);
    let all = observed.scenario.distributions().iter().enumerate();
    results.distributions = all
        .filter(|(_, state)| state.begun().is_some())
        .map(|(index, state)| distribution(plan, observed, index, state))
        .collect();
    results.programs = programs(plan, observed.scenario);
    let took = |peer: &plan::Peer| {
        Some(results::Memory { peer: peer.name.clone(), peak_bytes: *observed.memory.get(&peer.id)? })
    };
    results.memory = plan.peers.iter().filter_map(took).collect();
    results.timings = observed.timings.to_vec();
    results.left_out = left_out(observed.scenario);
    rings::fill(results, plan, observed.scenario);
}

/// Programs that completed, in the order of the plan.
fn programs(plan: &Plan, scenario: &Scenario) -> Vec<results::ProgramCompletion> {
    let completed = scenario.completed_programs();
    let all = plan.peers.iter().filter_map(|peer| Some((peer, peer.exec.as_ref()?, completed.get(&peer.id)?)));
    let found = all.map(|(peer, program, at)| results::ProgramCompletion {
        peer: peer.name.clone(),
        program: program.name.clone(),
        seconds: (*at - scenario.started()).as_secs_f64(),
    });
    found.collect()
}

/// Distributions that were left out, in the order of the plan.
fn left_out(scenario: &Scenario) -> Vec<results::LeftOut> {
    let all = scenario.distributions().iter().enumerate();
    let found = all.filter_map(|(index, state)| {
        let spec = state.spec();
        let reason = scenario.left_out(index)?.to_owned();
        Some(results::LeftOut {
            id: spec.id.clone(),
            name: spec.name.clone(),
            via: spec.program.clone().unwrap_or_else(|| via(spec.via).to_owned()),
            reason,
        })
    });
    found.collect()
}

fn distribution(plan: &Plan, observed: &Observed<'_>, index: usize, state: &Distribution) -> results::Distribution {
    let spec = state.spec();
    let required = observed.scenario.required(index);
    let completions: Vec<Completion> = spec
        .to
        .iter()
        .map(|peer| Completion {
            peer: name(plan, *peer),
            seconds: state.completion_seconds(*peer),
            arrived_seconds: state.arrival_seconds(*peer),
            from_arrival_seconds: state
                .completion_seconds(*peer)
                .zip(state.arrival_seconds(*peer))
                .map(|(completed, arrived)| (completed - arrived).max(0.0)),
            verified: state.is_verified(*peer),
            required: required.contains(peer),
        })
        .collect();
    let mut sorted: Vec<f64> = completions.iter().filter_map(|c| c.seconds).collect();
    sorted.sort_by(f64::total_cmp);
    let bytes = observed.contents.get(&spec.file).map_or(0, |content| content.bytes);
    let bound = theory::bound(plan, spec, &required, bytes);
    let ideal = (observed.stage == Stage::Ended).then(|| theory::ideal(plan, spec, &required, bytes)).flatten();
    let seconds = state.seconds();
    results::Distribution {
        id: spec.id.clone(),
        name: spec.name.clone(),
        file: spec.file.clone(),
        via: spec.program.clone().unwrap_or_else(|| via(spec.via).to_owned()),
        kind: via(spec.via).to_owned(),
        bytes,
        peers: spec.to.len(),
        required: required.len(),
        seconds,
        bound_seconds: bound.as_ref().map(|b| b.seconds),
        bound_term: bound.as_ref().map(|b| b.term.to_string()),
        ratio: seconds.zip(bound.as_ref()).map(|(seconds, bound)| seconds / bound.seconds),
        optimum_seconds: theory::optimum(plan, spec, &required, bytes),
        ideal_seconds: ideal,
        ideal_ratio: ideal.zip(bound.as_ref()).map(|(ideal, bound)| ideal / bound.seconds),
        p50_seconds: results::percentile(&sorted, 0.50),
        p95_seconds: results::percentile(&sorted, 0.95),
        begun_seconds: state.begun().map_or(0.0, |at| (at - observed.scenario.started()).as_secs_f64()),
        wasted_bytes: observed.wasted.get(&index).copied(),
        riders_ratio: riders_ratio(spec, state),
        from_arrival: from_arrival(&completions),
        stalled: stalled(plan, state),
        dropped: observed.dropped.get(&index).cloned().unwrap_or_default(),
        second_copy: second_copy(observed, index, state, bytes),
        accounting: accounting(plan, observed, index, state),
        completions,
    }
}

/// What a peer is called; nothing where the plan has none of this number.
fn name(plan: &Plan, id: PeerId) -> String {
    plan.peer(id).map(|peer| peer.name.clone()).unwrap_or_default()
}

/// Why a distribution was given up, for those who read about it.
fn stalled(plan: &Plan, state: &Distribution) -> Option<results::Stalled> {
    let (stall, begun) = (state.stall()?, state.begun()?);
    Some(results::Stalled {
        since_seconds: (stall.since - begun).as_secs_f64(),
        lost: ranges(&stall.missing),
        lacking: stall.lacking.iter().map(|(peer, pieces)| (name(plan, *peer), ranges(pieces))).collect(),
    })
}

/// `3-7, 12`.
fn ranges(sorted: &[u32]) -> String {
    let mut runs: Vec<(u32, u32)> = Vec::new();
    for number in sorted {
        match runs.last_mut() {
            Some((_, last)) if *last + 1 == *number => *last = *number,
            _ => runs.push((*number, *number)),
        }
    }
    let text = |(first, last)| if first == last { format!("{first}") } else { format!("{first}-{last}") };
    runs.into_iter().map(text).collect::<Vec<_>>().join(", ")
}

/// How long completed peers took from their own arrival; none where all were there from the start.
fn from_arrival(completions: &[Completion]) -> Option<Spread> {
    let came_later = completions.iter().any(|it| it.arrived_seconds.is_some_and(|arrived| arrived > 0.0));
    came_later.then(|| Spread::of(completions.iter().filter_map(|it| it.from_arrival_seconds).collect())).flatten()
}

/// How much later free-riders complete than contributors, on average.
fn riders_ratio(spec: &plan::Distribute, state: &Distribution) -> Option<f64> {
    let mean = |riders: bool| {
        let peers = spec.to.iter().filter(|peer| spec.is_free_rider(**peer) == riders);
        let times: Vec<f64> = peers.filter_map(|peer| state.completion_seconds(*peer)).collect();
        (!times.is_empty()).then(|| times.iter().sum::<f64>() / times.len() as f64)
    };
    Some(mean(true)? / mean(false)?)
}

fn second_copy(observed: &Observed<'_>, index: usize, state: &Distribution, bytes: u64) -> Option<SecondCopy> {
    let copies = observed.copies.get(&index)?;
    let (at, sent) = copies.second()?;
    let begun = state.begun()?.as_secs_f64();
    (bytes > 0).then(|| SecondCopy { seconds: at - begun, seeds_sent_files: sent / bytes as f64 })
}

fn accounting(plan: &Plan, observed: &Observed<'_>, index: usize, state: &Distribution) -> Option<Accounting> {
    let said = observed.said.get(&index)?.iter().map(|(peer, word)| {
        let name = name(plan, *peer);
        (*peer, Said { name, is_seed: state.spec().from.contains(peer), word: word.clone() })
    });
    Accounting::of(&said.collect())
}

/// Judges the expectations of a scenario that was played to its end.
///
/// # Errors
///
/// When the plan holds a text that is no condition; planning refuses these.
pub(super) fn judge(
    results: &mut Results,
    plan: &Plan,
    scenario: &Scenario,
    directory: &RunDirectory,
) -> anyhow::Result<()> {
    let parse = |text: &String| Condition::parse(text).map_err(|e| anyhow!("the plan expects `{text}`: {e}"));
    let conditions: Vec<Condition> = plan.expectations.iter().map(parse).collect::<anyhow::Result<_>>()?;
    let looks_back = conditions.iter().any(|condition| matches!(condition.subject, Subject::Over(_)));
    let facts = Facts {
        distributions: (0..scenario.distributions().len())
            .filter_map(|index| scenario.facts(index))
            .zip(&results.distributions)
            .map(|(mut facts, result)| {
                facts.bound_seconds = result.bound_seconds;
                facts.riders_ratio = result.riders_ratio;
                facts.second_copy = result.second_copy.map(|copy| copy.seeds_sent_files);
                facts
            })
            .collect(),
        rings: rings::facts(results),
        verdict: Some(results.verdict.state.as_str().to_owned()),
        courses: looks_back.then(|| courses::read(directory, results)),
    };
    for condition in &conditions {
        if is_about_left_out(condition, scenario) {
            continue;
        }
        let found = condition.evaluate(&facts);
        results.expectations.push(Expectation { text: found.text, held: found.held, value: found.value });
    }
    results.expectations.extend(results.distributions.iter().filter_map(wrong_files));
    Ok(())
}

/// Whether a condition looks at distributions that were left out, and at no other.
fn is_about_left_out(condition: &Condition, scenario: &Scenario) -> bool {
    let Some(selector) = condition.selector() else { return false };
    let all = scenario.distributions().iter().enumerate();
    let mut selected = all.filter(|(_, it)| selector.selects(&it.spec().name, it.via())).peekable();
    selected.peek().is_some() && selected.all(|(index, _)| scenario.left_out(index).is_some())
}

/// An expectation that every topology has: what was completed is the original. It is listed only when it fails.
fn wrong_files(distribution: &results::Distribution) -> Option<Expectation> {
    let wrong: Vec<&str> = distribution
        .completions
        .iter()
        .filter(|c| c.seconds.is_some() && !c.verified)
        .map(|c| c.peer.as_str())
        .collect();
    (!wrong.is_empty()).then(|| Expectation {
        text: format!("every completed copy of {} via {} is the original", distribution.file, distribution.via),
        held: false,
        value: json!(wrong),
    })
}
