//! Prometheus' configuration and rules as `promtool` judges them, and Grafana's dashboards as its linter would.
//!
//! The linter is a Go program that no registry of this project's has; its rules are said again here, with the run in the
//! place of job and instance: one job scrapes everything, and a run is what one wants to choose. Whether the queries find
//! anything in a real run is tested in `run_prometheus`.
#![expect(clippy::print_stdout, clippy::unwrap_used, reason = "tests tell what they skip, and fail where they stand")]

mod dashboard_support;
mod tools;

use std::{
    fs,
    process::{Command, Stdio},
};

use dashboard_support::{Dashboard, all, directory};
use serde_json::{Value, json};

#[test]
fn promtool_accepts_the_configuration_and_the_rules() {
    for arguments in
        [["check", "config", "prometheus.yml"], ["check", "rules", "rules.yml"], ["test", "rules", "rules_test.yml"]]
    {
        promtool(&arguments);
    }
}

#[test]
fn every_alert_has_a_test_in_which_it_fires_and_one_in_which_it_does_not() {
    let read =
        |name: &str| -> Value { serde_saphyr::from_str(&fs::read_to_string(directory().join(name)).unwrap()).unwrap() };
    let (rules, tests) = (read("rules.yml"), read("rules_test.yml"));
    let all = |list: &Value| list.as_array().cloned().unwrap_or_default();
    let cases: Vec<Value> = all(&tests["tests"]).iter().flat_map(|test| all(&test["alert_rule_test"])).collect();
    let rules: Vec<Value> = all(&rules["groups"]).iter().flat_map(|group| all(&group["rules"])).collect();
    let alerts: Vec<&Value> = rules.iter().map(|rule| &rule["alert"]).filter(|name| name.is_string()).collect();
    assert!(alerts.len() >= 7, "{alerts:?}");
    for alert in alerts {
        let of_it: Vec<&Value> = cases.iter().filter(|case| case["alertname"] == *alert).collect();
        let fires = |case: &&&Value| !all(&case["exp_alerts"]).is_empty();
        let (firing, silent) = (of_it.iter().filter(fires).count(), of_it.iter().filter(|it| !fires(it)).count());
        assert!(firing > 0 && silent > 0, "{alert}: {firing} cases in which it fires, {silent} in which it does not");
    }
}

#[test]
fn everything_that_rules_record_is_drawn() {
    let rules = fs::read_to_string(directory().join("rules.yml")).unwrap();
    let queries: Vec<_> = all().iter().flat_map(Dashboard::queries).collect();
    for name in rules.lines().filter_map(|line| line.trim().strip_prefix("- record: ")) {
        assert!(queries.iter().any(|query| query.written.contains(&format!("{name}{{"))), "no panel draws {name}");
    }
}

#[test]
fn every_expression_is_promql() {
    let place = tempfile::tempdir().unwrap();
    let queries: Vec<_> = all().iter().flat_map(Dashboard::queries).collect();
    let rule = |(n, query): (usize, &dashboard_support::Query)| json!({ "record": format!("query:{n}"), "expr": query.sent() });
    let rules: Vec<Value> = queries.iter().enumerate().map(rule).collect();
    assert!(rules.len() > 100, "{} queries", rules.len());
    let file = place.path().join("queries.yml");
    fs::write(&file, json!({ "groups": [{ "name": "dashboards", "rules": rules }] }).to_string()).unwrap();
    promtool(&["check", "rules", file.to_str().unwrap()]);
}

