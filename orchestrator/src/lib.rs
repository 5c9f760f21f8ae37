//! The orchestrator: YAML -> topology -> plan -> testbed -> scenario -> results -> report.
//!
//! This page is the pipeline; each arrow is one function between two types, and each type lives in the file of its
//! name. Arguments, environment and exit codes belong to `main.rs` alone.

pub mod authority;
pub mod content;
pub mod diagnose;
pub mod doctor;
pub mod expect;
pub mod links;
pub mod measure;
pub mod plan;
pub mod progress;
pub mod real;
pub mod report;
pub mod results;
pub mod run;
pub mod run_directory;
pub mod scenario;
pub mod schema;
pub mod testbed;
pub mod theory;
pub mod topology;
pub mod units;
pub mod verdict;
