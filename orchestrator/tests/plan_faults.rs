//! What steps that disturb the network, traces, programs and ready regions come to in the plan.

#![expect(clippy::unwrap_used, reason = "a topology that does not plan fails the test")]

use std::io;

use peerbed_orchestrator::{
    plan::{
        self, Action, Changes, Completion, CutDirection, Discipline, EngineChoice, ExpectedExit, Jitter, LinkState,
        Loss, NewRate, Order, Partition, Plan, Queue, Ready, Shape, Step, TracePoint, When,
    },
    schema, topology,
    units::{Rate, Share, Size, Span},
};
use peerbed_proto::{PeerId, Random};

const HEAD: &str = "version: 1
name: test
engine: user
links:
  server: { up: 20mbit, down: 20mbit, delay: 2ms }
  home:
    up: 2mbit
    down: { rate: 20mbit, queue: { length: 64KiB, discipline: codel, interval: 50ms }, trace: { file: lte.csv, repeat: 10s } }
    delay: 10ms
    overhead: 38
    jitter: { amount: 2ms, distribution: pareto, keep-order: true }
    loss: { average: 1%, burst: 4 }
    corrupt: 0.5%
regions:
  preset: world-16
  tokyo: { virginia: 80ms }
groups:
  origin: { link: server, region: virginia, swarm: seed, tracker: {} }
  home: { count: 4, link: home, region: tokyo, swarm: leecher }
  tool:
    count: 2
    link: server
    region: virginia
    exec:
      command: \"{directory}/run\"
      arguments: [--me, \"{name}@{address}:{id}\", --others, \"{peers}\", --seed, \"{address.origin}\", \"{peers.home}\", \"{file.release}\", \"{'a':1}\"]
      environment: { GROUP: \"{group}\" }
      ready: { tcp: 5201 }
      complete: { file: \"{directory}/out\", same-as: release }
files:
  release: { size: 8MiB }
scenario:
  - distribute: { file: release, from: origin, to: home, via: swarm }
";

const TRACE: &str = "time,rate,loss\n1s,8mbit,0%\n3s,0kbit,2%\n";

#[test]
fn every_setting_of_a_link_reaches_the_plan() {
    let plan = resolve("");
    assert_eq!(plan.engine, EngineChoice::User);
    let home = plan.links.iter().find(|link| link.name == "home").unwrap();
    let jitter = Jitter { amount: span("2ms"), shape: Shape::Pareto, order: Order::Kept };
    assert_eq!((home.up.overhead, home.up.jitter, home.up.corrupt), (38, jitter, Share(5_000_000)));
    assert_eq!((home.up.discipline, &home.up.trace), (Discipline::DropTail, &None));
    assert_eq!(home.down.queue, Queue::Bytes(Size(64 << 10)));
    assert_eq!(home.down.discipline, Discipline::CoDel { target: span("5ms"), interval: span("50ms") });
    let trace = home.down.trace.as_ref().unwrap();
    assert_eq!((trace.repeat, trace.points.len()), (Some(span("10s")), 2));
    let outage = TracePoint { at: span("3s"), rate: Rate(0), delay: None, loss: Some(Share(20_000_000)) };
    assert_eq!(trace.points[1], outage);
    let printed = plan::matrix(&plan);
    for part in ["jitter 2ms, Pareto, in order", "corrupted 0.5%", "38 bytes", "CoDel 5ms in 50ms", "again every 10s"] {
        assert!(printed.contains(part), "{part:?} is missing from\n{printed}");
    }
}

#[test]
fn ready_regions_give_way_to_what_is_written() {
    let plan = resolve("");
    let latency = |from: &str, to: &str| {
        plan.latencies.iter().find(|it| it.from == from && it.to == to).map(|latency| latency.delay)
    };
    assert_eq!(latency("tokyo", "virginia"), Some(span("80ms")));
    assert_eq!(latency("virginia", "tokyo"), Some(span("80ms")), "both ways unless both are given");
    assert_eq!(plan.latencies.len(), 2, "only regions that peers are in");
}

#[test]
fn relative_figures_are_absolute_in_the_plan_for_each_class_of_link() {
    let plan = resolve(
        "  - link: { peers: [home-2, origin], up: x0.5, delay: +40ms, loss: x2, jitter: x0.5, state: up, reset: true }
  - link: { peers: home, count: 2, down: { rate: unshaped, queue: 30 packets, delay: 1s }, delay: 2s }\n",
    );
    let Action::Link(changes) = &plan.steps[1].action else { panic!("{:?}", plan.steps[1]) };
    let [server, home] = changes.as_slice() else { panic!("{changes:?}") };
    assert_eq!((&server.peers[..], &home.peers[..]), (&[PeerId(1)][..], &[PeerId(3)][..]));
    assert!(home.reset);
    let expected = Changes {
        state: Some(LinkState::Up),
        rate: Some(NewRate::Limited(Rate(1_000_000))),
        delay: Some(span("50ms")),
        jitter: Some(Jitter { amount: span("1ms"), shape: Shape::Pareto, order: Order::Kept }),
        loss: Some(Loss { average: Share(20_000_000), burst: 4 }),
        ..Changes::default()
    };
    assert_eq!(home.up, expected);
    assert_eq!(home.down, Changes { rate: None, ..expected });
    assert_eq!(server.up.delay, Some(span("42ms")));
    let Action::Link(changes) = &plan.steps[2].action else { panic!("{:?}", plan.steps[2]) };
    assert_eq!((changes.len(), changes[0].peers.len(), changes[0].reset), (1, 2, false));
    assert_eq!((changes[0].up.delay, changes[0].down.delay), (Some(span("2s")), Some(span("1s"))));
    assert_eq!((changes[0].down.rate, changes[0].down.queue), (Some(NewRate::Unshaped), Some(Queue::Packets(30))));
}

#[test]
fn a_link_that_would_have_jitter_below_nothing_is_refused() {
    // `server` has no jitter to take away from.
    let text = format!("{HEAD}  - link: {{ peers: origin, jitter: -1ms }}\nexpect:\n  - verdict is valid\n");
    let problems = topology::read_with("test.yaml", &text, &lookup).unwrap_err();
    assert!(problems.items[0].message.contains("beyond what a jitter can be"), "{problems}");
}

#[test]
fn a_flap_becomes_steps_and_what_follows_waits_for_the_last_of_them() {
    let plan = resolve(
        "  - at: 5s
    flap: { peers: home-1, down-for: 2s, up-for: 8s, times: 2 }
  - wait: { for: 1s }
  - after: release
    heal: {}
  - partition: { sides: [home] }\n",
    );
    let whens: Vec<&When> = plan.steps.iter().map(|step| &step.when).collect();
    let after = When::AfterStep;
    let at = When::At(span("5s"));
    let first = When::At(Span::default());
    let expected = [
        &first,
        &at,
        &after(1),
        &after(2),
        &after(3),
        &after(4),
        &after(5),
        &after(6),
        &after(7),
        &after(0),
        &after(9),
    ];
    assert_eq!(whens, expected);
    let states: Vec<_> = plan.steps[1..8].iter().map(state).collect();
    use LinkState::{Down, Up};
    let wait = |text| Err(span(text));
    assert_eq!(states, [Ok(Down), wait("2s"), Ok(Up), wait("8s"), Ok(Down), wait("2s"), Ok(Up)]);
}

/// The state that a step gives links, or how long it waits.
fn state(step: &Step) -> Result<LinkState, Span> {
    if let Action::Wait(span) = step.action {
        return Err(span);
    }
    let Action::Link(changes) = &step.action else { panic!("{step:?}") };
    assert_eq!(changes[0].up, changes[0].down);
    Ok(changes[0].up.state.unwrap())
}

#[test]
fn sides_are_peers_whether_groups_peers_or_regions_are_named() {
    let plan = resolve(
        "  - partition: { sides: [home-1, [origin, home-3]], direction: one-way, name: split }
  - partition: { sides: [virginia, tokyo] }
  - partition: { sides: [[home-2, tool]] }
  - heal: { partition: split }
  - heal: {}\n",
    );
    let partitions: Vec<&Partition> = plan
        .steps
        .iter()
        .filter_map(|step| if let Action::Partition(partition) = &step.action { Some(partition) } else { None })
        .collect();
    let ids = |sides: &[&[u32]]| -> Vec<Vec<PeerId>> {
        sides.iter().map(|side| side.iter().copied().map(PeerId).collect()).collect()
    };
    assert_eq!(partitions[0].sides, ids(&[&[2], &[1, 4]]));
    assert_eq!((partitions[0].direction, partitions[0].name.as_str()), (CutDirection::OneWay, "split"));
    assert_eq!(partitions[1].sides, ids(&[&[1, 6, 7], &[2, 3, 4, 5]]));
    assert_eq!(partitions[2].sides, ids(&[&[3, 6, 7], &[1, 2, 4, 5]]), "one side against everybody else");
    assert_eq!(partitions[2].name, "p2");
    assert_eq!(plan.steps[4].action, Action::Heal { partition: Some("split".into()) });
    assert_eq!(plan.steps[5].action, Action::Heal { partition: None });
}

#[test]
fn peers_to_resume_are_chosen_among_the_paused() {
    let plan = resolve(
        "  - pause: { peers: home, count: 2 }
  - pause: { peers: home, count: 2 }
  - crash: { peers: home-1 }
  - resume: { peers: home, count: 3 }\n",
    );
    let chosen = |step: usize| {
        let (Action::Pause(peers) | Action::Resume(peers)) = &plan.steps[step].action else { panic!("step {step}") };
        peers.clone()
    };
    let mut paused = [chosen(1), chosen(2)].concat();
    paused.sort_unstable();
    assert_eq!(paused, [2, 3, 4, 5].map(PeerId), "nobody twice");
    assert_eq!(chosen(4), [3, 4, 5].map(PeerId), "who crashed is not paused any more");
}

#[test]
fn a_program_knows_its_place_and_leaves_paths_to_the_testbed() {
    let plan = resolve("  - wait: { programs: tool-2 }\n");
    assert_eq!(plan.steps[1].action, Action::Await(vec![PeerId(7)]));
    let program = plan.peers[6].exec.as_ref().unwrap();
    assert_eq!(program.command, "{directory}/run");
    let homes = "198.18.0.2,198.18.0.3,198.18.0.4,198.18.0.5";
    let expected = [
        "--me",
        "tool-2@198.18.0.7:7",
        "--others",
        "198.18.0.6",
        "--seed",
        "198.18.0.1",
        homes,
        "{file.release}",
        "{'a':1}",
    ];
    assert_eq!(program.arguments, expected);
    assert_eq!(program.environment["GROUP"], "tool");
    assert_eq!((&program.ready, program.ready_within), (&Ready::Tcp(5201), span("30s")));
    let complete = Completion::File { path: "{directory}/out".into(), same_as: Some("release".into()) };
    assert_eq!((program.complete.as_ref(), program.exit), (Some(&complete), ExpectedExit::Code(0)));
    assert!(plan.peers[0].exec.is_none());
}

#[test]
#[expect(clippy::print_stdout, reason = "the seed repeats a failure")]
fn plans_of_random_scenarios_fit_the_schema_and_survive_being_written_and_read() {
    let seed = std::env::var("SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(1);
    println!("SEED={seed}");
    let mut random = Random::new(seed, "scenarios");
    let validator = jsonschema::validator_for(&schema::schema()).unwrap();
    for _ in 0..200 {
        let steps: String = (0..1 + random.below(6)).map(|_| step(&mut random)).collect();
        let plan = resolve(&steps);
        let written = serde_saphyr::from_str(&text(&steps)).unwrap();
        let errors: Vec<String> = validator.iter_errors(&written).map(|error| error.to_string()).collect();
        assert!(errors.is_empty(), "the schema refuses what the readers take: {errors:#?}\n{steps}");
        let yaml = plan.to_yaml().unwrap();
        let read = Plan::from_yaml(&yaml).unwrap_or_else(|error| panic!("{error:#}\n{steps}\n{yaml}"));
        assert_eq!(read, plan, "{steps}");
        assert_eq!(read.to_yaml().unwrap(), yaml);
    }
}

/// A step that is possible whatever comes before it.
fn step(random: &mut Random) -> String {
    let mut pick = |of: &[&str]| of[random.below(of.len())].to_owned();
    let peers = pick(&["home", "origin", "home-3", "[tool, home-1]", "home, count: 3"]);
    let figures = [
        pick(&["", "up: 3mbit, ", "up: x1.5, ", "up: +100kbit, ", "up: { rate: unshaped, state: down }, "]),
        pick(&["", "delay: 5ms, ", "delay: +5us, ", "delay: x0.333333, "]),
        pick(&["", "loss: 3%, ", "loss: { average: 5%, burst: 3 }, ", "loss: +0.1%, "]),
        pick(&["", "jitter: { amount: 1ms, distribution: normal }, ", "jitter: x2, ", "corrupt: 2%, overhead: 20, "]),
        pick(&["", "queue: 20 packets, ", "queue: { discipline: codel }, ", "queue: 30ms, "]),
        pick(&["state: up", "state: down", "reset: true"]),
    ];
    match pick(&["link", "flap", "partition", "pause", "wait"]).as_str() {
        "link" => format!("  - link: {{ peers: {peers}, {} }}\n", figures.concat()),
        "flap" => format!("  - flap: {{ peers: {peers}, down-for: 2s, times: {} }}\n", pick(&["1", "3"])),
        "partition" => {
            let sides = pick(&["[home]", "[tokyo, virginia]", "[home-1, [home-2, origin]]", "[origin, home, tool]"]);
            format!("  - partition: {{ sides: {sides} }}\n  - heal: {{}}\n")
        }
        "pause" => "  - pause: { peers: home-2 }\n  - resume: { peers: home-2 }\n".to_owned(),
        _ => format!("  - wait: {{ {} }}\n", pick(&["for: 1500ms", "programs: tool", "programs: [tool-1, tool-2]"])),
    }
}

fn resolve(steps: &str) -> Plan {
    let topology =
        topology::read_with("test.yaml", &text(steps), &lookup).unwrap_or_else(|problems| panic!("{problems}"));
    plan::resolve(&topology).unwrap_or_else(|problems| panic!("{problems}"))
}

fn text(steps: &str) -> String {
    format!("{HEAD}{steps}expect:\n  - verdict is valid\n")
}

fn lookup(name: &str) -> io::Result<String> {
    if name == "lte.csv" { Ok(TRACE.to_owned()) } else { Err(io::ErrorKind::NotFound.into()) }
}

fn span(text: &str) -> Span {
    text.parse().unwrap()
}
