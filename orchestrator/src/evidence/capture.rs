//! Packets of peers as they pass their own end of the link, in files that tcpdump and Wireshark read.
//!
//! One thread reads a packet socket in each peer's namespace. The latest packets are held in memory, up to `HELD_BYTES` in all;
//! what has to make room goes to the file when it lies around a fault, and is forgotten otherwise. Packets begin with their IP
//! header (`LINKTYPE_RAW`), the same with both engines. They are stamped when they are read, which on a busy host is later than
//! they passed; and what the socket's buffer has no room for is missing.

use std::{
    collections::VecDeque,
    fs::File,
    io::{self, BufWriter, Read, Write},
    os::fd::OwnedFd,
    path::PathBuf,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    net::{AddressFamily, SocketFlags, SocketType, eth, socket_with, sockopt},
};

/// Captures under way. Dropping them ends them and writes nothing more.
#[derive(Debug, Default)]
pub struct Captures {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<io::Result<Vec<Capture>>>>,
}

#[derive(Debug, Default)]
struct Shared {
    is_over: AtomicBool,
    faults: Mutex<Faults>,
}

/// What lies around faults, in spans apart from one another since the beginning of Unix time: at most one for every
/// [`BEFORE`] and [`AFTER`] together of a run, however many faults there are.
#[derive(Clone, Debug, Default)]
struct Faults(Vec<(Duration, Duration)>);

impl Faults {
    /// Takes in a fault that is later than all before it.
    fn note(&mut self, at: Duration) {
        let (from, to) = (at.saturating_sub(BEFORE), at + AFTER);
        match self.0.last_mut().filter(|last| from <= last.1) {
            Some(last) => last.1 = to,
            None => self.0.push((from, to)),
        }
    }

    /// Whether an instant lies close enough to a fault to be of interest.
    fn are_around(&self, at: Duration) -> bool {
        let next = self.0.partition_point(|(_, to)| *to < at);
        self.0.get(next).is_some_and(|(from, _)| *from <= at)
    }
}

/// How much of what is still held goes to the files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rest {
    /// All of it.
    All,
    /// What lies around faults.
    AroundFaults,
}

/// A socket that sees every packet of the namespace that the calling thread is in, in both directions.
///
/// # Errors
///
/// Without the capability over the namespace (`CAP_NET_RAW`).
pub fn open() -> io::Result<OwnedFd> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = socket_with(AddressFamily::PACKET, SocketType::DGRAM, flags, Some(eth::ALL))?;
    // Where only the usual size is allowed, that is what there is.
    let _ = sockopt::set_socket_recv_buffer_size_force(&socket, SOCKET_BYTES)
        .or_else(|_| sockopt::set_socket_recv_buffer_size(&socket, SOCKET_BYTES));
    Ok(socket)
}

impl Captures {
    /// Begins to read the sockets, each for the file at its path.
    ///
    /// # Errors
    ///
    /// When a thread cannot be started.
    pub fn begin(sockets: Vec<(OwnedFd, PathBuf)>) -> io::Result<Self> {
        if sockets.is_empty() {
            return Ok(Self::default());
        }
        let shared = Arc::<Shared>::default();
        let most = HELD_BYTES / sockets.len();
        let captures = sockets.into_iter().map(|(socket, path)| Capture::new(File::from(socket), path, most)).collect();
        let seen = Arc::clone(&shared);
        let thread = std::thread::Builder::new().name("capture".to_owned()).spawn(move || run(captures, &seen))?;
        Ok(Self { shared, thread: Some(thread) })
    }

    /// Whether nothing is captured.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.thread.is_none()
    }

    /// Notes that a fault happens now: what passes around it is kept.
    pub fn note_fault(&self) {
        self.shared.faults.lock().unwrap_or_else(PoisonError::into_inner).note(now());
    }

    /// Whether a fault was noted.
    #[must_use]
    pub fn saw_a_fault(&self) -> bool {
        !self.shared.faults.lock().unwrap_or_else(PoisonError::into_inner).0.is_empty()
    }

    /// Ends them and writes the rest; returns how many packets are in the files.
    ///
    /// # Errors
    ///
    /// When a file could not be written.
    pub fn end(mut self, rest: Rest) -> io::Result<u64> {
        let Some(thread) = self.thread.take() else { return Ok(0) };
        self.shared.is_over.store(true, Ordering::Relaxed);
        let captures = thread.join().map_err(|_| io::Error::other("the thread that captures packets panicked"))??;
        let faults = self.shared.faults.lock().unwrap_or_else(PoisonError::into_inner);
        let mut written = 0;
        for mut capture in captures {
            while let Some(packet) = capture.held.pop_front() {
                if rest == Rest::All || faults.are_around(packet.at) {
                    capture.write(&packet)?;
                }
            }
            if let Some(mut file) = capture.file {
                file.flush()?;
            }
            written += capture.written;
        }
        Ok(written)
    }
}

