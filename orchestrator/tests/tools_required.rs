//! Tools that tests want: missing, they are told, and a failure where they are required.

mod tools;

use std::process::Command;

#[test]
fn a_missing_tool_is_told_and_a_failure_only_where_tools_are_required() {
    if std::env::var_os(INNER).is_some() {
        assert_eq!(tools::find(&["sh"], "dash"), Some("sh"));
        assert_eq!(tools::find(&["no-such-program"], "no-such-package"), None);
        return;
    }
    for (required, passes) in [("", true), ("0", true), ("1", false)] {
        let mut command = Command::new(std::env::current_exe().unwrap());
        let done = command.arg("--nocapture").env(INNER, "1").env("PEERBED_REQUIRE_TOOLS", required).output().unwrap();
        let said = format!("{}{}", String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr));
        assert_eq!(done.status.success(), passes, "{required}: {said}");
        assert!(said.contains("no-such-program is not installed (apt-get install no-such-package)"), "{said}");
    }
}

/// Set where this test runs in itself.
const INNER: &str = "PEERBED_TOOLS_INNER";
