//! The peer's configuration: one type, written by the orchestrator as `config.json` and read by `peerbed-peer`.
//!
//! Everything here is plain data with its default and reason. Nothing is opened or checked against the host here
//! (`identity`, `transport` and `control` do that), and no distribution is named here (`commands` does that).

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::Context;
pub use peerbed_proto::tracker::TrackerOptions;
use serde::{Deserialize, Serialize};

/// All that one peer process needs to know before it can answer on its control socket.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PeerConfig {
    /// Name of the run; peers whose certificates name another run are refused.
    pub run: String,
    /// Name of this peer in the plan, for example `home-3`.
    pub name: String,
    /// Number of this peer in the plan, counted from 1 in plan order.
    pub id: u32,
    /// UDP address of the one QUIC endpoint; port 0 lets the kernel choose (the `ready` event tells which).
    pub listen: SocketAddr,
    /// Master seed of the run; the peer derives its own generators from it, its id and a purpose.
    pub seed: u64,
    /// This peer's own directory: partial and complete files of a distribution go to `<directory>/<distribution>/`.
    pub directory: PathBuf,
    /// Path of the control socket (HTTP on a Unix socket). At most [`SOCKET_PATH_MAX`] bytes.
    pub control: PathBuf,
    /// Files that prove who this peer is.
    pub identity: IdentityFiles,
    /// Process id of the parent. The peer asks the kernel to be killed with its parent and then checks that the
    /// parent is still this one, because it may have died in between. `None`: started by hand, no such check.
    #[serde(default)]
    pub parent: Option<u32>,
    /// Settings of the QUIC endpoint.
    #[serde(default)]
    pub quic: QuicOptions,
    /// Settings of the tracker this peer serves; `None`: it serves none and refuses the tracker protocol.
    #[serde(default)]
    pub tracker: Option<TrackerOptions>,
}

impl PeerConfig {
    /// Reads a configuration file.
    ///
    /// # Errors
    ///
    /// When the file cannot be read or is not a configuration; the message names the file.
    pub fn read(path: &Path) -> anyhow::Result<Self> {
        let text = std::fs::read(path).with_context(|| format!("cannot read configuration {}", path.display()))?;
        serde_json::from_slice(&text).with_context(|| format!("{} is not a peer configuration", path.display()))
    }
}

/// Where certificate, key and authority lie. Each file is PEM, or DER when it does not begin with `-----BEGIN`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IdentityFiles {
    /// This peer's certificate, with the URI name `peerbed://<run>/<id>/<name>`.
    pub certificate: PathBuf,
    /// Its private key (PKCS#8).
    pub key: PathBuf,
    /// Certificate of the run's authority: the only root that is trusted.
    pub authority: PathBuf,
}

/// Settings of the QUIC endpoint and its UDP socket.
///
/// Every field has a default, so that an empty object is a fair set-up for a shaped link of some Mbit/s.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct QuicOptions {
    /// Room for datagrams on their way out, in bytes of link-level data. The peer holds further datagrams back until
    /// some have left its interface, so that its own shaper is kept busy and never overflows: loss in one's own
    /// queue would only halve the congestion windows. Must therefore be below the shaper's queue.
    /// Default: `None`, the kernel's usual buffer with no holding back (right for an unshaped interface).
    /// [`QuicOptions::send_queue_for`] computes it for a link.
    pub send_queue_bytes: Option<u32>,
    /// What the uplink carries, for the account of where its time goes. With [`QuicOptions::send_queue_bytes`], datagrams
    /// are also held back while the uplink has so much to carry already, for interfaces that do not push back. Default:
    /// `None`, unknown or without limit: no account is given.
    pub uplink: Option<UplinkRate>,
    /// SO_RCVBUF in bytes. Default 2 MiB: the kernel's 208 KiB holds fewer than 100 full datagrams, and what is
    /// dropped there looks like congestion. Capped by the kernel when the peer lacks CAP_NET_ADMIN.
    pub receive_buffer_bytes: u32,
    /// Size of the first datagrams, in bytes of UDP payload. Default 1452: fits every Ethernet path we build.
    pub initial_mtu: u16,
    /// Upper bound of path MTU discovery, in bytes of UDP payload. Default 1452, so that loopback or a large-MTU veth
    /// does not silently change the packet count of one topology and not of another.
    pub mtu_max: u16,
    /// Send several datagrams in one system call (UDP GSO). Default false: shapers see a train of segments as one
    /// packet, so that loss and queue limits would hit trains. True only for unshaped throughput runs.
    pub segmentation_offload: bool,
    /// Interval of keep-alives in milliseconds. Default 5 000: a choked, quiet neighbour must outlive the 30 s between
    /// optimistic unchokes.
    pub keep_alive_ms: u32,
    /// Silence after which a connection counts as lost, in milliseconds. Default 15 000, three keep-alives.
    pub idle_timeout_ms: u32,
    /// Time that a handshake may take, in milliseconds. Default 10 000.
    pub handshake_timeout_ms: u32,
    /// Handshakes from others in progress at once; further ones are refused and counted. Default 128.
    pub handshakes_max: u16,
    /// Dials of our own in progress at once; further ones wait. Default 32: each costs a signature and about 4 KiB.
    pub dials_max: u16,
    /// Congestion controller. Default steady: on clean links a swarm takes as long as with CUBIC (1.09 times the bound), and
    /// where homes have 50 ms and 0.5 % of loss 1.23 times the bound in place of 1.5.
    pub congestion: Congestion,
    /// Initial congestion window in bytes. Default 65 536: a first run of leaves leaves in one round trip, and the
    /// peer's own link paces it.
    pub initial_window_bytes: u32,
    /// Unidirectional streams that a neighbour may have open at once. Default 16; quinn allocates their state eagerly.
    pub uni_streams_max: u16,
    /// Bidirectional streams that a neighbour may have open at once. Default 4; quinn allocates their state eagerly.
    pub bidi_streams_max: u16,
    /// Receive window of one stream in bytes. Default 1 MiB, four pieces of 256 KiB.
    pub stream_window_bytes: u32,
    /// Receive window of one connection in bytes. Default 4 MiB.
    pub receive_window_bytes: u32,
    /// Bytes of one connection that may be sent and not yet acknowledged. Default 2 MiB.
    pub send_window_bytes: u32,
    /// Open connections of all protocols; further ones are refused and counted. Default 1 024.
    pub connections_max: u16,
    /// Packets that a receiver may take in before it must acknowledge. Default 10: acknowledgements are charged to the
    /// downloader's uplink, 2.6 % of the data at one per two packets and 0.5 % at one per ten.
    pub ack_threshold: u32,
    /// Time for which a receiver may hold an acknowledgement back, in milliseconds. Default 50: a downloader that
    /// hears from many neighbours gets few packets of each in RFC 9000's 25 ms, and would acknowledge nearly all of
    /// them one by one over its slow uplink.
    pub ack_delay_ms: u16,
    /// Where the secrets of all connections are written down, in the format of `SSLKEYLOGFILE`; with them, a capture can be
    /// decoded. Default: `None`, nowhere.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key_log: Option<PathBuf>,
    /// Where a qlog of all connections is written. Default: `None`, nowhere: it costs time and disk for every packet.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub qlog: Option<PathBuf>,
}

