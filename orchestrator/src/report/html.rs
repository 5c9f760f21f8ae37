//! `report.html`: the pictures of a run or a sweep in one file that needs nothing else.
//!
//! Made from the files of a run directory alone: results, plan, events and samples. The file holds HTML, CSS and SVG, no
//! script and no reference to anything outside, so that it opens anywhere and for ever. This file says which figures
//! there are and in which order; each figure is a file of its own, a pure function from what was recorded to a
//! `Figure`.
//!
//! Sizes are bounded whatever the run: heat maps have at most 125 × 125 cells, lines at most one point per place, tables
//! at most 1000 rows, and files shown as text are cut off.

use std::path::PathBuf;

use crate::{
    record::{Record, outline::OutlineRing},
    results::{Distribution, Found, Results},
    run_directory::RunDirectory,
};

mod axis;
mod completions;
mod curves;
mod faults;
mod figure;
#[cfg(test)]
pub(crate) mod fixture;
mod frame;
mod heat;
mod hops;
mod host;
mod latency;
mod latest;
mod links;
mod markup;
mod matrix;
mod page;
mod progress;
mod recoveries;
mod ring;
mod scale;
mod spread;
mod sweep;
mod sweep_rings;
mod time_use;
mod timeline;
mod times;
mod timings;
mod uplinks;
mod words;

use faults::Fault;
use figure::Figure;
pub(crate) use page::Drawn;
use page::Page;

/// Writes `report.html` into `directory` and says where it is.
///
/// # Errors
///
/// When the directory holds no readable results, or the file cannot be written.
pub fn write(directory: &RunDirectory) -> anyhow::Result<PathBuf> {
    let path = directory.report();
    directory.write_whole(&path, page(directory)?.as_bytes())?;
    Ok(path)
}

/// Writes `report.html` into `directory` and, where it holds a sweep, into the directories of its runs before; says where
/// the first is.
///
/// # Errors
///
/// As [`write()`].
pub fn write_all(directory: &RunDirectory) -> anyhow::Result<PathBuf> {
    if let Found::Sweep(results) = Found::read(directory)? {
        for run in &results.runs {
            write(&RunDirectory::open(&directory.root().join(&run.directory))?)?;
        }
    }
    write(directory)
}

/// The page of what `directory` holds.
///
/// # Errors
///
/// When the directory holds no readable results.
pub fn page(directory: &RunDirectory) -> anyhow::Result<String> {
    Ok(match Found::read(directory)? {
        Found::Run(results) => run(&results, directory),
        Found::Sweep(results) => sweep::page(&results, directory),
    })
}

/// What a page shows of a run that goes on, with these results until now.
pub(crate) fn live(results: &Results, directory: &RunDirectory) -> Drawn {
    drawing(results, directory, Stage::Running).drawn()
}

/// The page around [`live()`], which asks for the latest again and again.
pub(crate) fn live_page(drawn: &Drawn) -> String {
    page::live(drawn)
}

fn run(results: &Results, directory: &RunDirectory) -> String {
    drawing(results, directory, Stage::Over).html()
}

/// How far the run is that is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Running,
    Over,
}

fn drawing(results: &Results, directory: &RunDirectory, stage: Stage) -> Page {
    let mut record = Record::read(directory);
    if stage == Stage::Running {
        record.ended = record.seen;
    }
    let faults = faults::of(results, &record);
    let (length, badges) = match stage {
        Stage::Running => (words::so_far(&record), words::running(results)),
        Stage::Over => (words::in_all(results), words::badge(results)),
    };
    let mut page = Page::new(&results.name, &words::subtitle(results, &length));
    page.badge(&badges);
    page.raw(&match stage {
        Stage::Running => words::doubts(results),
        Stage::Over => words::outcome(results),
    });
    page.section("summary", "Summary", &words::notes(&record));
    let cards = [
        times::figure(&results.distributions).map(|figure| figure.html()),
        completions::figure(&results.distributions).map(|figure| figure.html()),
        words::expectations(results),
    ];
    page.cards(cards.into_iter().flatten());
    for distribution in &results.distributions {
        let id = if distribution.id.is_empty() { &distribution.name } else { &distribution.id };
        let title = format!("{} via {}", distribution.name, distribution.via);
        page.section(id, &title, &times::sentence(distribution));
        page.figures(of_distribution(id, distribution, &record, &faults));
    }
    for ring in &record.outline.rings {
        page.section(&ring.name, &format!("Ring {}", ring.name), "");
        page.figures(of_ring(ring, results, &record, &faults));
    }
    if let Some(table) = timings::table(results) {
        page.section("timings", "Leaves and answers", timings::LEAD);
        page.raw(&table.html());
    }
    page.section("course", "Course of the run", "");
    if stage == Stage::Running {
        page.raw(&latest::card(&record, &results.recoveries, &faults));
    }
    page.figures([timeline::figure(&record, &results.recoveries, &faults)]);
    page.section("conditions", "Links and host", &words::conditions(results));
    page.figures([links::figure(results), host::figure(&record)]);
    for table in [links::table(results), links::latencies(results)].into_iter().flatten() {
        page.raw(&table.html());
    }
    page.section("origin", "What was run", "");
    page.raw(&words::origin(results, directory));
    page
}

/// The figures of one distribution, in reading order.
fn of_distribution(id: &str, distribution: &Distribution, record: &Record, faults: &[Fault]) -> Vec<Option<Figure>> {
    let Some(course) = record.courses.get(&distribution.id) else { return Vec::new() };
    vec![
        progress::figure(id, distribution, course, faults),
        spread::pieces(id, course),
        uplinks::figure(id, distribution, course, &record.outline, faults),
        spread::peers(id, course),
        time_use::figure(id, distribution, course, faults),
        matrix::figure(id, course, &record.outline),
    ]
}

/// The figures of one ring, in reading order.
fn of_ring(ring: &OutlineRing, results: &Results, record: &Record, faults: &[Fault]) -> Vec<Option<Figure>> {
    let name = ring.name.as_str();
    let mut all = vec![ring::figure(record, name, ring.bits)];
    all.extend(hops::figures(record, name));
    all.push(recoveries::figure(record, &results.recoveries, name, faults));
    all.push(latency::figure(record, name, faults));
    all
}
