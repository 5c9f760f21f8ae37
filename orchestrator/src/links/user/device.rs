//! A peer's end of its link: a TUN device in the peer's namespace whose packets we carry.
//!
//! Making, reading and writing it lives here; its address and routes are given by whoever builds the namespace.

use std::{
    io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
};

use rustix::fs::{Mode, OFlags};

use super::system;

/// A TUN device. It lives as long as its namespace, and this value keeps the namespace alive.
#[derive(Debug)]
pub struct Device {
    tun: OwnedFd,
    trains: Trains,
}

/// Which trains a device's kernel hands over and takes whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Trains {
    /// None: every packet comes by itself.
    None,
    /// TCP's (kernels before 6.2).
    Tcp,
    /// TCP's and UDP's.
    TcpAndUdp,
}

impl Device {
    /// Makes a device in the network namespace of the calling thread. It belongs there, whichever thread uses it.
    ///
    /// It is down and has no address. Trains are asked for and taken as far as the kernel knows them.
    ///
    /// # Errors
    ///
    /// When `/dev/net/tun` is not there (a container may need `--device /dev/net/tun`), the thread lacks the capability
    /// over its namespace, or name or index are taken.
    pub fn create(name: &str, index: u32) -> io::Result<Self> {
        let flags = OFlags::RDWR | OFlags::CLOEXEC | OFlags::NONBLOCK;
        let tun = rustix::fs::open("/dev/net/tun", flags, Mode::empty())?;
        system::choose_index(tun.as_fd(), index)?;
        system::make_device(tun.as_fd(), name)?;
        // To take a device apart costs the kernel some 20 ms, which it spends once for all devices of namespaces that end
        // together, but for every file that is closed.
        system::outlive_file(tun.as_fd())?;
        let steps = [
            (Trains::TcpAndUdp, system::CHECKSUM | system::TCP_TRAINS | system::UDP_TRAINS),
            (Trains::Tcp, system::CHECKSUM | system::TCP_TRAINS),
            (Trains::None, 0),
        ];
        let accepted = steps.iter().find(|(_, offloads)| system::switch_on_offloads(tun.as_fd(), *offloads).is_ok());
        let trains = accepted.map_or(Trains::None, |(trains, _)| *trains);
        Ok(Self { tun, trains })
    }

    /// Which trains stay whole.
    #[must_use]
    pub fn trains(&self) -> Trains {
        self.trains
    }

    /// Reads one frame that the peer has sent into `buffer`, and returns its length; none when there is none.
    ///
    /// # Errors
    ///
    /// When the device is gone.
    pub(super) fn read(&self, buffer: &mut [u8]) -> io::Result<Option<usize>> {
        match rustix::io::read(&self.tun, buffer) {
            Ok(length) => Ok(Some(length)),
            Err(rustix::io::Errno::AGAIN | rustix::io::Errno::INTR) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Hands one frame to the peer.
    ///
    /// # Errors
    ///
    /// When the device is down or gone, or the kernel does not take the frame.
    pub(super) fn write(&self, frame: &[u8]) -> io::Result<()> {
        rustix::io::write(&self.tun, frame)?;
        Ok(())
    }
}

impl AsFd for Device {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.tun.as_fd()
    }
}
