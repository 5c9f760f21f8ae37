//! What planning makes of a topology: defaults, overrides, names, addresses, and choices by the seed.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panicking")]

use peerbed_orchestrator::{
    plan::{self, Action, Content, Plan, Queue, SwarmRole, When},
    theory,
    topology::{self, sweep},
    units::Span,
};
use peerbed_peer::config::Congestion;
use peerbed_proto::{
    PeerId,
    swarm::{Choking, Upload},
};

#[test]
fn what_is_left_open_gets_its_documented_default() {
    let plan = plan("");
    let link = |name: &str| plan.links.iter().find(|link| link.name == name).unwrap().clone();
    assert_eq!(link("server").up.queue, Queue::Time(span("100ms")));
    // 30 full packets at 2 Mbit/s last 180 ms.
    assert_eq!(link("home").up.queue, Queue::Packets(30));
    assert_eq!(link("home").up.loss.burst, 1);
    assert_eq!(plan.files[0].piece.to_string(), "256KiB");
    let tracker = plan.peers[0].tracker.clone().unwrap();
    assert_eq!((tracker.interval, tracker.answer_max), (span("30s"), 50));
    assert_eq!((plan.seed, plan.peers[1].present, plan.peers[1].swarm), (1, true, Some(SwarmRole::Leecher)));
    // 60 s + 10 × 16.8 s.
    assert_eq!(plan.timeout, span("228s"));
}

#[test]
fn peers_are_named_numbered_and_addressed_in_the_order_of_the_groups() {
    let plan = plan("");
    let peer = |index: usize| (plan.peers[index].id.0, plan.peers[index].name.as_str(), plan.peers[index].address);
    assert_eq!(peer(0), (1, "origin", [198, 18, 0, 1].into()));
    assert_eq!(peer(10), (11, "home-10", [198, 18, 0, 11].into()));
    let mut seeds: Vec<u64> = plan.peers.iter().map(|peer| peer.seed).collect();
    seeds.sort_unstable();
    seeds.dedup();
    assert_eq!(seeds.len(), 11, "every peer has a seed of its own");
}

#[test]
fn directions_override_links_and_links_override_presets() {
    let links = "
  home:
    preset: cable
    rtt: 30ms
    loss: 1%
    up: { rate: 3mbit, loss: { average: 2%, burst: 5 }, queue: 20 packets }
    down: unshaped
  server: { up: 20mbit, delay: 1ms }";
    let text = TEXT.replace("\n  server: { up: 20mbit, down: 20mbit }\n  home: { up: 2mbit, down: 20mbit }", links);
    let plan = resolve(&text);
    let home = &plan.links[0];
    assert_eq!(home.up.rate.unwrap().to_string(), "3mbit");
    assert_eq!((home.up.delay, home.down.delay), (span("15ms"), span("15ms")));
    assert_eq!((home.up.loss.average.to_string(), home.up.loss.burst), ("2%".into(), 5));
    assert_eq!((home.down.loss.average.to_string(), home.down.loss.burst), ("1%".into(), 1));
    assert_eq!((home.up.queue, home.down.rate), (Queue::Packets(20), None));
    assert_eq!((plan.links[1].up.delay, plan.links[1].down.rate), (span("1ms"), None));
    assert_eq!(Plan::from_yaml(&plan.to_yaml().unwrap()).unwrap(), plan, "unshaped directions survive too");
}

#[test]
fn presets_have_the_figures_of_their_sources() {
    for preset in topology::PRESETS {
        let text = TEXT.replace("home: { up: 2mbit, down: 20mbit }", &format!("home: {{ preset: {} }}", preset.name));
        let plan = resolve(&text);
        let home = plan.links.iter().find(|link| link.name == "home").unwrap();
        assert_eq!((home.up.rate, home.down.rate), (Some(preset.up), Some(preset.down)), "{}", preset.name);
        assert_eq!(home.up.delay, preset.delay, "{}", preset.name);
        assert!(preset.source.len() > 20, "{} names no source", preset.name);
    }
}

#[test]
fn latencies_hold_both_ways_unless_both_are_given() {
    let regions = "regions:\n  eu: { us: 40ms, asia: 110ms, eu: 2ms }\n  us: { eu: 50ms, moon: 1s }\n";
    let text = TEXT
        .replace("groups:", &format!("{regions}groups:"))
        .replace("origin: {", "origin: { region: eu,")
        .replace("home: { count", "home: { region: us, count");
    let plan = resolve(&text);
    let latencies: Vec<String> =
        plan.latencies.iter().map(|it| format!("{}>{} {}", it.from, it.to, it.delay)).collect();
    assert_eq!(latencies, ["eu>eu 2ms", "eu>us 40ms", "us>eu 50ms"], "only of regions that somebody is in");
    let matrix = plan::matrix(&plan);
    assert!(matrix.contains("90ms, 2mbit"), "there 40 ms, back 50 ms:\n{matrix}");
}

