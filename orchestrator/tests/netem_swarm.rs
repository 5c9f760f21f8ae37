//! A swarm over links with delay and loss, run by the built `peerbed` with the kernel engine; and, with both engines, while
//! the network changes.
//!
//! The verdict is about the host and not about the links. A guest has one slow processor whose clock belongs to another
//! machine, so that its runs may well be judged `invalid` (exit code 4). This test accepts 0 and 4, and holds what the
//! expectations would have held: everybody has the file, verified, and not faster than theory allows. For the same reason
//! the run's own probes, whose tolerances are for hosts, are left out in a guest; disciplines are read back all the same.
#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "tests tell what they measured, and fail where they stand"
)]

mod real_support;
mod run_support;

use peerbed_orchestrator::real::features::{Feature, probe};
use real_support::{has, is_guest};
use run_support::{Place, can_run, code, stderr, stdout};

const SWARM: &str = "\
version: 1
name: rough
timeout: 300s
engine: kernel
links:
  server: { up: 20mbit, down: 20mbit, delay: 2ms }
  home: { up: 4mbit, down: 20mbit, delay: 20ms, jitter: { amount: 2ms, distribution: normal }, loss: 1%, corrupt: 0.1% }
regions:
  eu: { us: 40ms }
groups:
  origin: { link: server, region: eu, swarm: seed, tracker: {} }
  near: { count: 2, link: home, region: eu, swarm: leecher }
  far: { count: 2, link: home, region: us, swarm: leecher }
files:
  blob: { size: 2MiB, piece: 256KiB }
scenario:
  - distribute: { file: blob, from: origin, to: [near, far], via: swarm }
expect:
  - distribution.blob.completed >= 100%
";

#[test]
fn a_swarm_completes_over_links_with_delay_and_loss() {
    if !can_run() || !has(&[Feature::Netem]) {
        return;
    }
    let place = Place::with(SWARM);
    let unverified = if is_guest() { &["--no-verify"][..] } else { &[] };
    let run = place.command().arg("--quiet").args(unverified).output().unwrap();
    assert!([0, 4].contains(&code(&run)), "{}{}", stdout(&run), stderr(&run));
    let results = place.results();
    assert_eq!((results["outcome"].as_str(), results["engine"].as_str()), (Some("finished"), Some("kernel")));
    let distribution = &results["distributions"][0];
    println!(
        "4 peers in {} s, bound {} s, verdict {}, exit code {}",
        distribution["seconds"],
        distribution["bound_seconds"],
        results["verdict"]["state"],
        code(&run)
    );
    let completions = distribution["completions"].as_array().unwrap();
    assert!(completions.len() == 4 && completions.iter().all(|c| c["verified"] == true), "{distribution}");
    assert!(distribution["ratio"].as_f64().unwrap() >= 1.0, "{distribution}");
}

/// As [`SWARM`], while regions are apart for a second and links get worse, better, go down and come up again.
const CHANGES: &str = "
  - at: 1s
    partition: { sides: [eu, us], name: ocean }
  - wait: { for: 1s }
  - heal: { partition: ocean }
  - link: { peers: near, delay: +30ms, loss: +2%, up: x0.5, down: { jitter: 8ms } }
  - link: { peers: near, reset: true }
  - flap: { peers: far, down-for: 400ms }
expect:
";

#[test]
fn a_swarm_completes_while_its_network_changes_and_every_change_is_proved() {
    if !can_run() {
        return;
    }
    let has_tun = probe(&[Feature::Tun]).unwrap()[0].1.is_none();
    let engines = [("kernel", has(&[Feature::Netem])), ("user", has_tun)];
    for (engine, _) in engines.into_iter().filter(|(_, is_there)| *is_there) {
        let topology = SWARM.replace("engine: kernel", &format!("engine: {engine}"));
        let place = Place::with(&topology.replace("\nexpect:\n", CHANGES));
        let run = place.command().arg("--quiet").output().unwrap();
        assert!([0, 4].contains(&code(&run)), "{engine}: {}{}", stdout(&run), stderr(&run));
        let results = place.results();
        let distribution = &results["distributions"][0];
        println!("{engine}: {} s, verdict {}", distribution["seconds"], results["verdict"]["state"]);
        let completions = distribution["completions"].as_array().unwrap();
        assert!(completions.len() == 4 && completions.iter().all(|c| c["verified"] == true), "{distribution}");
        let changes = results["changes"].as_array().unwrap();
        let actions: Vec<&str> = changes.iter().map(|change| change["action"].as_str().unwrap()).collect();
        assert_eq!(actions, ["partition", "heal", "link", "link", "link", "link"], "{engine}");
        for change in changes {
            println!("{engine}: {change}");
            assert!(change["proof"].is_object(), "{engine}: {change}");
        }
        let delayed = &changes[2]["proof"]["numbers"];
        assert_eq!(delayed["near-1 to (vantage): asked_seconds"], 0.05, "{engine}: {delayed}");
    }
}