#[test]
fn dashboards_fit_the_types_that_grafana_publishes() {
    if tools::find(&["npm"], "npm").is_none() {
        return;
    }
    let place = tempfile::tempdir().unwrap();
    let here = |program: &str| {
        let mut command = Command::new(program);
        command.current_dir(place.path()).stdin(Stdio::null());
        command
    };
    let mut install = here("npm");
    install.args(["install", "--no-audit", "--no-fund", "--prefix", "."]).args(PACKAGES);
    match install.output() {
        Ok(done) if done.status.success() => {}
        Ok(done) => {
            let said = String::from_utf8_lossy(&done.stderr).into_owned();
            return println!("skipped: npm could not get {PACKAGES:?}: {}", said.lines().last().unwrap_or_default());
        }
        Err(error) => panic!("npm: {error}"),
    }
    fs::write(place.path().join("check.mjs"), include_str!("grafana/check.mjs")).unwrap();
    let mut check = here("node");
    check.arg("check.mjs").args(all().iter().map(|board| directory().canonicalize().unwrap().join(&board.file)));
    let done = check.output().unwrap();
    let said = format!("{}{}", String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr));
    assert!(done.status.success(), "{said}");

    // What is wrong is found, or the check would say nothing.
    let text = fs::read_to_string(directory().join("peer.json")).unwrap();
    for (right, wrong) in
        [("\"h\": 8", "\"h\": \"8\""), ("\"unit\": \"Bps\"", "\"unit\": 3"), ("\"refId\": \"A\"", "\"refid\": \"A\"")]
    {
        assert!(text.contains(right), "{right}");
        fs::write(place.path().join("wrong.json"), text.replacen(right, wrong, 1)).unwrap();
        let done = here("node").args(["check.mjs", "wrong.json"]).output().unwrap();
        assert_eq!(done.status.code(), Some(1), "{wrong} was not found: {}", String::from_utf8_lossy(&done.stdout));
    }
}

#[test]
fn there_is_a_dashboard_for_each_subject_with_ids_of_their_own() {
    let boards = all();
    let files: Vec<&str> = boards.iter().map(|board| board.file.as_str()).collect();
    assert_eq!(files, ["links.json", "peer.json", "ring.json", "run.json", "swarm.json"]);
    let mut ids: Vec<&str> = boards.iter().map(|board| board.json["uid"].as_str().unwrap()).collect();
    ids.dedup();
    assert_eq!(ids.len(), boards.len());
    let compose = fs::read_to_string(directory().join("compose.yaml")).unwrap();
    assert!(files.iter().all(|file| compose.contains(&format!("./{file}:"))), "compose.yaml provisions each");
}

#[test]
fn dashboards_are_provisioned_whole_and_fresh() {
    for Dashboard { file, json } in all() {
        assert_eq!(json["editable"], false, "{file}: what is provisioned cannot be saved");
        assert_eq!(json["schemaVersion"], 41, "{file}");
        assert!(!json["description"].as_str().unwrap().is_empty(), "{file}");
        let annotations = json["annotations"]["list"].as_array().unwrap();
        assert!(annotations.iter().any(|it| it["name"] == "Faults" && it["enable"] == true), "{file}");
        // The value of the series is the instant, so that a mark stands where the step began.
        assert!(annotations.iter().all(|it| it["useValueForTime"] == true), "{file}");
    }
}

#[test]
fn the_data_source_is_chosen_in_one_variable_and_used_everywhere() {
    let chosen = json!({ "type": "prometheus", "uid": "${datasource}" });
    for board in all() {
        let file = &board.file;
        let sources: Vec<&Value> = board.variables().iter().filter(|it| it["type"] == "datasource").collect();
        assert_eq!(sources.len(), 1, "{file}");
        assert_eq!((&sources[0]["name"], &sources[0]["query"]), (&json!("datasource"), &json!("prometheus")), "{file}");
        let variables = board.variables().iter().filter(|it| it["type"] == "query");
        let annotations = board.json["annotations"]["list"].as_array().unwrap().iter();
        for user in variables.chain(annotations).chain(board.panels()) {
            assert_eq!(user["datasource"], chosen, "{file}: {}", user["title"]);
        }
        let mut targets = board.panels().flat_map(|panel| panel["targets"].as_array().unwrap());
        assert!(targets.all(|target| target["datasource"] == chosen), "{file}");
    }
}

#[test]
fn variables_are_read_again_when_the_time_changes_and_all_of_them_are_used() {
    for board in all() {
        for variable in board.variables().iter().filter(|it| it["type"] == "query") {
            let name = variable["name"].as_str().unwrap();
            assert_eq!(variable["refresh"], 2, "{}: {name}", board.file);
            assert!(!variable["label"].as_str().unwrap().is_empty(), "{}: {name}", board.file);
            let is_used = board.queries().iter().any(|query| query.written.contains(&format!("=~\"${name}\"")));
            assert!(is_used, "{}: nothing depends on {name}", board.file);
        }
    }
}

