//! The process as the kernel sees it: its tie to the parent, its memory, and datagrams it was too slow to take.
//!
//! Signals are awaited in `main`; exit codes are decided there too.

use std::fs::File;
use std::io::Read;
use std::os::fd::{AsFd, AsRawFd};

use anyhow::{Context, bail};
use libc::{SK_MEMINFO_DROPS, SO_MEMINFO, SOL_SOCKET, getsockopt, socklen_t};
use rustix::process::{Signal, getppid, set_parent_process_death_signal};

/// Asks the kernel to kill this process when its parent dies.
///
/// The kernel watches the parent's *thread* that started us, and does nothing when it died before we asked. Therefore
/// the parent's process id is compared afterwards.
///
/// # Errors
///
/// When the kernel refuses, or when the parent is not `parent` any more.
pub fn die_with_parent(parent: u32) -> anyhow::Result<()> {
    set_parent_process_death_signal(Some(Signal::KILL)).context("cannot ask to be killed with the parent process")?;
    let actual = getppid().map_or(0, |pid| pid.as_raw_nonzero().get());
    if i64::from(actual) != i64::from(parent) {
        bail!("the parent process {parent} has died (the parent is now {actual})");
    }
    Ok(())
}

/// Resident memory of this process, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Resident {
    /// Now.
    pub now: u64,
    /// Most since the process began.
    pub peak: u64,
}

impl Resident {
    /// What the kernel says; zeros when /proc is not mounted.
    #[must_use]
    pub fn read() -> Self {
        // In one read, since this is done every second and by hundreds of peers.
        let mut text = [0; STATUS_BYTES];
        let length = File::open("/proc/self/status").and_then(|mut file| file.read(&mut text)).unwrap_or(0);
        let status = String::from_utf8_lossy(&text[..length]);
        let bytes = |key: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(key));
            let kilobytes: Option<u64> = line.and_then(|rest| rest.split_whitespace().next()?.parse().ok());
            kilobytes.unwrap_or(0) * 1024
        };
        Self { now: bytes("VmRSS:"), peak: bytes("VmHWM:") }
    }
}

/// Datagrams that were dropped because the receive buffer of `socket` was full; 0 where the kernel does not tell.
///
/// Asked of the socket itself (`SO_MEMINFO`). The same number stands in `/proc/net/udp`, but for that the kernel walks its
/// whole table of sockets.
#[must_use]
pub fn receive_dropped(socket: impl AsFd) -> u64 {
    let mut memory = [0_u32; SK_MEMINFO_VARS];
    let mut length = size_of_val(&memory) as socklen_t;
    // SAFETY: SO_MEMINFO writes at most `length` bytes of numbers to `memory`, and both live until the call returns.
    let refused = unsafe {
        getsockopt(socket.as_fd().as_raw_fd(), SOL_SOCKET, SO_MEMINFO, memory.as_mut_ptr().cast(), &raw mut length)
    };
    if refused == 0 { memory[SK_MEMINFO_DROPS as usize].into() } else { 0 }
}

/// Room for `/proc/self/status`, of which the memory's lines are in the first thousand bytes.
const STATUS_BYTES: usize = 4096;

/// Numbers that `SO_MEMINFO` tells; later kernels may have more and tell these first.
const SK_MEMINFO_VARS: usize = 9;

#[cfg(test)]
mod tests {
    use std::net::UdpSocket;

    use super::*;

    #[test]
    fn what_a_full_receive_buffer_drops_is_counted_to_the_datagram() {
        let (full, sender) = (UdpSocket::bind("127.0.0.1:0").unwrap(), UdpSocket::bind("127.0.0.1:0").unwrap());
        full.set_nonblocking(true).unwrap();
        socket2::SockRef::from(&full).set_recv_buffer_size(16 << 10).unwrap();
        assert_eq!(receive_dropped(&full), 0);
        for _ in 0..200 {
            sender.send_to(&[0; 1000], full.local_addr().unwrap()).unwrap();
        }
        let mut buffer = [0; 1000];
        let taken = std::iter::from_fn(|| full.recv(&mut buffer).ok()).count() as u64;
        assert!(taken < 200, "nothing was dropped");
        assert_eq!(receive_dropped(&full), 200 - taken);
    }

    #[test]
    fn memory_now_is_some_and_not_above_its_peak() {
        let resident = Resident::read();
        assert!(0 < resident.now && resident.now <= resident.peak, "{resident:?}");
    }
}
