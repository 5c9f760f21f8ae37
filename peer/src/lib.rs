//! One real peer: QUIC, storage, control and metrics around the protocol cores of `peerbed_proto`.
//!
//! The types shared with the orchestrator are [`config`], [`commands`], [`events`] and [`status`]; everything else is the
//! process `peerbed-peer` itself. No protocol decision is taken in this crate.

pub mod commands;
pub mod config;
pub mod events;
pub mod status;
