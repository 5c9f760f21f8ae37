//! The orchestrator: YAML -> topology -> plan -> testbed -> scenario -> results -> report.
//!
//! This page is the pipeline; each arrow is one function between two types, and each type lives in the file of its
//! name. Arguments, environment and exit codes belong to `main.rs` alone.

pub mod diagnose;
pub mod expect;
pub mod plan;
pub mod topology;
pub mod units;
pub mod authority;
pub mod content;
pub mod links;
pub mod real;
pub mod run_directory;
pub mod testbed;