#[test]
fn every_panel_says_what_it_shows_in_a_known_unit() {
    for board in all() {
        for panel in board.panels() {
            let place = format!("{}: {}", board.file, panel["title"]);
            assert!(!panel["title"].as_str().unwrap().is_empty(), "{place}");
            assert!(panel["description"].as_str().is_some_and(|text| text.ends_with('.')), "{place}: no description");
            let unit = panel["fieldConfig"]["defaults"]["unit"].as_str().unwrap();
            assert!(UNITS.contains(&unit), "{place}: {unit}");
            assert!(!panel["targets"].as_array().unwrap().is_empty(), "{place}");
        }
    }
}

#[test]
fn every_query_chooses_the_run_and_takes_rates_of_counters_alone() {
    for query in all().iter().flat_map(Dashboard::queries) {
        let (place, text) = (&query.place, query.written.as_str());
        for (at, name) in series(text) {
            let before = &text[..at];
            let selector = text[at + name.len()..].strip_prefix('{').and_then(|rest| rest.split('}').next());
            assert!(selector.is_some_and(|all| all.contains("run=~\"$run\"")), "{place}: {name} of all runs");
            let is_counter = ["_total", "_bucket", "_sum", "_count"].iter().any(|end| name.ends_with(end));
            let is_rate = ["rate(", "increase(", "irate("].iter().any(|of| before.ends_with(of));
            assert_eq!(is_counter, is_rate, "{place}: {name}");
        }
        for (_, after) in text.match_indices("rate(").map(|(at, _)| text.split_at(at)) {
            let window = after.split('[').nth(1).and_then(|rest| rest.split(']').next()).unwrap();
            assert_eq!(window, "$__rate_interval", "{place}");
        }
        // A counter's rate alone would draw a line for every label there is.
        assert!(!text.starts_with("rate("), "{place}: not aggregated");
    }
}

#[test]
fn no_panel_lies_on_another_and_ids_differ() {
    for board in all() {
        let all = board.json["panels"].as_array().unwrap();
        let mut ids: Vec<u64> = all.iter().map(|panel| panel["id"].as_u64().unwrap()).collect();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), all.len(), "{}", board.file);
        let place = |panel: &Value| ["x", "y", "w", "h"].map(|side| panel["gridPos"][side].as_u64().unwrap());
        for (n, panel) in all.iter().enumerate() {
            let [x, y, w, h] = place(panel);
            assert!(x + w <= 24 && w > 0 && h > 0, "{}: {}", board.file, panel["title"]);
            for other in &all[..n] {
                let [ox, oy, ow, oh] = place(other);
                let apart = x + w <= ox || ox + ow <= x || y + h <= oy || oy + oh <= y;
                assert!(apart, "{}: {} lies on {}", board.file, panel["title"], other["title"]);
            }
        }
    }
}

/// Names of series in an expression, with their places. A recorded one has colons in its name.
fn series(text: &str) -> Vec<(usize, &str)> {
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
    let mut found = Vec::new();
    for prefix in ["peerbed_", "peerbed:", "up{"] {
        for (at, _) in text.match_indices(prefix).filter(|(at, _)| !text[..*at].ends_with(is_name)) {
            let end = text[at..].find(|c| !is_name(c)).map_or(text.len(), |length| at + length);
            found.push((at, &text[at..end]));
        }
    }
    found
}

/// Runs promtool in the directory of the dashboards; without it, says so.
fn promtool(arguments: &[&str]) {
    let Some(program) = tools::find(&["promtool"], "prometheus") else { return };
    let done = Command::new(program).args(arguments).current_dir(directory()).stdin(Stdio::null()).output().unwrap();
    let said = format!("{}{}", String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr));
    assert!(done.status.success(), "promtool {}: {said}", arguments.join(" "));
}

/// Grafana's types in TypeScript, and what makes a schema of them and checks JSON against it.
const PACKAGES: [&str; 3] = ["@grafana/grafana-foundation-sdk@0.0.21", "ts-json-schema-generator@2.4.0", "ajv@8.17.1"];
/// Units of Grafana's that fit the series of a run.
const UNITS: &[&str] = &["none", "s", "bytes", "Bps", "pps", "ops", "reqps", "percentunit"];