#[test]
fn steps_follow_one_another_unless_they_say_otherwise() {
    let plan = plan(
        "  - wait: { for: 5s }
  - at: 20s
    crash: { peers: home-1 }
  - after: release
    leave: { peers: [home-3, home-2] }
  - when: distribution.release.swarm.progress >= 50%
    join: { peers: home-1 }
",
    );
    let whens: Vec<&When> = plan.steps.iter().map(|step| &step.when).collect();
    let condition = When::Condition("distribution.release.swarm.progress >= 50%".into());
    let expected =
        [When::At(Span::default()), When::AfterStep(0), When::At(span("20s")), When::AfterStep(0), condition];
    assert_eq!(whens, expected.iter().collect::<Vec<_>>());
    assert_eq!(plan.steps[3].action, Action::Leave(vec![PeerId(3), PeerId(4)]), "in the order of the plan");
    let Action::Distribute(distribute) = &plan.steps[0].action else { panic!() };
    assert_eq!((distribute.id.as_str(), distribute.tracker, distribute.to.len()), ("d0", Some(PeerId(1)), 10));
}

#[test]
fn peers_to_crash_are_chosen_by_the_seed_among_those_that_are_up() {
    let crashes = |seed: u64| -> Vec<Vec<PeerId>> {
        let steps = "  - crash: { peers: home, count: 4 }\n  - crash: { peers: home, count: 4 }\n  - join: { peers: home, count: 8 }\n";
        let plan = resolve(&(TEXT.replace("name: test", &format!("name: test\nseed: {seed}")) + steps));
        plan.steps[1..]
            .iter()
            .map(|step| {
                let (Action::Crash(peers) | Action::Join(peers)) = &step.action else { panic!("{step:?}") };
                peers.clone()
            })
            .collect()
    };
    let chosen = crashes(1);
    assert_eq!(chosen, crashes(1));
    assert_ne!(chosen, crashes(2));
    let mut all = [chosen[0].clone(), chosen[1].clone()].concat();
    all.sort_unstable();
    assert_eq!(all, chosen[2], "who crashed is who is down, and nobody crashed twice");
}

#[test]
fn options_keep_the_protocols_defaults_unless_given() {
    let text = TEXT.replace(
        "via: swarm }",
        "via: swarm, options: { regular-slots: 2, choke-interval: 500ms, refill: at-round } }",
    );
    let Action::Distribute(distribute) = resolve(&text).steps.remove(0).action else { panic!() };
    let options = distribute.options.unwrap();
    let defaults = peerbed_proto::swarm::Options::default();
    assert_eq!((options.regular_slots, options.choke_interval.as_millis()), (2, 500));
    assert_eq!(options.optimistic_interval, defaults.optimistic_interval);
    assert_ne!(options.refill, defaults.refill);
}

#[test]
fn options_of_a_group_count_more_than_those_of_the_distribution() {
    let text = TEXT
        .replace("via: swarm }", "via: swarm, options: { regular-slots: 2, choking: none } }")
        .replace("swarm: leecher", "swarm: leecher, congestion: bbr, options: { upload: never, regular-slots: 3 }");
    let mut plan = resolve(&text);
    assert_eq!(plan.peers.iter().filter(|peer| peer.congestion == Congestion::Bbr).count(), plan.peers.len() - 1);
    let Action::Distribute(distribute) = plan.steps.remove(0).action else { panic!() };
    let (seed, rider) = (distribute.options_of(distribute.from[0]), distribute.options_of(distribute.to[0]));
    assert_eq!((seed.regular_slots, seed.upload, seed.choking), (2, Upload::Always, Choking::None));
    assert_eq!((rider.regular_slots, rider.upload, rider.choking), (3, Upload::Never, Choking::None));
    assert!(distribute.is_free_rider(distribute.to[0]) && !distribute.is_free_rider(distribute.from[0]));
}

