//! One real peer: QUIC, storage, control and metrics around the protocol cores of `peerbed_proto`.
//!
//! The types shared with the orchestrator are [`config`], [`commands`], [`events`] and [`status`]; everything else is the
//! process `peerbed-peer` itself. No protocol decision is taken in this crate.

pub mod clock;
pub mod commands;
pub mod config;
mod control;
mod event_log;
pub mod events;
pub mod identity;
mod metrics;
pub mod process;
pub mod status;
mod storage;
mod transport;