impl Drop for Captures {
    fn drop(&mut self) {
        self.shared.is_over.store(true, Ordering::Relaxed);
    }
}

#[derive(Debug)]
struct Capture {
    socket: File,
    path: PathBuf,
    /// Made with the first packet that is kept.
    file: Option<BufWriter<File>>,
    held: VecDeque<Packet>,
    held_bytes: usize,
    most: usize,
    written: u64,
}

#[derive(Debug)]
struct Packet {
    /// Since the beginning of Unix time.
    at: Duration,
    bytes: Box<[u8]>,
}

impl Capture {
    fn new(socket: File, path: PathBuf, most: usize) -> Self {
        Self { socket, path, file: None, held: VecDeque::new(), held_bytes: 0, most, written: 0 }
    }

    /// Takes everything that has arrived.
    fn read(&mut self, buffer: &mut [u8], faults: &Faults) -> io::Result<()> {
        loop {
            match self.socket.read(buffer) {
                Ok(length) => self.hold(Packet { at: now(), bytes: buffer[..length].into() }, faults)?,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                // The device went down; the socket goes on when it is up again.
                Err(error) if error.raw_os_error() == Some(libc::ENETDOWN) => return Ok(()),
                Err(error) => return Err(error),
            }
        }
    }

    fn hold(&mut self, packet: Packet, faults: &Faults) -> io::Result<()> {
        self.held_bytes += packet.bytes.len() + PACKET_OVERHEAD;
        self.held.push_back(packet);
        while self.held_bytes > self.most {
            let Some(oldest) = self.held.pop_front() else { break };
            self.held_bytes -= oldest.bytes.len() + PACKET_OVERHEAD;
            if faults.are_around(oldest.at) {
                self.write(&oldest)?;
            }
        }
        Ok(())
    }

    fn write(&mut self, packet: &Packet) -> io::Result<()> {
        let file = match &mut self.file {
            Some(file) => file,
            none => {
                let mut file = BufWriter::new(File::create(&self.path)?);
                file.write_all(&header())?;
                none.insert(file)
            }
        };
        let length = u32::try_from(packet.bytes.len()).unwrap_or(u32::MAX);
        let seconds = u32::try_from(packet.at.as_secs()).unwrap_or(u32::MAX);
        for field in [seconds, packet.at.subsec_nanos(), length, length] {
            file.write_all(&field.to_le_bytes())?;
        }
        self.written += 1;
        file.write_all(&packet.bytes)
    }
}

fn run(mut captures: Vec<Capture>, shared: &Shared) -> io::Result<Vec<Capture>> {
    let mut buffer = vec![0; SNAP_BYTES];
    let patience = Timespec { tv_sec: 0, tv_nsec: 50_000_000 };
    while !shared.is_over.load(Ordering::Relaxed) {
        let mut sockets: Vec<PollFd<'_>> =
            captures.iter().map(|capture| PollFd::new(&capture.socket, PollFlags::IN)).collect();
        let polled = poll(&mut sockets, Some(&patience));
        let ready: Vec<bool> = sockets.iter().map(|socket| !socket.revents().is_empty()).collect();
        if polled.is_err() {
            continue;
        }
        let faults = shared.faults.lock().unwrap_or_else(PoisonError::into_inner).clone();
        for (capture, _) in captures.iter_mut().zip(ready).filter(|(_, is_ready)| *is_ready) {
            capture.read(&mut buffer, &faults)?;
        }
    }
    Ok(captures)
}

fn now() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

/// Header of a pcap file with nanoseconds (draft-ietf-opsawg-pcap).
fn header() -> [u8; 24] {
    let mut header = [0; 24];
    header[..4].copy_from_slice(&0xa1b2_3c4d_u32.to_le_bytes());
    header[4..6].copy_from_slice(&2_u16.to_le_bytes());
    header[6..8].copy_from_slice(&4_u16.to_le_bytes());
    header[16..20].copy_from_slice(&65_535_u32.to_le_bytes());
    header[20..].copy_from_slice(&LINKTYPE_RAW.to_le_bytes());
    header
}

