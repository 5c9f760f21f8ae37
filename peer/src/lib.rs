//! One real peer: QUIC, storage, control and metrics around the protocol cores of `peerbed_proto`.
//!
//! The types shared with the orchestrator are [`config`], [`commands`], [`events`], [`status`], [`timing`] and
//! [`ring_control`]; everything else is the
//! process `peerbed-peer` itself. No protocol decision is taken in this crate.

pub mod clock;
pub mod commands;
pub mod config;
mod control;
mod distribution;
mod event_log;
pub mod events;
mod evidence;
mod fetch;
pub mod identity;
mod metrics;
mod peer;
pub mod process;
mod ring;
pub mod ring_control;
mod routes;
pub mod status;
mod storage;
mod swarm;
pub mod timing;
mod tracker;
mod transport;

pub use peer::run;
