//! Command lines that people and pipelines copy are ones that this program takes: those of workflows and of the documentation.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use serde_json::Value;

use super::*;

#[test]
fn workflows_have_steps_that_can_be_carried_out() {
    let makefile = read(&root().join("Makefile"));
    let mut commands = 0;
    for path in files(".github/workflows", "yml") {
        let workflow: Value =
            serde_saphyr::from_str(&read(&path)).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        assert!(workflow["on"].is_object() && workflow["permissions"].is_object(), "{}", path.display());
        for (name, job) in workflow["jobs"].as_object().expect("a workflow has jobs") {
            assert!(job["runs-on"].is_string() && job["timeout-minutes"].is_u64(), "{} {name}", path.display());
            for step in job["steps"].as_array().expect("a job has steps") {
                match (step["uses"].as_str(), step["run"].as_str()) {
                    (Some(uses), None) => assert!(uses.contains("@v"), "{uses} says no version"),
                    (None, Some(script)) => {
                        commands += check_commands(script, &path);
                        check_targets(script, &makefile);
                        check_topologies(script);
                    }
                    _ => panic!("a step of {name} in {} neither uses nor runs", path.display()),
                }
            }
        }
    }
    assert!(commands >= 5, "only {commands} commands found");
}

#[test]
fn artefacts_have_names_of_their_own() {
    for path in files(".github/workflows", "yml") {
        let workflow: Value = serde_saphyr::from_str(&read(&path)).expect("read by the test above");
        let steps = workflow["jobs"].as_object().into_iter().flatten().filter_map(|(_, job)| job["steps"].as_array());
        let uploads =
            steps.flatten().filter(|step| step["uses"].as_str().is_some_and(|it| it.contains("upload-artifact")));
        let names: Vec<&str> =
            uploads.map(|step| step["with"]["name"].as_str().expect("an upload has a name")).collect();
        assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), names.len(), "{}: {names:?}", path.display());
    }
}

#[test]
fn commands_in_the_documentation_are_taken() {
    let mut commands = 0;
    let pages = files("docs", "md").into_iter().chain(files(".", "md")).chain(files("dashboards", "md"));
    for path in pages {
        let text = read(&path);
        let blocks = text.split("\n```sh\n").skip(1).filter_map(|rest| rest.split("\n```").next());
        commands += blocks.map(|block| check_commands(block, &path)).sum::<usize>();
    }
    assert!(commands >= 5, "only {commands} commands found");
}

/// Parses what `peerbed` is called with in a script; how often it is.
fn check_commands(script: &str, path: &Path) -> usize {
    let mut found = 0;
    for line in script.replace("\\\n", " ").lines() {
        let words = words(line);
        let begins = |at: usize| at == 0 || ["||", "&&", ";", "do", "then", "sudo"].contains(&words[at - 1].as_str());
        let is_own = |word: &String| word == "peerbed" || word.ends_with("/peerbed");
        for at in (0..words.len()).filter(|at| begins(*at) && is_own(&words[*at])) {
            let ends = |word: &&String| !["|", "||", "&&", ";", ">", ">>", "#", "2>&1"].contains(&word.as_str());
            let call = words[at..].iter().take_while(ends);
            if let Err(error) = Arguments::try_parse_from(call) {
                panic!("{}: {line}\n{error}", path.display());
            }
            found += 1;
        }
    }
    found
}

/// What a shell makes of a line, near enough: words with their quotes gone, and every variable a 1.
fn words(line: &str) -> Vec<String> {
    let (mut words, mut word, mut quote) = (Vec::new(), None::<String>, None);
    let mut rest = line.chars().peekable();
    while let Some(c) = rest.next() {
        match (c, quote) {
            (' ' | '\t', None) => words.extend(word.take()),
            ('\'' | '"', None) => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (c, Some(open)) if c == open => quote = None,
            ('$', None | Some('"')) => {
                while rest.next_if(|c| c.is_ascii_alphanumeric() || *c == '_').is_some() {}
                word.get_or_insert_default().push('1');
            }
            (c, _) => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    words
}

/// Every target that `make` is asked for is there.
fn check_targets(script: &str, makefile: &str) {
    let calls = script.lines().filter_map(|line| line.trim().strip_prefix("make "));
    for target in calls.flat_map(str::split_whitespace) {
        assert!(makefile.lines().any(|line| line.starts_with(&format!("{target}:"))), "there is no target {target}");
    }
}

/// Every topology that a script names is there.
fn check_topologies(script: &str) {
    for file in script.split_whitespace().filter(|word| word.starts_with("topologies/")) {
        assert!(root().join(file).is_file(), "there is no {file}");
    }
}

#[test]
fn a_line_is_split_as_a_shell_splits_it() {
    let found = words("a/peerbed run x --seed $n --set \"a.b={ c: $D }\" 'e $f'  || true");
    assert_eq!(found, ["a/peerbed", "run", "x", "--seed", "1", "--set", "a.b={ c: 1 }", "e $f", "||", "true"]);
}

/// Files of a directory of the repository by their ending.
fn files(directory: &str, ending: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(root().join(directory)).expect("the directory is part of the repository");
    let paths = entries.map(|entry| entry.expect("a readable directory").path());
    paths.filter(|path| path.extension().is_some_and(|found| found == ending)).collect()
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the crate lies in the workspace").to_path_buf()
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|e| panic!("cannot read {}: {e}", path.display()))
}
