//! Prometheus' configuration and rules, as `promtool` judges them.
#![expect(clippy::print_stdout, reason = "tests tell what they skip")]

use std::{path::PathBuf, process::Command};

#[test]
fn promtool_accepts_the_configuration_and_the_rules() {
    for arguments in
        [["check", "config", "prometheus.yml"], ["check", "rules", "rules.yml"], ["test", "rules", "rules_test.yml"]]
    {
        let mut command = Command::new("promtool");
        let Ok(done) = command.args(arguments).current_dir(dashboards()).output() else {
            println!("skipped: promtool is not installed (apt install prometheus)");
            return;
        };
        let said = format!("{}{}", String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr));
        assert!(done.status.success(), "promtool {}: {said}", arguments.join(" "));
    }
}

#[test]
fn every_alert_has_a_test() {
    let read = |name: &str| std::fs::read_to_string(dashboards().join(name)).unwrap();
    let (rules, tests) = (read("rules.yml"), read("rules_test.yml"));
    let alerts: Vec<&str> = rules.lines().filter_map(|line| line.trim().strip_prefix("- alert: ")).collect();
    assert!(alerts.len() >= 4, "{alerts:?}");
    for alert in alerts {
        assert!(tests.contains(&format!("alertname: {alert}")), "{alert} is never tested");
    }
}

fn dashboards() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../dashboards")
}
