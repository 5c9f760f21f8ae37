//! quinn's transport settings from ours. Reasons stand at the fields of [`QuicOptions`].

use std::time::Duration;

use quinn::{AckFrequencyConfig, EndpointConfig, IdleTimeout, MtuDiscoveryConfig, QlogStream, TransportConfig, VarInt};
use quinn_proto::RandomConnectionIdGenerator;

use crate::config::QuicOptions;
use crate::transport::congestion;

/// Settings of the endpoint.
pub(crate) fn endpoint() -> EndpointConfig {
    let mut endpoint = EndpointConfig::default();
    endpoint.cid_generator(|| Box::new(RandomConnectionIdGenerator::new(CONNECTION_ID_BYTES)));
    endpoint
}

/// Settings for one direction of dialling.
pub(crate) fn transport(
    options: &QuicOptions,
    keep_alive: Option<Duration>,
    qlog: Option<QlogStream>,
) -> TransportConfig {
    let mut discovery = MtuDiscoveryConfig::default();
    discovery.upper_bound(options.mtu_max);
    let mut acks = AckFrequencyConfig::default();
    acks.ack_eliciting_threshold(VarInt::from_u32(options.ack_threshold));
    acks.max_ack_delay(Some(Duration::from_millis(options.ack_delay_ms.into())));
    let mut transport = TransportConfig::default();
    transport
        .max_concurrent_uni_streams(VarInt::from_u32(options.uni_streams_max.into()))
        .max_concurrent_bidi_streams(VarInt::from_u32(options.bidi_streams_max.into()))
        .max_idle_timeout(Some(IdleTimeout::from(VarInt::from_u32(options.idle_timeout_ms))))
        .keep_alive_interval(keep_alive)
        .stream_receive_window(VarInt::from_u32(options.stream_window_bytes))
        .receive_window(VarInt::from_u32(options.receive_window_bytes))
        .send_window(options.send_window_bytes.into())
        // One run after another: two that share the link finish together, late, instead of one early.
        .send_fairness(false)
        .initial_rtt(INITIAL_RTT)
        .initial_mtu(options.initial_mtu)
        .mtu_discovery_config((options.mtu_max > options.initial_mtu).then_some(discovery))
        .ack_frequency_config(Some(acks))
        .datagram_receive_buffer_size(None)
        .enable_segmentation_offload(options.segmentation_offload)
        .congestion_controller_factory(congestion::factory(options))
        .qlog_stream(qlog);
    transport
}

/// Round trip assumed before one was measured. RFC 9002 says 333 ms, so that a lost first datagram costs a second; the
/// paths built here are shorter, and a probe sent too early costs one datagram.
const INITIAL_RTT: Duration = Duration::from_millis(100);

/// Length of the connection ids that others put into every packet to us. quinn's default is 8; 4 are plenty for the
/// thousand connections of a peer, and the other 4 are 0.3 % of a full packet and 4 % of an acknowledgement.
const CONNECTION_ID_BYTES: usize = 4;
