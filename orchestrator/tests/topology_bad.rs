//! Every file in `topologies/bad/` is refused with the problems that its leading comment lists, and no others.
//!
//! The comment lists them as `# LINE:COLUMN MESSAGE (HINT)`, in order; a part of the message is enough.

#![expect(clippy::unwrap_used, reason = "what these tests read is part of the repository")]

use std::{fs, path::PathBuf};

use peerbed_orchestrator::{
    diagnose::{Colour, Problems},
    topology::{self, sweep},
};

#[test]
fn every_bad_topology_is_refused_with_the_problems_it_lists() {
    let mut wrong = Vec::new();
    let files = bad();
    assert!(files.len() >= 30, "only {} files found", files.len());
    for (name, text) in files {
        let expected = expected(&text);
        assert!(!expected.is_empty(), "{name} lists no problem");
        let found = problems(&name, &text).map_or_else(Vec::new, |problems| lines(&problems));
        let is_same = found.len() == expected.len()
            && found.iter().zip(&expected).all(|(found, (at, part))| found.starts_with(at) && found.contains(part));
        if !is_same {
            wrong.push(format!("{name}\n  listed: {expected:#?}\n  found: {found:#?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn rendered_problems_show_file_line_text_path_and_hint() {
    let (name, text) = bad().into_iter().find(|(name, _)| name.ends_with("expect_unknown_link.yaml")).unwrap();
    let problems = problems(&name, &text).unwrap();
    let plain = problems.render(Colour::Off);
    for part in [
        "error: there is no link `sever`",
        "expect_unknown_link.yaml:",
        "^^^^^ groups.origin.link",
        "did you mean `server`?",
    ] {
        assert!(plain.contains(part), "{part:?} is missing from\n{plain}");
    }
    assert!(!plain.contains('\u{1b}'), "colour without being asked:\n{plain}");
    assert!(problems.render(Colour::On).contains('\u{1b}'));
    let first = &problems.items[0];
    assert_eq!((first.path.as_str(), first.text.as_str()), ("groups.origin.link", "sever"));
}

#[test]
fn a_file_full_of_problems_is_cut_and_counted() {
    let keys: String = (0..500).map(|number| format!("unknown{number}: 1\n")).collect();
    let problems = topology::read("full.yaml", &keys).unwrap_err();
    assert_eq!(problems.items.len() + problems.left_out, 505);
    assert!(problems.left_out > 0);
    assert!(problems.render(Colour::Off).contains("505 problems, 50 of them shown"));
}

/// What reading and planning a file report; none when it is fine.
fn problems(name: &str, text: &str) -> Option<Problems> {
    match topology::read_with(name, text, &|other| fs::read_to_string(directory().join(other))) {
        Ok(topology) => sweep::expand(&topology).err(),
        Err(problems) => Some(problems),
    }
}

/// Problems as `LINE:COLUMN MESSAGE (HINT)`.
fn lines(problems: &Problems) -> Vec<String> {
    let with_hint = |hint: &Option<String>| hint.as_ref().map_or_else(String::new, |hint| format!(" ({hint})"));
    let items = problems.items.iter();
    items.map(|it| format!("{}:{} {}{}", it.place.line, it.place.column, it.message, with_hint(&it.hint))).collect()
}

/// The `LINE:COLUMN ` and the rest of each listed problem.
fn expected(text: &str) -> Vec<(String, String)> {
    let comment = text.lines().map_while(|line| line.strip_prefix('#'));
    comment
        .filter_map(|line| line.trim_start().split_once(' '))
        .filter(|(at, _)| {
            let number = |text: &str| text.parse::<u32>().is_ok();
            at.split_once(':').is_some_and(|(line, column)| number(line) && number(column))
        })
        .map(|(at, part)| (format!("{at} "), part.to_owned()))
        .collect()
}

fn directory() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../topologies/bad")
}

fn bad() -> Vec<(String, String)> {
    let mut files: Vec<_> = fs::read_dir(directory())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "yaml"))
        .map(|path| (path.display().to_string(), fs::read_to_string(&path).unwrap()))
        .collect();
    files.sort();
    files
}
