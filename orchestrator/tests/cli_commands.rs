//! The command line without any privilege: what each command prints where, and its exit code.
#![expect(clippy::print_stdout, clippy::unwrap_used, reason = "tests tell what they skip, and fail where they stand")]

mod run_support;

use std::{ffi::OsStr, fs};

use peerbed_orchestrator::plan::Plan;
use run_support::{Place, TINY, code, output, peerbed, stderr, stdout};

#[test]
fn a_good_topology_is_valid() {
    let place = Place::with(TINY);
    let output = output([OsStr::new("validate"), place.topology().as_os_str()]);
    assert_eq!((code(&output), stderr(&output)), (0, String::new()));
    assert_eq!(stdout(&output), format!("{}: valid (3 peers)\n", place.topology().display()));
}

#[test]
fn every_problem_of_a_bad_topology_is_told_with_its_place() {
    let bad = TINY.replace("up: 50mbit", "up: 50").replace("link: fast, swarm: leecher", "link: slow, swarm: leecher");
    let place = Place::with(&bad);
    for command in ["validate", "plan", "run"] {
        let output = peerbed().current_dir(place.path()).args([command, "topology.yaml"]).output().unwrap();
        let text = stderr(&output);
        assert_eq!((code(&output), stdout(&output)), (2, String::new()), "{command}: {text}");
        assert!(text.contains("topology.yaml:5:") && text.contains("topology.yaml:8:"), "{command}: {text}");
    }
    let names: Vec<_> = fs::read_dir(place.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names.len(), 2, "nothing is created: {names:?}");
}

#[test]
fn one_bad_topology_among_good_ones_decides_the_code() {
    let (good, bad) = (Place::with(TINY), Place::with("version: 2\n"));
    let output = output([OsStr::new("validate"), bad.topology().as_os_str(), good.topology().as_os_str()]);
    assert_eq!(code(&output), 2);
    assert!(stdout(&output).contains(": valid (3 peers)"), "{}", stdout(&output));
}

#[test]
fn a_plan_made_twice_is_the_same_and_reads_back() {
    let place = Place::with(TINY);
    let [first, second] = [0, 1].map(|_| stdout(&output([OsStr::new("plan"), place.topology().as_os_str()])));
    assert_eq!(first, second);
    let plan = Plan::from_yaml(&first).unwrap();
    assert_eq!((plan.peers.len(), plan.seed), (3, 3));
    assert!(first.lines().any(|line| line.starts_with("# ") && line.contains("50mbit")), "{first}");
}

#[test]
fn another_seed_makes_another_plan() {
    let place = Place::with(TINY);
    let plan = |seed: &str| {
        let output = peerbed().arg("plan").arg(place.topology()).args(["--seed", seed]).output().unwrap();
        Plan::from_yaml(&stdout(&output)).unwrap()
    };
    assert_eq!(plan("4").seed, 4);
    assert_ne!(plan("4").peers[0].seed, plan("5").peers[0].seed);
}

#[test]
fn a_value_that_is_set_stands_in_the_plan_and_a_bad_one_is_told_with_its_place() {
    let place = Place::with(TINY);
    let plan = |setting: &str| peerbed().arg("plan").arg(place.topology()).args(["--set", setting]).output().unwrap();
    let set = plan("groups.home.count=5");
    assert_eq!(Plan::from_yaml(&stdout(&set)).unwrap().peers.len(), 6, "{}", stderr(&set));
    let wrong = plan("groups.hom.count=5");
    assert_eq!(code(&wrong), 2);
    assert!(stderr(&wrong).contains("did you mean `home`?"), "{}", stderr(&wrong));
    assert_eq!(code(&plan("groups.home.count")), 2, "a path alone sets nothing");
    let text = fs::read_to_string(place.topology()).unwrap();
    assert_eq!(text, TINY, "the file itself stays as it is");
}

#[test]
fn a_suite_is_valid_when_what_it_sets_fits_its_topologies() {
    let place = Place::with(TINY);
    let suite = place.path().join("suite.yaml");
    let validate = |set: &str| {
        let text = format!("version: 1\nname: s\ntopologies:\n- {{ file: topology.yaml, set: {{ {set} }} }}\n");
        fs::write(&suite, text).unwrap();
        output([OsStr::new("validate"), suite.as_os_str()])
    };
    assert_eq!(stdout(&validate("groups.home.count: 5")), format!("{}: valid (a suite of 1)\n", suite.display()));
    let wrong = validate("links.fast.up: 5");
    assert!(code(&wrong) == 2 && stderr(&wrong).contains("topology.yaml:"), "{}", stderr(&wrong));
}

