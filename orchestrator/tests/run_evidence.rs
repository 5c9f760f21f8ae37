//! `run --pcap` and `--qlog`: what is kept of which run, and whether tshark can read it.
#![expect(clippy::print_stdout, clippy::unwrap_used, reason = "tests tell what they skip, and fail where they stand")]

mod run_support;
mod tools;

use std::{fs, path::Path, process::Command};

use run_support::{Place, can_run, code, output, stderr};

#[test]
fn tshark_decodes_a_captured_run_as_quic_with_the_key_log() {
    if !can_run() {
        return;
    }
    let place = Place::with(&topology(""));
    let done = place.command().args(["--pcap", "home-1", "--qlog", "home", "--keep-evidence"]).output().unwrap();
    assert!(matches!(code(&done), 0 | 4), "{}", stderr(&done));
    let peer = place.run().join("peers/home-1");
    let (packets, keys) = (peer.join("packets.pcap"), peer.join("keys.log"));
    assert!(fs::metadata(&packets).unwrap().len() > 1 << 20, "a MiB went to this peer");
    assert!(fs::read_to_string(&keys).unwrap().contains("CLIENT_TRAFFIC_SECRET_0 "));
    for other in ["home-2", "origin"] {
        assert!(!place.run().join("peers").join(other).join("keys.log").exists(), "nobody asked for {other}'s");
    }
    let qlog = fs::read_to_string(place.run().join("peers/home-2/connections.sqlog")).unwrap();
    let records: Vec<&str> = qlog.split('\u{1e}').filter(|record| !record.trim().is_empty()).collect();
    assert!(records.len() > 100 && records[0].contains("qlog"), "{:?}", records.first());
    for record in records.iter().take(100) {
        serde_json::from_str::<serde_json::Value>(record).unwrap();
    }

    let Some(seen) = tshark(&packets, Some(&keys), "quic.stream_data") else { return };
    let plain = tshark(&packets, None, "quic.stream_data").unwrap();
    println!("{seen} packets with streams with the key log, {plain} without");
    assert!(seen > 500 && plain == 0, "{seen}, {plain}");
    assert!(tshark(&packets, None, "quic").unwrap() >= seen, "all of them are QUIC");
}

#[test]
fn evidence_of_a_run_that_passes_is_kept_around_faults_only() {
    if !can_run() {
        return;
    }
    for (fault, expectation, is_kept) in [
        ("", "distribution.blob.completed >= 100%", false),
        ("  - at: 500ms\n    crash: { peers: [home-2] }\n", "distribution.blob.completed >= 100%", true),
        ("", "distribution.blob.seconds <= 0.001", true),
    ] {
        let place = Place::with(&topology(&format!("{fault}expect:\n  - {expectation}\n")));
        let done = place.command().args(["--pcap", "home-1", "--qlog", "home-1"]).output().unwrap();
        let peer = place.run().join("peers/home-1");
        // A host too busy to judge anything is a reason to keep it as well.
        let is_kept = is_kept || code(&done) == 4;
        for name in ["packets.pcap", "keys.log", "connections.sqlog"] {
            assert_eq!(peer.join(name).exists(), is_kept, "{name} with {expectation}{fault}: {}", stderr(&done));
        }
    }
}

#[test]
fn a_name_that_means_nobody_is_refused_before_anything_is_made() {
    let place = Place::with(&topology(""));
    let done = output(["run".as_ref(), place.topology().as_os_str(), "--pcap".as_ref(), "hom-1".as_ref()]);
    assert_eq!(code(&done), 2);
    let said = stderr(&done);
    assert!(said.contains("--pcap: there is no group and no peer called `hom-1`") && said.contains("home-1"), "{said}");
}

/// How many packets of a capture the filter lets through; none where there is no tshark.
fn tshark(packets: &Path, keys: Option<&Path>, filter: &str) -> Option<usize> {
    let mut command = Command::new(tools::find(&["tshark"], "tshark")?);
    command.arg("-r").arg(packets).args([
        "-d",
        "udp.port==4433,quic",
        "-Y",
        filter,
        "-T",
        "fields",
        "-e",
        "frame.number",
    ]);
    command.args(keys.map(|keys| format!("-otls.keylog_file:{}", keys.display())));
    let done = command.output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    Some(String::from_utf8_lossy(&done.stdout).lines().count())
}

/// A small swarm, with more steps and expectations behind.
fn topology(rest: &str) -> String {
    format!(
        "
version: 1
name: evidence
links:
  home: {{ up: 10mbit, down: 20mbit }}
groups:
  origin: {{ link: home, swarm: seed, tracker: {{}} }}
  home: {{ count: 3, link: home, swarm: leecher }}
files:
  blob: {{ size: 2MiB }}
scenario:
  - at: 0s
    distribute: {{ file: blob, from: origin, to: home, via: swarm }}
{rest}"
    )
}
