//! What was observed of rings, and of recoveries of all kinds, as results and as facts for expectations.

use std::collections::BTreeMap;

use peerbed_proto::PeerId;

use crate::{
    expect::{RingFacts, RingSubject},
    plan::{Keys, Plan},
    results::{AnswerFound, Lookups, MemberFound, Recovery, Results, RingFound, Spread},
    scenario::{
        Distribution, Fault, Scenario,
        rings::{Answer, Course, Ended, FaultKind, Judged, Rings, judge, still_wrong},
    },
};

/// Fills in everything about rings.
pub(super) fn fill(results: &mut Results, plan: &Plan, scenario: &Scenario) {
    let names: BTreeMap<PeerId, &str> = plan.peers.iter().map(|peer| (peer.id, peer.name.as_str())).collect();
    let rings = scenario.rings();
    results.lookups = rings.asked().map(|asking| lookups(rings, asking, &names)).collect();
    results.recoveries = rings.courses().iter().flat_map(|course| recoveries(scenario, course, &names)).collect();
    results.recoveries.extend(scenario.distributions().iter().flat_map(|it| progress(scenario, it, &names)));
    results.recoveries.sort_by(|a, b| a.at_seconds.total_cmp(&b.at_seconds));
    results.rings = rings.courses().iter().map(|course| ring(course, &names)).collect();
}

/// What expectations may know of rings.
pub(super) fn facts(results: &Results) -> Vec<RingFacts> {
    let lookups = results.lookups.iter().map(|it| {
        let mut figures = BTreeMap::from([
            ("count", it.count as f64),
            ("correct", it.correct as f64),
            ("wrong", it.wrong as f64),
            ("failed", it.failed as f64),
        ]);
        figures.extend(it.still_wrong.map(|count| ("still_wrong", count as f64)));
        if let Some(hops) = it.hops {
            let named =
                [("hops_mean", hops.mean), ("hops_p50", hops.p50), ("hops_p99", hops.p99), ("hops_max", hops.max)];
            figures.extend(named);
        }
        if let Some(time) = it.latency_seconds {
            figures.extend([("latency_mean", time.mean), ("latency_p50", time.p50)]);
            figures.extend([("latency_p99", time.p99), ("latency_max", time.max)]);
        }
        RingFacts { what: RingSubject::Lookups, name: it.name.clone(), figures }
    });
    let recoveries = results.rings.iter().flat_map(|ring| {
        let kinds = FaultKind::ALL.into_iter().map(FaultKind::word).map(Some).chain([None]);
        kinds.map(|kind| recovery_facts(&results.recoveries, &ring.name, kind))
    });
    lookups.chain(recoveries).chain(results.rings.iter().map(ring_facts)).collect()
}

/// How a ring was at the end, and what its honest members did not take.
fn ring_facts(ring: &RingFound) -> RingFacts {
    let figure = |word: &'static str| {
        let value = match word {
            "right" => f64::from(u8::from(ring.right)),
            "members" => ring.members.len() as f64,
            reason => ring.dropped.get(reason).copied().unwrap_or(0) as f64,
        };
        (word, value)
    };
    let figures = RingSubject::Rings.figures().map(figure).collect();
    RingFacts { what: RingSubject::Rings, name: ring.name.clone(), figures }
}

/// Recoveries of a ring from faults of one kind, or of all.
fn recovery_facts(all: &[Recovery], ring: &str, kind: Option<&str>) -> RingFacts {
    let own = all.iter().filter(|it| it.ring == ring && kind.is_none_or(|kind| it.fault == kind));
    let own: Vec<&Recovery> = own.collect();
    let mut figures = BTreeMap::from([("count", own.len() as f64)]);
    let recovered: Vec<Option<f64>> = own.iter().map(|it| it.recovered_seconds).collect();
    let mended: Vec<Option<f64>> = own.iter().map(|it| it.mended_seconds).collect();
    let names = [["open", "mean", "p50", "p99", "max"], MENDED];
    for (seconds, [open_name, mean, p50, p99, max]) in [recovered, mended].into_iter().zip(names) {
        let open = seconds.iter().filter(|it| it.is_none()).count();
        figures.insert(open_name, open as f64);
        // While one is open, nobody knows how long the longest took.
        let known = Spread::of(seconds.into_iter().flatten().collect()).filter(|_| open == 0);
        if let Some(spread) = known {
            figures.extend([(mean, spread.mean), (p50, spread.p50), (p99, spread.p99), (max, spread.max)]);
        }
    }
    let name = kind.map_or_else(|| ring.to_owned(), |kind| format!("{ring}.{kind}"));
    RingFacts { what: RingSubject::Recoveries, name, figures }
}

const MENDED: [&str; 5] = ["mended_open", "mended_mean", "mended_p50", "mended_p99", "mended_max"];

