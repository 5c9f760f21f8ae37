//! A synchronous route-netlink socket that sends many requests at once.
//!
//! Requests are packed in `netlink/message`; here they are sent in batches, and answers are matched to them, so that
//! an error names its request and carries the kernel's own words. What is requested lives in `network` and `qdisc`.

mod message;

use std::{fmt, io};

use netlink_sys::{Socket as RawSocket, SocketAddr, protocols::NETLINK_ROUTE};

pub(super) use self::message::{Attributes, Kind, Request, attributes};

/// A netlink socket of one network namespace: of the one that the opening thread was in.
pub(super) struct Socket {
    raw: RawSocket,
    /// Number of the next request; wraps.
    sequence: u32,
}

impl Socket {
    /// Opens a socket in the calling thread's network namespace. It may be used from anywhere afterwards.
    pub(super) fn open() -> io::Result<Self> {
        let raw = RawSocket::new(NETLINK_ROUTE)?;
        // The kernel's reason in words, and no copy of our own request in every answer.
        raw.set_ext_ack(true)?;
        raw.set_cap_ack(true)?;
        raw.connect(&SocketAddr::new(0, 0))?;
        Ok(Self { raw, sequence: 1 })
    }

    /// Performs all requests in order; goes on behind one that fails.
    ///
    /// # Errors
    ///
    /// The first failure, with the number of further ones.
    pub(super) fn perform(&mut self, requests: Vec<Request>) -> Result<(), Error> {
        let mut first: Option<Error> = None;
        let mut requests = requests.into_iter().peekable();
        while requests.peek().is_some() {
            let batch: Vec<Request> = requests.by_ref().take(BATCH_MAX).collect();
            let failures = self.exchange(batch).map_err(|e| Error::transport(&e))?;
            for failure in failures {
                match &mut first {
                    None => first = Some(failure),
                    Some(first) => first.further += 1,
                }
            }
        }
        first.map_or(Ok(()), Err)
    }

    /// Asks for a list, or for one thing, and returns what is told about it, message by message without headers.
    ///
    /// # Errors
    ///
    /// When the kernel refuses, or when the list changed while it was read.
    pub(super) fn list(&mut self, request: Request) -> Result<Vec<Vec<u8>>, Error> {
        let (what, sequence) = (request.what.clone(), self.sequence);
        self.sequence = self.sequence.wrapping_add(1);
        let mut bytes = Vec::new();
        request.finish(sequence, 0, &mut bytes);
        self.raw.send(&bytes, 0).map_err(|e| Error::transport(&e))?;
        let mut listed = Vec::new();
        loop {
            let (packet, _) = self.raw.recv_from_full().map_err(|e| Error::transport(&e))?;
            for message in message::messages(&packet).filter(|message| message.sequence == sequence) {
                if message.flags & message::NLM_F_DUMP_INTR != 0 {
                    let words = Some("the list changed while it was read".to_owned());
                    return Err(Error { request: what, errno: "interrupted".into(), words, further: 0 });
                }
                match message.kind {
                    message::NLMSG_DONE => return Ok(listed),
                    message::NLMSG_ERROR => {
                        let answer = message::answers(&packet).next();
                        let errno = answer.map_or(0, |answer| answer.errno);
                        if errno == 0 {
                            // The end of what was told about one thing.
                            return Ok(listed);
                        }
                        let errno = io::Error::from_raw_os_error(errno).to_string();
                        return Err(Error { request: what, errno, words: None, further: 0 });
                    }
                    _ => listed.push(message.body.to_vec()),
                }
            }
        }
    }

    /// Sends one batch and collects its failures. Only the last request asks for an answer of its own; the others
    /// answer only when they fail, and always before the last.
    fn exchange(&mut self, batch: Vec<Request>) -> io::Result<Vec<Error>> {
        let (first, last) = (self.sequence, batch.len() - 1);
        let mut bytes = Vec::with_capacity(batch.len() * 256);
        let mut names = Vec::with_capacity(batch.len());
        for (index, request) in batch.into_iter().enumerate() {
            names.push(request.what.clone());
            let flags = if index == last { message::NLM_F_ACK } else { 0 };
            request.finish(self.sequence, flags, &mut bytes);
            self.sequence = self.sequence.wrapping_add(1);
        }
        self.raw.send(&bytes, 0)?;
        let mut failures = Vec::new();
        loop {
            let (packet, _) = self.raw.recv_from_full()?;
            for answer in message::answers(&packet) {
                let message::Answer { sequence, errno, words } = answer;
                let index = sequence.wrapping_sub(first) as usize;
                if let Some(name) = names.get(index).filter(|_| errno != 0) {
                    let errno = io::Error::from_raw_os_error(errno).to_string();
                    failures.push(Error { request: name.clone(), errno, words, further: 0 });
                }
                if index == last {
                    return Ok(failures);
                }
            }
        }
    }
}

impl fmt::Debug for Socket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Socket").field("sequence", &self.sequence).finish_non_exhaustive()
    }
}

/// A request that the kernel refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Error {
    /// What was asked: `add tbf to eth0 of home-3`.
    pub(super) request: String,
    /// The error number's text.
    pub(super) errno: String,
    /// The kernel's own explanation, where it gave one.
    pub(super) words: Option<String>,
    /// Requests behind it that failed too.
    pub(super) further: usize,
}

impl Error {
    fn transport(error: &io::Error) -> Self {
        Self { request: "talk to the kernel over netlink".into(), errno: error.to_string(), words: None, further: 0 }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the kernel refused to {}: {}", self.request, self.errno)?;
        if let Some(words) = &self.words {
            write!(f, " ({words})")?;
        }
        match self.further {
            0 => Ok(()),
            n => write!(f, "; {n} more requests failed"),
        }
    }
}

impl std::error::Error for Error {}

/// Requests per send. 64 of at most about 600 bytes stay well below the socket's default send buffer of 208 KiB, and
/// their failures, should all fail, below its receive buffer.
const BATCH_MAX: usize = 64;
