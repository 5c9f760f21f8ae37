//! The orchestrator: YAML -> topology -> plan -> testbed -> scenario -> results -> report.
//!
//! This page is the pipeline; each arrow is one function between two types, and each type lives in the file of its
//! name. Arguments, environment and exit codes belong to `main.rs` alone.
//!
//! | from | by | to |
//! |---|---|---|
//! | the YAML file | [`topology::read`] | [`topology::Topology`], or [`diagnose::Problems`] with their places |
//! | a topology | [`topology::sweep::expand`], [`plan::resolve`] | one [`plan::Plan`] per run |
//! | a plan | [`testbed::Testbed::set_up`] | a [`testbed::Testbed`] and the events of its peers |
//! | a plan, time, events | [`scenario::Scenario::due`] | [`scenario::Order`]s to the testbed |
//! | events, samples | [`measure::Recorder`] | files of the [`run_directory::RunDirectory`] as they arrive |
//! | what was observed | [`run::carry_out`] with [`theory`], [`expect`], [`verdict`] | [`results::Results`], on disk |
//! | a directory | [`report::summary`], [`report::html`], [`report::junit`] | the table, the page, JUnit |

pub mod accounting;
pub mod authority;
pub mod calendar;
pub mod capacity;
pub mod compare;
pub mod content;
pub mod diagnose;
pub mod doctor;
pub mod evidence;
pub mod expect;
pub mod links;
pub mod live;
pub mod measure;
pub mod observe;
pub mod plan;
pub mod progress;
pub mod prove;
pub mod real;
mod record;
pub mod reference;
pub mod report;
pub mod results;
pub mod run;
pub mod run_directory;
pub mod scenario;
pub mod schema;
pub mod suite;
pub mod testbed;
pub mod theory;
pub mod timings;
pub mod topology;
pub mod torrent;
pub mod units;
pub mod verdict;
pub mod verify;