/// What comes before a fault and shows how it was until then.
const BEFORE: Duration = Duration::from_secs(5);
/// A ring takes some seconds to recover, a swarm's neighbours 15 s to notice a death.
const AFTER: Duration = Duration::from_secs(30);
/// Packets held in memory in all; one peer at 20 Mbit/s fills it in 100 s, ten at 2 Mbit/s as well.
const HELD_BYTES: usize = 256 << 20;
/// Room that a held packet takes beside its bytes, about.
const PACKET_OVERHEAD: usize = 64;
/// Buffer of each socket; a quarter of a second at 100 Mbit/s.
const SOCKET_BYTES: usize = 4 << 20;
/// Longest IP packet.
const SNAP_BYTES: usize = 65_535;
const LINKTYPE_RAW: u32 = 101;

#[cfg(test)]
mod tests {
    use std::{net::UdpSocket, os::fd::OwnedFd};

    use super::*;

    /// Sends packets of 100 bytes, by way of a socket that is no packet socket: what arrives is what is read.
    fn capture_of(rest: Rest, fault: bool) -> (u64, Vec<u8>) {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("a.pcap");
        let (from, to) = (UdpSocket::bind("127.0.0.1:0").unwrap(), UdpSocket::bind("127.0.0.1:0").unwrap());
        to.set_nonblocking(true).unwrap();
        let address = to.local_addr().unwrap();
        (0..3).for_each(|n| assert_eq!(from.send_to(&[n; 100], address).unwrap(), 100));
        let mut capture = Capture::new(File::from(OwnedFd::from(to)), path.clone(), HELD_BYTES);
        while capture.held.len() < 3 {
            capture.read(&mut vec![0; SNAP_BYTES], &Faults::default()).unwrap();
        }
        let shared = Arc::<Shared>::default();
        let thread = std::thread::spawn(move || Ok(vec![capture]));
        let captures = Captures { shared, thread: Some(thread) };
        if fault {
            captures.note_fault();
        }
        let written = captures.end(rest).unwrap();
        (written, std::fs::read(path).unwrap_or_default())
    }

    #[test]
    fn a_file_has_its_header_and_every_packet_its_length() {
        let (written, file) = capture_of(Rest::All, false);
        assert_eq!((written, file.len()), (3, 24 + 3 * 116));
        assert_eq!(file[..8], [0x4d, 0x3c, 0xb2, 0xa1, 2, 0, 4, 0]);
        assert_eq!(file[24 + 8..24 + 16], [100, 0, 0, 0, 100, 0, 0, 0]);
    }

    #[test]
    fn what_lies_around_no_fault_makes_no_file() {
        assert_eq!(capture_of(Rest::AroundFaults, false), (0, Vec::new()));
        assert_eq!(capture_of(Rest::AroundFaults, true).0, 3);
    }

    #[test]
    fn faults_close_together_are_one_span_and_others_are_not() {
        let mut faults = Faults::default();
        (0..600).step_by(10).chain([700]).for_each(|second| faults.note(Duration::from_secs(second)));
        assert_eq!(faults.0.len(), 2, "{faults:?}");
        let is_around: Vec<bool> =
            [0, 300, 620, 621, 694, 695, 730, 731].map(|second| faults.are_around(Duration::from_secs(second))).into();
        assert_eq!(is_around, [true, true, true, false, false, true, true, false]);
    }

    #[test]
    fn what_makes_room_is_kept_around_faults_only() {
        let place = tempfile::tempdir().unwrap();
        let socket = File::open("/dev/null").unwrap();
        let mut capture = Capture::new(socket, place.path().join("a.pcap"), 3 * 164);
        let mut faults = Faults::default();
        faults.note(Duration::from_secs(100));
        for second in [50, 94, 95, 130, 131, 200, 201, 202] {
            let packet = Packet { at: Duration::from_secs(second), bytes: vec![0; 100].into() };
            capture.hold(packet, &faults).unwrap();
        }
        assert_eq!((capture.held.len(), capture.written), (3, 2), "those of 95 s and 130 s");
    }
}