#[test]
fn free_riders_count_with_no_upload_in_the_bound() {
    let bound = |text: &str| {
        let mut plan = resolve(text);
        let Action::Distribute(distribute) = plan.steps.remove(0).action else { panic!() };
        let everyone = distribute.to.iter().copied().collect();
        theory::bound(&plan, &distribute, &everyone, 8 << 20).unwrap().seconds
    };
    let riding = TEXT.replace("swarm: leecher", "swarm: leecher, options: { upload: never }");
    assert!(bound(&riding) > 1.05 * bound(TEXT), "{} and {}", bound(&riding), bound(TEXT));
}

#[test]
fn a_client_server_distribution_has_no_tracker_and_no_options() {
    let Action::Distribute(distribute) =
        resolve(&TEXT.replace("via: swarm", "via: client-server")).steps.remove(0).action
    else {
        panic!()
    };
    assert_eq!((distribute.tracker, distribute.options), (None, None));
}

#[test]
fn a_real_file_is_named_and_not_looked_at() {
    let plan = resolve(&TEXT.replace("size: 8MiB", "path: ../no/such/file"));
    assert_eq!(plan.files[0].content, Content::Path("../no/such/file".into()));
    assert_eq!(plan.timeout, span("660s"), "60 s, and ten minutes for a file of unknown size");
}

#[test]
fn anchors_and_merge_keys_save_repetition() {
    let text = TEXT
        .replace("links:", "x-fast: &fast { up: 20mbit, down: 20mbit }\nlinks:")
        .replace("server: { up: 20mbit, down: 20mbit }", "server: { <<: *fast, delay: 1ms }");
    let plan = resolve(&text);
    assert_eq!(plan.links[0].up.rate, plan.links[0].down.rate);
    assert_eq!(plan.links[0].up.delay, span("1ms"));
}

#[test]
fn a_sweep_varies_the_last_path_fastest_and_repeats_the_whole() {
    let text = TEXT.to_owned() + "sweep:\n  groups.home.count: [1, 2]\n  timeout: [1m, 2m]\n  repeat: 2\n";
    let runs = sweep::expand(&topology::read("test.yaml", &text).unwrap()).unwrap();
    let labels: Vec<String> = runs.iter().map(|(combination, _)| combination.to_string()).collect();
    assert_eq!(
        labels[..5],
        [
            "groups.home.count=1 timeout=1m #1",
            "groups.home.count=1 timeout=2m #1",
            "groups.home.count=2 timeout=1m #1",
            "groups.home.count=2 timeout=2m #1",
            "groups.home.count=1 timeout=1m #2",
        ]
    );
    let seeds: Vec<u64> = runs.iter().map(|(_, plan)| plan.seed).collect();
    assert_eq!(seeds[..4], [1; 4], "the first repetition has the topology's own seed");
    assert!(seeds[4] != 1 && seeds[4] == seeds[7], "{seeds:?}");
    assert_eq!(runs[0].0.values["groups.home.count"], 1, "numbers stay numbers");
    assert_eq!((runs[1].1.timeout, runs[2].1.peers.len()), (span("2m"), 3));
    assert_eq!(runs[0].1.peers[1].name, "home", "one peer has no number");
}

#[test]
fn a_large_plan_is_made_and_read_back() {
    let plan = resolve(&TEXT.replace("count: 10", "count: 3000"));
    assert_eq!(plan.peers[3000].address.to_string(), "198.18.11.185");
    assert_eq!(Plan::from_yaml(&plan.to_yaml().unwrap()).unwrap(), plan);
}

#[test]
fn the_largest_topology_there_can_be_is_planned() {
    let plan = resolve(&TEXT.replace("count: 10", "count: 131068"));
    assert_eq!(plan.peers.last().unwrap().address.to_string(), "198.19.255.253");
}

const TEXT: &str = "version: 1
name: test
links:
  server: { up: 20mbit, down: 20mbit }
  home: { up: 2mbit, down: 20mbit }
groups:
  origin: { link: server, swarm: seed, tracker: {} }
  home: { count: 10, link: home, swarm: leecher }
files:
  release: { size: 8MiB }
scenario:
  - distribute: { file: release, from: origin, to: home, via: swarm }
";

/// The plan of the text with further steps.
fn plan(steps: &str) -> Plan {
    resolve(&(TEXT.to_owned() + steps))
}

fn resolve(text: &str) -> Plan {
    let topology = topology::read("test.yaml", text).unwrap_or_else(|problems| panic!("{problems}"));
    plan::resolve(&topology).unwrap_or_else(|problems| panic!("{problems}"))
}

fn span(text: &str) -> Span {
    text.parse().unwrap()
}
