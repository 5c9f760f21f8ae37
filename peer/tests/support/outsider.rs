//! Somebody who speaks QUIC with any certificate, protocol and bytes.
