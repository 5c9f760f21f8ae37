//! The engine's system calls for which there is no safe wrapper, and all of its unsafe code.
//!
//! Making a TUN device takes four `ioctl`s, a thread's scheduling class one call.

use std::{
    io,
    os::fd::{AsRawFd, BorrowedFd},
};

use libc::{c_int, c_short, c_uint, c_ulong};

/// Ties an open `/dev/net/tun` to a new device of this name, packets without a protocol prefix and with offload header.
///
/// # Errors
///
/// When the name is too long or taken, or the thread may not configure the network namespace in which it opened `tun`.
pub(super) fn make_device(tun: BorrowedFd<'_>, name: &str) -> io::Result<()> {
    // SAFETY: `ifreq` is a C structure of numbers and arrays, for which all bits zero is a value.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    // One byte stays zero: the kernel reads a C string.
    if name.is_empty() || name.len() >= request.ifr_name.len() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "a device's name has 1 to 15 bytes"));
    }
    for (slot, byte) in request.ifr_name.iter_mut().zip(name.bytes()) {
        *slot = byte as libc::c_char;
    }
    request.ifr_ifru.ifru_flags = (libc::IFF_TUN | libc::IFF_NO_PI | libc::IFF_VNET_HDR) as c_short;
    // SAFETY: TUNSETIFF reads and writes one `ifreq`, which lives until the call returns.
    check(unsafe { libc::ioctl(tun.as_raw_fd(), libc::TUNSETIFF, &raw mut request) })
}

/// Asks that the next device made from this open `/dev/net/tun` gets this index in its namespace.
///
/// # Errors
///
/// When `tun` is tied to a device already.
pub(super) fn choose_index(tun: BorrowedFd<'_>, index: u32) -> io::Result<()> {
    let index: c_uint = index;
    // SAFETY: TUNSETIFINDEX reads one unsigned int, which lives until the call returns.
    check(unsafe { libc::ioctl(tun.as_raw_fd(), libc::TUNSETIFINDEX, &raw const index) })
}

/// Lets a device live as long as its network namespace rather than as long as the file.
///
/// # Errors
///
/// When `tun` is not tied to a device.
pub(super) fn outlive_file(tun: BorrowedFd<'_>) -> io::Result<()> {
    // SAFETY: TUNSETPERSIST takes its argument by value.
    check(unsafe { libc::ioctl(tun.as_raw_fd(), libc::TUNSETPERSIST, c_ulong::from(1_u8)) })
}

/// Tells the kernel which work it may leave to the reader of a device: [`CHECKSUM`], [`TCP_TRAINS`], [`UDP_TRAINS`].
///
/// # Errors
///
/// When this kernel does not know one of them.
pub(super) fn switch_on_offloads(tun: BorrowedFd<'_>, offloads: c_uint) -> io::Result<()> {
    // SAFETY: TUNSETOFFLOAD takes its argument by value.
    check(unsafe { libc::ioctl(tun.as_raw_fd(), libc::TUNSETOFFLOAD, c_ulong::from(offloads)) })
}

/// Gives the calling thread the lowest real-time priority. Processes and threads it starts do not inherit it.
///
/// # Errors
///
/// Without the capability, or where the process's control group has no real-time share.
pub(super) fn become_realtime() -> io::Result<()> {
    let parameters = libc::sched_param { sched_priority: 1 };
    let policy = libc::SCHED_FIFO | libc::SCHED_RESET_ON_FORK;
    // SAFETY: the call reads one `sched_param`, which lives until it returns; 0 is the calling thread.
    check(unsafe { libc::sched_setscheduler(0, policy, &raw const parameters) })
}

fn check(result: c_int) -> io::Result<()> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Checksums need not be complete.
pub(super) const CHECKSUM: c_uint = libc::TUN_F_CSUM;
/// Trains of TCP segments over IPv4 and IPv6, with congestion marks or without.
pub(super) const TCP_TRAINS: c_uint = libc::TUN_F_TSO4 | libc::TUN_F_TSO6 | libc::TUN_F_TSO_ECN;
/// Trains of UDP datagrams over IPv4 and IPv6 (kernels from 6.2 on).
pub(super) const UDP_TRAINS: c_uint = libc::TUN_F_USO4 | libc::TUN_F_USO6;
