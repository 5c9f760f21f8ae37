//! Run directories as runs leave them, without a run: any number of peers, and names that try to break out.

use std::{
    fmt::Write,
    fs,
    path::{Path, PathBuf},
};

use peerbed_orchestrator::run_directory::RunDirectory;
use serde_json::{Value, json};

/// A name that no page may take at its word.
pub(crate) const HOSTILE: &str = "<script>alert(\"&'1\")</script>";

/// The ring of all homes.
const RING: &str = "ring";
const LOOKUPS: u32 = 300;

/// Makes the directory of a swarm of `peers` leechers and a file of `pieces` pieces at `root`.
pub(crate) fn swarm(root: &Path, peers: u32, pieces: u32) -> RunDirectory {
    fs::create_dir_all(root.join("samples")).unwrap();
    let lines = |name: &str, text: String| fs::write(root.join(name), text).unwrap();
    lines("plan.yaml", plan(peers));
    lines("topology.yaml", format!("# {HOSTILE}\n# see https://example.org/\nversion: 1\n"));
    lines("events.ndjson", events(peers, pieces));
    lines("samples/peers.ndjson", peer_samples(peers, pieces));
    lines("samples/host.ndjson", host_samples());
    lines("results.json", results(peers).to_string());
    RunDirectory::open(root).unwrap()
}

/// A sweep of [`swarm`]s over the number of peers.
pub(crate) fn sweep(root: &Path, counts: &[u32]) -> RunDirectory {
    let mut runs = Vec::new();
    for (index, peers) in counts.iter().enumerate() {
        let directory = format!("{:03}-count={peers}", index + 1);
        swarm(&root.join(&directory), *peers, 8);
        let values = json!({ "groups.home.count": peers });
        runs.push(json!({ "values": values, "repeat": 1, "directory": directory, "results": results(*peers) }));
    }
    let all = json!({ "schema": 1, "name": HOSTILE, "planned": counts.len(), "runs": runs });
    fs::write(root.join("results.json"), all.to_string()).unwrap();
    RunDirectory::open(root).unwrap()
}

/// When a peer has its last piece, in seconds since the begin.
fn end(peer: u32) -> f64 {
    16.0 + f64::from(peer % 17) / 8.0
}

pub(crate) fn results(peers: u32) -> Value {
    let completions: Vec<Value> = (1..=peers)
        .map(|n| json!({ "peer": format!("home-{n}"), "seconds": end(n), "verified": true, "required": true }))
        .collect();
    let link = |class: &str, way: &str, rate: u64| {
        json!({ "class": class, "direction": way, "asked": { "rate_bps": rate, "delay_s": 0.01 },
            "measured": { "rate_bps": rate - 1000, "delay_s": 0.0101, "loss": 0.0, "probes": 100 }, "within_tolerance": true })
    };
    json!({
        "schema": 1, "name": HOSTILE, "seed": 7, "engine": "kernel", "engine_reason": "made up", "testbed": "real",
        "outcome": "finished",
        "verdict": { "state": "suspect", "reasons": ["timers fired 50 ms late or more in 6 % of the measured time (seconds 3–4)"] },
        "distributions": [{
            "id": "d0", "name": HOSTILE, "file": "release", "via": "swarm", "bytes": 4_194_304, "peers": peers,
            "required": peers, "seconds": 18.0, "bound_seconds": 16.5, "bound_term": "total-upload", "ratio": 1.0909,
            "p50_seconds": 17.0, "p95_seconds": 18.0, "begun_seconds": 0.05, "wasted_bytes": 16384, "completions": completions
        }],
        "lookups": [],
        "recoveries": [
            { "ring": RING, "fault": "crash", "peers": ["home-1"], "at_seconds": 5.0, "recovered_seconds": 3.1 },
            { "ring": RING, "fault": "join", "peers": ["home-1"], "at_seconds": 9.0, "recovered_seconds": null }
        ],
        "links": [link("server", "up", 20_000_000), link("home", "up", 2_000_000), link("home", "down", 20_000_000)],
        "verification": { "state": "done", "seconds": 1.3 },
        "expectations": [
            { "text": "distribution.release.ratio <= 1.3", "held": true, "value": 1.0909 },
            { "text": "verdict is valid", "held": false, "value": "suspect" }
        ],
        "provenance": { "started_at": "2026-11-23T05:54:09Z", "wall_seconds": 20.0, "command_line": ["peerbed", "run", HOSTILE],
            "version": "0.1.0", "host": { "kernel": "6.18", "cores": 2, "memory_bytes": 25_276_502_016_u64 } }
    })
}

fn plan(peers: u32) -> String {
    let mut text = String::from("schema: 1\npeers:\n- { id: 1, name: origin, group: origin, link: server }\n");
    let mut to = Vec::new();
    for n in 1..=peers {
        let _ = writeln!(text, "- {{ id: {}, name: home-{n}, group: home, link: home }}", n + 1);
        to.push((n + 1).to_string());
    }
    let _ = writeln!(text, "rings:\n- {{ name: {RING:?}, bits: 16, members: [], options: {{ routing: fingers }} }}");
    text.push_str("links:\n- { name: server, up: { rate: 20mbit }, down: { rate: 20mbit } }\n");
    text.push_str("- { name: home, up: { rate: 2mbit }, down: { rate: 20mbit } }\n");
    let _ = writeln!(
        text,
        "steps:\n- when: {{ at: 0s }}\n  action: {{ distribute: {{ id: d0, from: [1], to: [{}] }} }}",
        to.join(", ")
    );
    text.push_str("- when: { at: 5s }\n  action: { crash: [2] }\n");
    text
}