#[test]
fn a_sweep_prints_one_plan_per_run() {
    let place = Place::with(&format!("{TINY}sweep:\n  groups.home.count: [1, 2]\n  repeat: 2\n"));
    let output = output([OsStr::new("plan"), place.topology().as_os_str()]);
    let text = stdout(&output);
    let plans: Vec<Plan> = text.split("\n---\n").map(|part| Plan::from_yaml(part).unwrap()).collect();
    assert_eq!(plans.iter().map(|plan| plan.peers.len()).collect::<Vec<_>>(), [2, 3, 2, 3]);
}

#[test]
fn the_schema_is_json() {
    let output = output(["schema"]);
    let schema: serde_json::Value = serde_json::from_str(&stdout(&output)).unwrap();
    assert_eq!((code(&output), &schema["title"]), (0, &"Peerbed topology".into()));
}

#[test]
fn a_file_that_is_not_there_is_bad_input() {
    for command in ["validate", "plan", "run"] {
        let output = output([command, "no-such-file.yaml"]);
        assert_eq!(code(&output), 2, "{command}");
        assert!(stderr(&output).starts_with("error: cannot read no-such-file.yaml: "), "{}", stderr(&output));
    }
}

#[test]
fn arguments_that_make_no_sense_are_bad_input() {
    for arguments in [&["run"][..], &["fly"], &["run", "x.yaml", "--seed", "many"], &["run", "x.yaml", "--repeat", "0"]]
    {
        assert_eq!(code(&output(arguments)), 2, "{arguments:?}");
    }
}

#[test]
fn help_tells_exit_codes_and_variables() {
    let text = stdout(&output(["run", "--help"]));
    for part in ["Exit codes:", "4  the host was in the way", "PEERBED_PEER", "PEERBED_OUT", "--keep-files"] {
        assert!(text.contains(part), "{part} in {text}");
    }
}

#[test]
fn a_missing_peer_program_is_named_before_anything_is_created() {
    let place = Place::with(TINY);
    let output = place.command().env("PEERBED_PEER", "/no/such/program").output().unwrap();
    assert_eq!((code(&output), stdout(&output)), (3, String::new()));
    let text = stderr(&output);
    assert!(
        text.starts_with("error: cannot find the peer program /no/such/program; ") && text.lines().count() == 1,
        "{text}"
    );
    assert!(!place.run().exists());
}

#[test]
fn a_run_that_is_refused_leaves_no_directory_behind() {
    let place = Place::with(TINY);
    // It is a file, and no program.
    let output = place.command().env("PEERBED_PEER", "/etc/passwd").output().unwrap();
    assert_eq!((code(&output), stdout(&output)), (3, String::new()));
    assert!(!place.run().exists(), "{}", stderr(&output));
}

#[test]
fn a_directory_that_cannot_be_made_is_one_sentence() {
    let place = Place::with(TINY);
    let mut command = peerbed();
    command.arg("run").arg(place.topology()).args(["--out", "/dev/null/run"]);
    // Any program does: it is not started.
    command.args(["--peer-binary", env!("CARGO_BIN_EXE_peerbed")]);
    let output = command.output().unwrap();
    let text = stderr(&output);
    assert_eq!((code(&output), text.lines().count()), (3, 1), "{text}");
    if !text.contains("cannot make network namespaces") {
        assert!(text.starts_with("error: cannot make the run directory /dev/null/run: "), "{text}");
    }
}

#[test]
fn a_directory_without_results_cannot_be_reported() {
    let place = Place::with(TINY);
    let output = output([OsStr::new("report"), place.path().as_os_str()]);
    assert_eq!(code(&output), 2);
    assert!(stderr(&output).contains("is not a run directory: it has no results.json"), "{}", stderr(&output));
}

#[test]
fn the_doctor_has_a_line_for_everything_a_run_needs() {
    let output = output(["doctor"]);
    let text = stdout(&output);
    assert!([0, 3].contains(&code(&output)), "{text}");
    assert!(text.contains("namespaces") && text.lines().count() >= 2, "{text}");
}