impl Default for QuicOptions {
    fn default() -> Self {
        Self {
            send_queue_bytes: None,
            uplink: None,
            receive_buffer_bytes: 2 << 20,
            initial_mtu: 1452,
            mtu_max: 1452,
            segmentation_offload: false,
            keep_alive_ms: 5_000,
            idle_timeout_ms: 15_000,
            handshake_timeout_ms: 10_000,
            handshakes_max: 128,
            dials_max: 32,
            congestion: Congestion::default(),
            initial_window_bytes: 64 << 10,
            uni_streams_max: 16,
            bidi_streams_max: 4,
            stream_window_bytes: 1 << 20,
            receive_window_bytes: 4 << 20,
            send_window_bytes: 2 << 20,
            connections_max: 1_024,
            ack_threshold: 10,
            ack_delay_ms: 50,
            key_log: None,
            qlog: None,
        }
    }
}

impl QuicOptions {
    /// Send queue for an uplink of `rate` bits per second whose shaper queues at most `queue` bytes.
    ///
    /// Enough for 20 ms at link rate, because a busy host may wake the peer some milliseconds late, and at least six
    /// full datagrams, because the kernel says "writable" again only when half of the room is free. Never more than
    /// three quarters of the shaper's queue, or there would be loss before there is holding back.
    #[must_use]
    pub fn send_queue_for(rate: u64, queue: u64) -> u32 {
        let slack = (rate / 8 / 50).max(6 * LINK_MTU);
        let room = (queue / 4 * 3).max(2 * LINK_MTU);
        u32::try_from(slack.min(room)).unwrap_or(u32::MAX)
    }
}

/// What an uplink carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UplinkRate {
    /// Bits per second over whole IP packets and their overhead.
    pub bits_per_second: u64,
    /// Bytes that each packet takes beside its own.
    #[serde(default)]
    pub packet_overhead: u32,
}

/// Congestion controllers: those that quinn offers, and one more.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Congestion {
    /// RFC 9438; the default of QUIC and TCP nearly everywhere.
    Cubic,
    /// RFC 9002's own.
    NewReno,
    /// Version 1 of BBR, marked experimental by quinn: drops a quarter of its packets into a drop-tail queue.
    Bbr,
    /// CUBIC with a floor of our own: the window is never less than what the path was seen to deliver, so that loss by
    /// chance is nothing to it. For links of one's own, not for the Internet, where others would give way to it.
    #[default]
    Steady,
}

/// Longest path of a Unix socket on Linux: `sun_path` has 108 bytes and the last is a zero.
pub const SOCKET_PATH_MAX: usize = 107;

/// IP-level size of a full datagram: 1452 bytes of UDP payload, 8 of UDP, 20 of IPv4, rounded up to Ethernet's 1500.
const LINK_MTU: u64 = 1_500;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn config_with_required_keys_only_takes_the_defaults() {
        let text = r#"{"run":"r","name":"home-1","id":2,"listen":"127.0.0.1:0","seed":7,"directory":"/d",
            "control":"/d/c","identity":{"certificate":"c","key":"k","authority":"a"}}"#;
        let config: PeerConfig = serde_json::from_str(text).unwrap();
        assert_eq!(config.quic, QuicOptions::default());
        assert_eq!(config.tracker, None);
    }

    #[test]
    fn config_with_an_unknown_key_is_refused() {
        let error = serde_json::from_str::<QuicOptions>(r#"{"initial_mtv": 1200}"#).unwrap_err();
        assert!(error.to_string().contains("initial_mtv"), "{error}");
    }

    #[test]
    fn send_queue_is_bounded_by_slack_and_by_the_shaper() {
        assert_eq!(QuicOptions::send_queue_for(2_000_000, 12_500), 9_000);
        assert_eq!(QuicOptions::send_queue_for(20_000_000, 125_000), 50_000);
        assert_eq!(QuicOptions::send_queue_for(20_000_000, 20_000), 15_000);
        assert_eq!(QuicOptions::send_queue_for(1_000, 0), 3_000);
    }
}