fn events(peers: u32, pieces: u32) -> String {
    let mut text = String::new();
    let mut line = |value: Value| {
        let _ = writeln!(text, "{value}");
    };
    line(json!({ "t": 100.0, "event": "scenario-begun", "peers": peers + 1 }));
    line(json!({ "t": 100.0, "event": "step-begun", "step": 0, "action": "distribute" }));
    line(
        json!({ "t": 100.0, "event": "prepared", "peer": "origin", "distribution": "d0", "have": pieces, "pieces": pieces }),
    );
    for n in 1..=peers {
        let peer = format!("home-{n}");
        line(
            json!({ "t": 100.0, "event": "prepared", "peer": peer, "distribution": "d0", "have": 0, "pieces": pieces }),
        );
    }
    line(json!({ "t": 100.0, "event": "begin-fixed", "distribution": "d0", "at": 100.05, "peers": peers + 1 }));
    line(json!({ "t": 105.0, "event": "step-begun", "step": 1, "action": "crash" }));
    line(json!({ "t": 105.1, "event": "exited", "peer": "home-1", "status": HOSTILE, "expected": true }));
    line(json!({ "t": 105.1, "event": "step-ended", "step": 1, "action": "crash" }));
    for n in 1..=peers {
        let peer = format!("home-{n}");
        for k in 0..pieces {
            let t = 100.05 + end(n) * f64::from(k + 1) / f64::from(pieces);
            let piece = (n * 7 + k * 13) % pieces;
            line(
                json!({ "t": t, "event": "piece", "peer": peer, "distribution": "d0", "piece": piece, "have": k + 1 }),
            );
        }
        let t = 100.05 + end(n);
        line(json!({ "t": t, "event": "completed", "peer": peer, "distribution": "d0", "bytes": 1, "path": "x" }));
    }
    for n in 0..LOOKUPS {
        let (peer, owner) = (n % peers + 1, (n * 7) % peers + 2);
        let found = json!({ "owner": owner, "predecessor": owner.max(3) - 1, "hops": n % 5, "timeouts": 0, "tries": 1,
            "seconds": 0.02 * f64::from(n % 5 + 1) });
        let t = 101.0 + f64::from(n) / 20.0;
        line(
            json!({ "t": t, "event": "ring", "peer": format!("home-{peer}"), "what": "looked-up", "request": n, "found": found }),
        );
    }
    line(json!({ "t": 119.0, "event": "step-ended", "step": 0, "action": "distribute" }));
    text
}

fn peer_samples(peers: u32, pieces: u32) -> String {
    let mut text = String::new();
    for second in 1..=18_u32 {
        for n in 0..=peers {
            let (name, role, rate) = if n == 0 {
                ("origin".to_owned(), "seed", 2_400_000)
            } else {
                (format!("home-{n}"), "leecher", 230_000)
            };
            let line = if n == 0 { 20_000_000.0 } else { 2_000_000.0 };
            let wire = f64::from(rate * second) * 1.05;
            let uplink = json!({ "rate_bps": line as u64, "seconds": second, "wire_bytes": wire as u64, "datagrams": second * 9,
                "lost_bytes": 900 * second, "idle_waiting_seconds": 0.01 * f64::from(second), "idle_seconds": 0.0 });
            let senders = (1..=10).map(|k| ((n + k * 7) % (peers + 1) + 1, 3000 * k * second)).filter(|_| n > 0);
            let received: serde_json::Map<String, Value> = senders
                .map(|(sender, useful)| (sender.to_string(), json!({ "useful": useful, "wasted": 0 })))
                .collect();
            let part = json!({ "role": role, "have": pieces * second / 18, "pieces": pieces, "bytes_up": rate * second,
                "uplink": uplink, "received": received });
            let mut sample = json!({ "t": 100.05 + f64::from(second), "name": name, "distributions": { "d0": part } });
            if n > 0 {
                sample["ring"] = seat(n, peers);
            }
            let _ = writeln!(text, "{sample}");
        }
    }
    text
}

/// A node of a ring of all homes, evenly spread over 2^16 points, with a finger at each power of two.
fn seat(n: u32, peers: u32) -> Value {
    let after = |by: u32| (n - 1 + by) % peers + 2;
    let fingers: Vec<u32> = (0..).map(|k| 1 << k).take_while(|by| *by < peers).map(after).collect();
    json!({ "ring": RING, "point": ((n - 1) * 65_536 / peers).to_string(), "successors": [after(1), after(2)],
        "predecessor": after(peers - 1), "fingers": fingers })
}

fn host_samples() -> String {
    (1..=19)
        .map(|second| {
            let busy = 0.3 + f64::from(second % 5) / 10.0;
            let window = json!({ "t": 100 + second, "seconds": 1.0, "busy": busy, "steal": 0.01, "pressure": 0.2,
                "lateness": 0.002, "measuring": true });
            format!("{window}\n")
        })
        .collect()
}

/// The only file of `directory` that ends in `name`.
pub(crate) fn file(directory: &RunDirectory, name: &str) -> PathBuf {
    directory.root().join(name)
}
