//! What conditions over many values look at, read back from the files that the run wrote.

use crate::{
    expect::over::{Courses, DistributionCourse, FaultSeen},
    plan::Via,
    record::{Record, course::Course},
    results::{Distribution, Recovery, Results},
    run_directory::RunDirectory,
    scenario, timings,
};

/// Reads what there is in `directory`, for the distributions and recoveries of `results`.
pub(super) fn read(directory: &RunDirectory, results: &Results) -> Courses {
    let record = Record::read(directory);
    let distributions = results.distributions.iter();
    Courses {
        distributions: distributions.filter_map(|d| distribution(d, record.courses.get(&d.id)?)).collect(),
        host: record.windows.iter().filter(|window| window.measuring).copied().collect(),
        started: record.started,
        steps: record.steps.values().map(|step| (step.action.clone(), record.since_start(step.begun))).collect(),
        recoveries: results.recoveries.iter().map(fault).collect(),
        timings: timings::read(directory),
    }
}

fn fault(it: &Recovery) -> FaultSeen {
    FaultSeen { kind: it.fault.clone(), ring: it.ring.clone(), recovered: it.recovered_seconds }
}

fn distribution(found: &Distribution, course: &Course) -> Option<DistributionCourse> {
    let via = [Via::Swarm, Via::ClientServer].into_iter().find(|via| scenario::via(*via) == found.via)?;
    let required = || found.completions.iter().filter(|completion| completion.required);
    let names: Vec<&str> = required().map(|completion| completion.peer.as_str()).collect();
    Some(DistributionCourse {
        name: found.name.clone(),
        via,
        begun: found.begun_seconds,
        length: course.length(),
        completions: required().map(|completion| completion.seconds).collect(),
        from_arrival: required().map(|completion| completion.from_arrival_seconds).collect(),
        progress: progress(course, &names),
        uplink: uplink(course),
    })
}

/// Share of the pieces that `names` want which they had, from each change on.
fn progress(course: &Course, names: &[&str]) -> Vec<(f64, f64)> {
    let wanted = names.len() as f64 * f64::from(course.pieces.max(1));
    let mut gains: Vec<(f64, f64)> = Vec::new();
    for part in names.iter().filter_map(|name| course.parts.get(*name)) {
        let mut before = 0;
        for (t, have) in part.progress() {
            gains.push((t, f64::from(have.saturating_sub(before))));
            before = have.max(before);
        }
    }
    gains.sort_by(|a, b| a.0.total_cmp(&b.0));
    let mut sum = 0.0;
    let mut points: Vec<(f64, f64)> = Vec::with_capacity(gains.len());
    for (t, gained) in gains {
        sum += gained;
        points.push((t, (sum / wanted).min(1.0)));
    }
    points
}

/// Bits per second that all together sent, second by second.
fn uplink(course: &Course) -> Vec<(f64, f64)> {
    let sent = |t: f64| course.parts.values().map(|part| part.sent_by(t)).sum::<f64>();
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to a day of seconds")]
    let seconds = course.length().clamp(0.0, 86_400.0).floor() as u32;
    (0..seconds)
        .map(|second| (f64::from(second), (sent(f64::from(second + 1)) - sent(f64::from(second))) * 8.0))
        .collect()
}
