//! Packing of route-netlink requests and unpacking of answers, byte for byte as in linux/netlink.h and rtnetlink.h.
//!
//! Headers, alignment and nesting live here; which attributes a request has is its author's business.

/// One request, ready but for its sequence number.
#[derive(Clone, Debug)]
pub(in crate::real) struct Request {
    kind: u16,
    flags: u16,
    /// What it asks for, as the end of "the kernel refused to …".
    pub(in crate::real) what: String,
    payload: Attributes,
}

impl Request {
    /// A request whose fixed part is `body`.
    pub(in crate::real) fn new(kind: Kind, body: &[u8], what: impl Into<String>) -> Self {
        let mut payload = Attributes::default();
        payload.bytes(body);
        let (kind, flags) = kind.code();
        Self { kind, flags, what: what.into(), payload }
    }

    /// Adds an attribute.
    #[must_use]
    pub(in crate::real) fn with(mut self, kind: u16, value: &[u8]) -> Self {
        self.payload.put(kind, value);
        self
    }

    /// Adds all of `attributes`.
    #[must_use]
    pub(in crate::real) fn with_all(mut self, attributes: &Attributes) -> Self {
        self.payload.0.extend(&attributes.0);
        self
    }

    /// Adds an attribute that consists of attributes.
    #[must_use]
    pub(in crate::real) fn nest(mut self, kind: u16, fill: impl FnOnce(&mut Attributes)) -> Self {
        self.payload.nest(kind, fill);
        self
    }

    /// Writes the whole message behind what is already in `out`.
    pub(super) fn finish(self, sequence: u32, flags: u16, out: &mut Vec<u8>) {
        let length = u32::try_from(HEADER + self.payload.0.len()).expect("requests are some hundred bytes long");
        out.extend(length.to_ne_bytes());
        out.extend(self.kind.to_ne_bytes());
        out.extend((self.flags | flags | NLM_F_REQUEST).to_ne_bytes());
        out.extend(sequence.to_ne_bytes());
        out.extend(0_u32.to_ne_bytes());
        out.extend(self.payload.0);
    }
}

/// What a request does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::real) enum Kind {
    /// Makes a link; fails when it exists.
    NewLink,
    /// Changes a link.
    SetLink,
    /// Removes a link, and with it the routes by it.
    RemoveLink,
    /// Asks for one link with its counters; for [`Socket::list`](super::Socket::list) only.
    GetLink,
    /// Gives a link an address.
    NewAddress,
    /// Makes a route.
    NewRoute,
    /// Makes a rule that chooses a table of routes.
    NewRule,
    /// Removes the rule that is like this.
    RemoveRule,
    /// Makes a neighbour entry.
    NewNeighbour,
    /// Makes a queueing discipline; fails when there is one.
    NewQdisc,
    /// Gives a queueing discipline other settings; fails when there is none.
    ChangeQdisc,
    /// Removes a queueing discipline and all that hangs in it.
    RemoveQdisc,
    /// Lists queueing disciplines; for [`Socket::list`](super::Socket::list) only.
    GetQdiscs,
}

impl Kind {
    /// Message type and flags (linux/rtnetlink.h).
    fn code(self) -> (u16, u16) {
        match self {
            Self::NewLink => (16, NLM_F_CREATE | NLM_F_EXCL),
            Self::RemoveLink => (17, 0),
            Self::GetLink => (18, NLM_F_ACK),
            Self::SetLink => (19, 0),
            Self::NewAddress => (20, NLM_F_CREATE | NLM_F_EXCL),
            Self::NewRoute => (24, NLM_F_CREATE | NLM_F_EXCL),
            Self::NewNeighbour => (28, NLM_F_CREATE | NLM_F_EXCL),
            Self::NewRule => (32, NLM_F_CREATE | NLM_F_EXCL),
            Self::RemoveRule => (33, 0),
            Self::NewQdisc => (36, NLM_F_CREATE | NLM_F_EXCL),
            Self::ChangeQdisc => (36, 0),
            Self::RemoveQdisc => (37, 0),
            Self::GetQdiscs => (38, NLM_F_DUMP),
        }
    }
}

/// A growing list of attributes.
#[derive(Clone, Debug, Default)]
pub(in crate::real) struct Attributes(Vec<u8>);

impl Attributes {
    /// Adds bytes as they are, padded to four.
    pub(in crate::real) fn bytes(&mut self, bytes: &[u8]) {
        self.0.extend(bytes);
        self.0.resize(self.0.len().next_multiple_of(4), 0);
    }

    /// Adds an attribute.
    pub(in crate::real) fn put(&mut self, kind: u16, value: &[u8]) {
        let length = u16::try_from(4 + value.len()).expect("attributes are shorter than 64 KiB");
        self.0.extend(length.to_ne_bytes());
        self.0.extend(kind.to_ne_bytes());
        self.bytes(value);
    }

    /// Adds an attribute that consists of attributes.
    pub(in crate::real) fn nest(&mut self, kind: u16, fill: impl FnOnce(&mut Self)) {
        let mut inner = Self::default();
        fill(&mut inner);
        self.put(kind, &inner.0);
    }
}

