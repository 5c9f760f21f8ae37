//! Commands over runs that were made, and over many to be made: `report`, `compare`, `suite`.
//!
//! What they do lives in the library; here they get their arguments and give their exit codes.

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
    time::SystemTime,
};

use anyhow::Context;
use peerbed_orchestrator::{
    compare::{self, Finding},
    progress::Progress,
    report,
    results::{Conclusion, Found},
    run_directory::RunDirectory,
    suite::{self, Suite},
    topology::sweep,
};

use super::{NOT_CARRIED_OUT, Problem, append, arguments, complain, exit_code, print, read, stop_on_signals};

pub(super) fn report(arguments: &arguments::Report) -> Result<ExitCode, Problem> {
    if arguments.medians {
        print(&report::medians(&Found::read_all(&arguments.directory).map_err(input)?));
        return Ok(ExitCode::SUCCESS);
    }
    let there = RunDirectory::at(&arguments.directory);
    if arguments.timeline {
        print(&report::timeline(&there).map_err(input)?);
        return Ok(ExitCode::SUCCESS);
    }
    if !there.results().is_file() && there.plan().is_file() {
        print(&report::unfinished(&there).map_err(input)?);
        return Ok(ExitCode::from(NOT_CARRIED_OUT));
    }
    let made = RunDirectory::open(&arguments.directory).and_then(|directory| {
        if arguments.html {
            Ok(format!("{}\n", report::html::write_all(&directory)?.display()))
        } else if arguments.junit {
            Ok(format!("{}\n", report::junit::write(&directory)?.display()))
        } else if arguments.markdown {
            Ok(report::markdown::summary(&Found::read(&directory)?))
        } else {
            report::summary(&directory)
        }
    });
    print(&made.map_err(input)?);
    Ok(ExitCode::SUCCESS)
}

pub(super) fn compare(arguments: &arguments::Compare) -> Result<ExitCode, Problem> {
    let builds = arguments.builds.iter().map(|path| compare::read(path));
    let builds: Vec<compare::Build> = builds.collect::<anyhow::Result<_>>().map_err(input)?;
    let comparison = compare::compare(&builds, arguments.seed);
    let show = match (arguments.markdown, arguments.json) {
        (true, _) => compare::markdown,
        (_, true) => compare::json,
        (false, false) => compare::table,
    };
    print(&show(&comparison));
    let Some(limit) = arguments.fail_if else { return Ok(ExitCode::SUCCESS) };
    let (sentences, conclusion) = match comparison.hold_against(limit) {
        Finding::Held => (vec![format!("{limit}: no")], Conclusion::Held),
        Finding::Worse(sentences) => (sentences, Conclusion::ExpectationFailed),
        Finding::Unknown(sentences) => (sentences, Conclusion::Invalid),
    };
    let found = sentences.join("\n");
    if arguments.json {
        complain(&found);
    } else {
        print(&format!("{found}\n"));
    }
    Ok(exit_code(conclusion))
}

pub(super) fn suite(arguments: &arguments::Suite) -> Result<ExitCode, Problem> {
    let mut suite = Suite::read(&arguments.file).map_err(input)?;
    suite.select(&arguments.tags).map_err(input)?;
    if arguments.list {
        for entry in &suite.topologies {
            let tags: Vec<&str> = entry.tags.iter().map(String::as_str).collect();
            let set: String = entry.settings.iter().map(|setting| format!(" --set '{setting}'")).collect();
            print(&format!("{}  {}  [{}]{set}\n", entry.name(), entry.file.display(), tags.join(" ")));
        }
        return Ok(ExitCode::SUCCESS);
    }
    // A misspelt path should not wait for the topologies before it.
    check(&suite)?;
    let root = arguments.out.clone().unwrap_or_else(|| RunDirectory::default_root(&suite.name, SystemTime::now()));
    let options = options(arguments)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().context("starting the runtime")?;
    let outcome = runtime.block_on(async {
        let stop = stop_on_signals()?;
        suite::carry_out(&suite, &root, &options, &stop, &mut Progress::on_stderr()).await
    })?;
    let junit = root.join("junit.xml");
    std::fs::write(&junit, outcome.junit()).with_context(|| format!("cannot write {}", junit.display()))?;
    if let Some(file) = &arguments.summary
        && let Err(error) = append(file, &outcome.markdown())
    {
        complain(&format!("warning: {error:#}"));
    }
    print(&format!("{}files:\n  {}  (for pipelines)\n{}", outcome.table(), junit.display(), directories(&outcome)));
    Ok(exit_code(outcome.conclusion()))
}

/// Checks a suite and its topologies with what it sets in them; how many there are.
pub(super) fn validate_suite(file: &Path) -> Result<usize, Problem> {
    let suite = Suite::read(file).map_err(input)?;
    check(&suite)?;
    Ok(suite.topologies.len())
}

/// Reads and plans every topology of a suite with what is set in it.
fn check(suite: &Suite) -> Result<(), Problem> {
    for entry in &suite.topologies {
        sweep::expand(&read(&entry.file, &entry.settings)?.0)?;
    }
    Ok(())
}

fn options(arguments: &arguments::Suite) -> anyhow::Result<suite::Options> {
    let program = std::env::current_exe().context("finding this program")?;
    let mut further = Vec::new();
    if let Some(peer) = &arguments.peer_binary {
        further.extend(["--peer-binary".into(), peer.clone().into_os_string()]);
    }
    if arguments.no_verify {
        further.push("--no-verify".into());
    }
    Ok(suite::Options { program, arguments: further })
}

fn directories(outcome: &suite::SuiteOutcome) -> String {
    let all = outcome.ended.iter().filter_map(|ended| Some((ended, ended.directory.as_ref()?)));
    all.map(|(ended, directory): (_, &PathBuf)| format!("  {}  ({})\n", Path::display(directory), ended.name)).collect()
}

/// What is wrong with what was asked for.
fn input(error: anyhow::Error) -> Problem {
    Problem::Input(format!("error: {error:#}"))
}
