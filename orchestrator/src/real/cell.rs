//! What happens to a process of somebody else's between fork and exec: it enters a peer's namespace, sees the names of
//! all peers, and, where it is a peer itself, gets a process namespace of its own.
//!
//! A program that is a peer may start others, and forget them. They all live in one process namespace, whose first
//! process is a warden of ours: it hands signals on to the program and ends with the program's exit code. Another warden
//! outside of it, the child of the supervisor, does the same for the first. When a warden ends, or is killed with the
//! orchestrator, the kernel kills whoever else is in there.

use std::{
    ffi::CString,
    io,
    os::{fd::OwnedFd, unix::process::CommandExt},
    process::{Child, Command},
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    process::{PidfdFlags, Signal, getpid, pidfd_open, set_parent_process_death_signal},
    thread::UnshareFlags,
};

use crate::real::netns::{self, Namespace};

/// Files that stand in the place of others in a process's view of the file system: new and old path.
pub(super) type Replacements = Vec<(CString, CString)>;

/// Lets the process that `command` starts enter `namespace` and see the files in the place of others.
pub(super) fn enter(command: &mut Command, namespace: Namespace, files: Replacements) {
    // SAFETY: between fork and exec only system calls are made, nothing is allocated and no lock is taken.
    unsafe {
        command.pre_exec(move || {
            namespace.enter()?;
            netns::replace_files(&files)
        });
    }
}

/// Starts `command` as a program in a process namespace of its own; the child is its outer warden.
///
/// The calling thread must be the one whose end shall end the program.
///
/// # Errors
///
/// When the kernel refuses the namespace, or the program cannot be started.
pub(super) fn spawn(command: &mut Command, files: Replacements) -> io::Result<Child> {
    let parent = pidfd_open(getpid(), PidfdFlags::empty())?;
    // SAFETY: between fork and exec only system calls are made, nothing is allocated and no lock is taken;
    // `leave_a_warden` says why its fork is sound.
    unsafe {
        command.pre_exec(move || {
            die_with(&parent)?;
            // Who makes a process namespace is not in it; the next child is its first process. The supervisor itself
            // could not come back from there without being root.
            rustix::thread::unshare_unsafe(UnshareFlags::NEWPID)?;
            leave_a_warden()?;
            die_with(&parent)?;
            netns::replace_files(&files)?;
            // Programs that ask /proc about themselves by number; refused in some containers, and most do not ask.
            let _ = rustix::mount::mount(c"proc", c"/proc", c"proc", rustix::mount::MountFlags::empty(), None);
            leave_a_warden()
        });
    }
    command.spawn()
}

/// The program behind the two wardens of which `outer` is the first; none where the kernel does not tell.
pub(super) fn program_of(outer: u32) -> Option<u32> {
    let child = |parent: u32| -> Option<u32> {
        let children = std::fs::read_to_string(format!("/proc/{parent}/task/{parent}/children")).ok()?;
        children.split_whitespace().next()?.parse().ok()
    };
    child(child(outer)?)
}

/// Has the kernel kill the calling process when its parent ends; ends it when the orchestrator has ended already, and
/// nobody is left to be told about it.
fn die_with(orchestrator: &OwnedFd) -> io::Result<()> {
    set_parent_process_death_signal(Some(Signal::KILL))?;
    if has_ended(orchestrator)? {
        // SAFETY: ends this process without anything else.
        unsafe { libc::_exit(1) };
    }
    Ok(())
}

fn has_ended(process: &OwnedFd) -> io::Result<bool> {
    let mut ends = [PollFd::new(process, PollFlags::IN)];
    Ok(poll(&mut ends, Some(&Timespec { tv_sec: 0, tv_nsec: 0 }))? > 0)
}

/// Parts the calling process in two: the child returns; the parent stays as its warden and never returns.
fn leave_a_warden() -> io::Result<()> {
    // SAFETY: a set of signals is plain data, and every call here is a system call on data of this function. The calling
    // process was forked and has one thread, so that its copy owns whatever it copies; the copy goes straight to exec.
    unsafe {
        let (mut all, mut before) = (std::mem::zeroed::<libc::sigset_t>(), std::mem::zeroed::<libc::sigset_t>());
        libc::sigfillset(&raw mut all);
        // Signals wait from here on, so that none is lost between fork and loop.
        libc::sigprocmask(libc::SIG_BLOCK, &raw const all, &raw mut before);
        match libc::fork() {
            -1 => Err(io::Error::last_os_error()),
            0 => {
                libc::sigprocmask(libc::SIG_SETMASK, &raw const before, std::ptr::null_mut());
                Ok(())
            }
            program => {
                // The orchestrator's files are not ours to keep, nor the pipe by which it hears of the exec.
                libc::syscall(libc::SYS_close_range, 0, libc::c_uint::MAX, 0);
                watch_over(program, &all)
            }
        }
    }
}

/// The warden's life: hands signals on and buries the dead until the program has ended.
///
/// # Safety
///
/// Makes system calls only; the caller owns the process, in which all signals are blocked.
unsafe fn watch_over(program: libc::pid_t, all: &libc::sigset_t) -> ! {
    loop {
        // SAFETY: no information is asked for, and the set is the caller's.
        let signal = unsafe { libc::sigwaitinfo(all, std::ptr::null_mut()) };
        if signal > 0 && signal != libc::SIGCHLD {
            // SAFETY: a system call. The number is the program's until it is waited for, which only this loop does.
            unsafe { libc::kill(program, signal) };
        }
        loop {
            let mut status = 0;
            // SAFETY: the status is this function's own.
            let ended = unsafe { libc::waitpid(-1, &raw mut status, libc::WNOHANG) };
            if ended <= 0 {
                break;
            }
            if ended == program {
                let by_signal = libc::WIFSIGNALED(status);
                let code = if by_signal { SIGNALLED + libc::WTERMSIG(status) } else { libc::WEXITSTATUS(status) };
                // SAFETY: ends this process, and with it its namespace.
                unsafe { libc::_exit(code) };
            }
        }
    }
}

/// What a shell adds to the number of the signal that ended a program; a warden cannot end by a signal as it did.
pub(super) const SIGNALLED: i32 = 128;