/// The end of one request, as the kernel reports it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Answer {
    /// The request's number.
    pub(super) sequence: u32,
    /// Error number; 0 is success.
    pub(super) errno: i32,
    /// The kernel's explanation.
    pub(super) words: Option<String>,
}

/// The answers in one packet; stops at the first that is cut short.
pub(super) fn answers(packet: &[u8]) -> impl Iterator<Item = Answer> {
    messages(packet).filter(|message| message.kind == NLMSG_ERROR).map_while(|message| {
        let errno = -i32::from_ne_bytes(message.body.get(..4)?.try_into().ok()?);
        // Behind the error number comes the header of our request, and its body only without NETLINK_CAP_ACK.
        let words = if message.flags & NLM_F_ACK_TLVS == 0 { None } else { words(message.body.get(4 + HEADER..)?) };
        Some(Answer { sequence: message.sequence, errno, words })
    })
}

/// One message from the kernel.
#[derive(Debug)]
pub(super) struct Message<'a> {
    pub(super) kind: u16,
    pub(super) flags: u16,
    pub(super) sequence: u32,
    /// Everything behind the header.
    pub(super) body: &'a [u8],
}

/// The messages in one packet; stops at the first that is cut short.
pub(super) fn messages(packet: &[u8]) -> impl Iterator<Item = Message<'_>> {
    let mut rest = packet;
    std::iter::from_fn(move || {
        let length = u32_at(rest, 0)? as usize;
        let message = rest.get(..length).filter(|m| m.len() >= HEADER)?;
        rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
        let (kind, flags, sequence) = (u16_at(message, 4)?, u16_at(message, 6)?, u32_at(message, 8)?);
        Some(Message { kind, flags, sequence, body: &message[HEADER..] })
    })
}

/// The attributes in `bytes`, as kind and value; stops at the first that is cut short.
pub(in crate::real) fn attributes(bytes: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    let mut rest = bytes;
    std::iter::from_fn(move || {
        let (length, kind) = (usize::from(u16_at(rest, 0)?), u16_at(rest, 2)?);
        let value = rest.get(4..length)?;
        rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some((kind & NLA_TYPE_MASK, value))
    })
}

fn words(bytes: &[u8]) -> Option<String> {
    let (_, text) = attributes(bytes).find(|(kind, _)| *kind == NLMSGERR_ATTR_MSG)?;
    Some(String::from_utf8_lossy(text).trim_end_matches('\0').to_owned())
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_ne_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

/// Length of a message header: length, type, flags, sequence number, port.
const HEADER: usize = 16;
pub(super) const NLMSG_ERROR: u16 = 2;
pub(super) const NLMSG_DONE: u16 = 3;
const NLMSGERR_ATTR_MSG: u16 = 1;
const NLA_TYPE_MASK: u16 = 0x3fff;
const NLM_F_REQUEST: u16 = 0x1;
pub(super) const NLM_F_ACK: u16 = 0x4;
const NLM_F_ACK_TLVS: u16 = 0x200;
const NLM_F_EXCL: u16 = 0x200;
const NLM_F_CREATE: u16 = 0x400;
const NLM_F_DUMP: u16 = 0x300;
pub(super) const NLM_F_DUMP_INTR: u16 = 0x10;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn request_is_header_body_and_padded_attributes() {
        let mut out = Vec::new();
        Request::new(Kind::NewQdisc, &[9; 4], "x").with(1, b"tbf\0").with(2, &[7]).finish(5, NLM_F_ACK, &mut out);
        assert_eq!(out.len(), 16 + 4 + 8 + 8);
        assert_eq!(u32_at(&out, 0), Some(36));
        assert_eq!(u16_at(&out, 4), Some(36));
        assert_eq!(u16_at(&out, 6), Some(0x605));
        assert_eq!(u32_at(&out, 8), Some(5));
        let read: Vec<_> = attributes(&out[20..]).collect();
        assert_eq!(read, [(1, b"tbf\0".as_slice()), (2, [7].as_slice())]);
    }

    #[test]
    fn answer_carries_error_number_and_the_kernels_words() {
        let mut body = Attributes::default();
        body.bytes(&(-2_i32).to_ne_bytes());
        body.bytes(&[0; HEADER]);
        body.put(NLMSGERR_ATTR_MSG, b"Specified qdisc kind is unknown\0");
        let mut packet = Vec::new();
        packet.extend(u32::try_from(HEADER + body.0.len()).unwrap().to_ne_bytes());
        packet.extend(NLMSG_ERROR.to_ne_bytes());
        packet.extend(NLM_F_ACK_TLVS.to_ne_bytes());
        packet.extend(3_u32.to_ne_bytes());
        packet.extend([0; 4]);
        packet.extend(body.0);
        let words = Some("Specified qdisc kind is unknown".to_owned());
        assert_eq!(answers(&packet).collect::<Vec<_>>(), [Answer { sequence: 3, errno: 2, words }]);
    }

    #[test]
    fn answers_that_are_cut_short_are_left_out() {
        for packet in [&[][..], &[1, 0, 0, 0], &[200, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]] {
            assert_eq!(answers(packet).count(), 0);
        }
    }
}
