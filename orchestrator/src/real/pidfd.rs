//! Process descriptors, and the tie of a process to its parent: the two places where processes need unsafe code.
//!
//! What is done with them lives in `process` and `supervisor`.

use std::{
    io,
    os::{
        fd::{AsFd, OwnedFd},
        unix::process::CommandExt,
    },
    process::{Child, Command},
    sync::Arc,
};

use rustix::process::{
    Pid, PidfdFlags, Signal, getpid, getppid, pidfd_open, pidfd_send_signal, set_parent_process_death_signal,
};
use tokio::io::{Interest, unix::AsyncFd};

/// A reference to one process that can never come to mean another.
#[derive(Clone, Debug)]
pub(crate) struct PidFd(Arc<OwnedFd>);

impl PidFd {
    /// A reference to a child that has not been waited for.
    pub(crate) fn open(child: &Child) -> io::Result<Self> {
        Ok(Self(Arc::new(pidfd_open(Pid::from_child(child), PidfdFlags::NONBLOCK)?)))
    }

    /// A reference to whatever process has this number now.
    pub(super) fn of(pid: Pid) -> io::Result<Self> {
        Ok(Self(Arc::new(pidfd_open(pid, PidfdFlags::NONBLOCK)?)))
    }

    /// Sends a signal to the process; one that has ended is left alone.
    pub(crate) fn signal(&self, signal: Signal) -> io::Result<()> {
        match pidfd_send_signal(self.0.as_fd(), signal) {
            Err(rustix::io::Errno::SRCH) => Ok(()),
            result => Ok(result?),
        }
    }

    /// A watch that is readable from the process's end on.
    pub(crate) fn watch(&self) -> io::Result<AsyncFd<Arc<OwnedFd>>> {
        // SAFETY: the descriptor is owned by the `Arc` that goes into the `AsyncFd`, is never closed or replaced while
        // that lives, and `OwnedFd` always returns the same number.
        Ok(unsafe { AsyncFd::register_with_interest(Arc::clone(&self.0), Interest::READABLE) }?)
    }
}

/// Lets the kernel kill the process that `command` starts when the thread that starts it ends, however it ends.
pub(crate) fn die_with_parent(command: &mut Command) {
    let parent = getpid();
    // SAFETY: between fork and exec only three system calls are made, nothing is allocated and no lock is taken.
    unsafe {
        command.pre_exec(move || {
            set_parent_process_death_signal(Some(Signal::KILL))?;
            // The parent may have died before the line above took effect. Nobody is left to be told about it.
            if getppid() != Some(parent) {
                libc::_exit(1);
            }
            Ok(())
        });
    }
}
