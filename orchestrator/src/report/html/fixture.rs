//! Made-up courses and results for the tests of figures.

use serde_json::{Value, json};

use crate::results::{Distribution, Results};

use crate::record::{EventLine, Record, course::Course, outline::Outline, rings::Seat};

/// A distribution with these completions, of 1 MiB and with a bound of 1.5 s.
pub(crate) fn distribution(via: &str, completions: &[Option<f64>]) -> Distribution {
    let last = completions.iter().copied().try_fold(0.0, |last: f64, c| c.map(|c| last.max(c)));
    let completion = |(n, seconds): (usize, &Option<f64>)| json!({ "peer": format!("home-{}", n + 1), "seconds": seconds, "verified": true, "required": true });
    let completions: Vec<Value> = completions.iter().enumerate().map(completion).collect();
    let written = json!({
        "id": "d0", "name": "release", "file": "release", "via": via, "bytes": 1 << 20, "peers": completions.len(),
        "required": completions.len(), "seconds": last, "bound_seconds": 1.5, "bound_term": "total-upload",
        "ratio": last.map(|last| last / 1.5), "completions": completions
    });
    serde_json::from_value(written).expect("a distribution as runs write it")
}

/// `peers` homes that get `pieces` pieces, one a second, each beginning with another, and send 1 MB meanwhile.
pub(super) fn course(peers: u32, pieces: u32) -> Course {
    let mut course = Course::default();
    let mut event = |text: String| {
        let line: EventLine = serde_json::from_str(&text).expect("an event as peers write it");
        course.event(&line);
    };
    for peer in 1..=peers {
        event(format!(
            r#"{{"t":99,"peer":"home-{peer}","event":"prepared","distribution":"d0","have":0,"pieces":{pieces}}}"#
        ));
    }
    event(r#"{"t":99.5,"event":"begin-fixed","distribution":"d0","at":100.0,"peers":1}"#.into());
    for peer in 1..=peers {
        for n in 0..pieces {
            let (t, piece) = (101 + n, (peer + n) % pieces);
            event(format!(
                r#"{{"t":{t},"peer":"home-{peer}","event":"piece","distribution":"d0","piece":{piece},"have":{}}}"#,
                n + 1
            ));
        }
        let t = 100 + pieces;
        event(format!(r#"{{"t":{t},"peer":"home-{peer}","event":"completed","distribution":"d0"}}"#));
    }
    for peer in 1..=peers {
        let sent = json!({ "role": "leecher", "have": pieces, "pieces": pieces, "bytes_up": 1_000_000 });
        let part = serde_json::from_value(sent).expect("a sample as peers answer it");
        course.sample(&format!("home-{peer}"), 100.0 + f64::from(pieces), &part);
    }
    course.finish();
    course
}

/// One home whose uplink carried payload half of four seconds, something else for one, and was idle though wanted for one.
pub(super) fn accounted() -> Course {
    let mut course = course(1, 4);
    let part = course.parts.get_mut("home-1").expect("the only one");
    let spent = |t: u32| [0.5, 0.25, 0.0, 0.25, 0.0].map(|part| part * f64::from(t));
    part.account = (0..=4).map(|t| (f64::from(t), spent(t))).collect();
    course
}

/// A ring of `members` evenly spread on 16 points, each with the opposite one as its finger, and these lookups, one a second: who
/// asked, the owner, hops, and whom it met; peers by number.
pub(super) fn ring(members: u32, lookups: &[(u32, u32, u32, Vec<u32>)]) -> Record {
    let mut record = Record { outline: Outline::of_ring(members), ended: 100.0, ..Record::default() };
    for n in 1..=members {
        let seat = json!({ "ring": "ring", "point": ((n - 1) * 16 / members).to_string(),
            "successors": [n % members + 1], "fingers": [(n + members / 2 - 1) % members + 1] });
        let seat: Seat = serde_json::from_value(seat).expect("a sample as peers answer it");
        for t in 0..=lookups.len() {
            record.rings.sample(&format!("ring-{n}"), t as f64, &seat);
        }
    }
    for (t, (from, owner, hops, path)) in lookups.iter().enumerate() {
        let found = json!({ "owner": owner, "predecessor": owner, "hops": hops, "seconds": 0.1, "path": path });
        let line =
            json!({ "t": t, "peer": format!("ring-{from}"), "event": "ring", "what": "looked-up", "found": found });
        record.rings.event(&serde_json::from_value(line).expect("an event as peers write it"));
    }
    record
}

/// A seat in the ring of [`ring()`].
pub(super) fn seat() -> Seat {
    serde_json::from_value(json!({ "ring": "ring", "standing": "member" })).expect("a sample as peers answer it")
}

/// The results of a valid run with these distributions.
pub(crate) fn results(distributions: Vec<Distribution>) -> Results {
    let text = json!({
        "schema": 1, "name": "made-up", "seed": 1, "engine": "kernel", "testbed": "real",
        "verdict": { "state": "valid", "reasons": [] }, "distributions": distributions,
        "lookups": [], "recoveries": [], "links": [], "expectations": []
    });
    serde_json::from_value(text).expect("results as runs write them")
}