fn lookups(rings: &Rings, asking: &crate::scenario::rings::Asking, names: &BTreeMap<PeerId, &str>) -> Lookups {
    let judged = judge(rings, asking);
    let count = |wanted: Judged| judged.iter().filter(|(found, _)| *found == wanted).count();
    let (mut hops, mut seconds, mut timeouts, mut reasons) = (Vec::new(), Vec::new(), 0, Vec::new());
    for answer in asking.answers() {
        match &answer.ended {
            Ended::Owner { hops: went, timeouts: met, seconds: took, .. } => {
                hops.push(f64::from(*went));
                timeouts += u64::from(*met);
                seconds.push(*took);
            }
            Ended::Written { seconds: took, .. } | Ended::Read { seconds: took, .. } => seconds.push(*took),
            Ended::Failed(reason) if reasons.len() < REASONS_MAX && !reasons.contains(reason) => {
                reasons.push(reason.clone());
            }
            Ended::Failed(_) | Ended::Abandoned => {}
        }
    }
    let queries = asking.queries();
    let is_listed = matches!(queries.keys, Keys::Given(_)) && judged.len() <= ANSWERS_MAX;
    let listed = asking.answers().iter().zip(&judged).filter(|_| is_listed);
    Lookups {
        name: queries.name.clone(),
        ring: queries.ring.clone(),
        action: asking.word().to_owned(),
        count: judged.len() - count(Judged::Abandoned),
        correct: count(Judged::Correct),
        wrong: count(Judged::Wrong),
        failed: count(Judged::Failed),
        still_wrong: queries.again.map(|_| still_wrong(rings, asking)),
        abandoned: count(Judged::Abandoned),
        hops: Spread::of(hops),
        timeouts,
        latency_seconds: Spread::of(seconds),
        reasons,
        answers: listed.map(|(answer, (judged, owner))| found(answer, *judged, *owner, names)).collect(),
    }
}

fn found(answer: &Answer, judged: Judged, owner: Option<PeerId>, names: &BTreeMap<PeerId, &str>) -> AnswerFound {
    let name = |peer: PeerId| names.get(&peer).map(|name| (*name).to_owned());
    let (found, hops, value) = match &answer.ended {
        Ended::Owner { owner, hops, .. } => (name(*owner), Some(*hops), None),
        Ended::Written { owner, .. } => (name(*owner), None, None),
        Ended::Read { value, .. } => (None, None, value.clone()),
        Ended::Failed(_) | Ended::Abandoned => (None, None, None),
    };
    let path = match &answer.ended {
        Ended::Owner { path, .. } => path.iter().copied().filter_map(name).collect(),
        Ended::Written { .. } | Ended::Read { .. } | Ended::Failed(_) | Ended::Abandoned => Vec::new(),
    };
    AnswerFound {
        key: answer.key.name.clone().unwrap_or_else(|| answer.key.point.to_string()),
        point: answer.key.point,
        from: name(answer.asker).unwrap_or_default(),
        owner: found,
        true_owner: owner.and_then(name),
        value,
        hops,
        path,
        outcome: match judged {
            Judged::Correct => "correct",
            Judged::Wrong => "wrong",
            Judged::Failed => "failed",
            Judged::Abandoned => "abandoned",
        }
        .to_owned(),
    }
}

fn recoveries(scenario: &Scenario, course: &Course, names: &BTreeMap<PeerId, &str>) -> Vec<Recovery> {
    let of = |fault: &crate::scenario::rings::Fault| Recovery {
        ring: course.name().to_owned(),
        fault: fault.kind.word().to_owned(),
        peers: fault.peers.iter().filter_map(|peer| names.get(peer)).map(|name| (*name).to_owned()).collect(),
        at_seconds: (fault.at - scenario.started()).as_secs_f64(),
        recovered_seconds: fault.recovered.map(|recovered| (recovered - fault.at).as_secs_f64()),
        mended_seconds: fault.mended.map(|mended| (mended - fault.at).as_secs_f64()),
        ..Recovery::default()
    };
    course.faults().iter().map(of).collect()
}

/// How a distribution got over what was done to it.
fn progress(scenario: &Scenario, it: &Distribution, names: &BTreeMap<PeerId, &str>) -> Vec<Recovery> {
    let of = |fault: &Fault| Recovery {
        distribution: it.spec().id.clone(),
        fault: fault.kind.to_owned(),
        peers: fault.peers.iter().filter_map(|peer| names.get(peer)).map(|name| (*name).to_owned()).collect(),
        at_seconds: (fault.at - scenario.started()).as_secs_f64(),
        recovered_seconds: fault.recovered.map(|recovered| (recovered - fault.at).as_secs_f64()),
        regained_seconds: fault.regained.map(|regained| (regained - fault.at).as_secs_f64()),
        ..Recovery::default()
    };
    it.faults().iter().map(of).collect()
}

fn ring(course: &Course, names: &BTreeMap<PeerId, &str>) -> RingFound {
    let hostile = course.spec().members.iter().filter(|member| member.is_hostile());
    let hostile = hostile.filter_map(|it| Some(((*names.get(&it.peer)?).to_owned(), it.conduct)));
    let members = course.members().into_iter().filter_map(|peer| {
        let pointers = course.pointers(peer);
        Some(MemberFound {
            peer: names.get(&peer).map(|name| (*name).to_owned())?,
            id: course.point(peer)?,
            predecessor: pointers.and_then(|it| it.predecessor).and_then(|peer| course.point(peer)),
            successors: pointers.map_or(Vec::new(), |it| {
                it.successors.iter().map(|successor| successor.and_then(|peer| course.point(peer))).collect()
            }),
            records: course.records(peer),
        })
    });
    RingFound {
        name: course.name().to_owned(),
        bits: course.circle().bits(),
        right: course.is_right(),
        hostile: hostile.collect(),
        dropped: course.dropped(),
        members: members.collect(),
    }
}

/// Answers listed one by one in results; more are figures only.
const ANSWERS_MAX: usize = 200;
/// Reasons of failures listed.
const REASONS_MAX: usize = 5;
