//! Network and user namespaces: entering and holding them.
//!
//! Namespaces have no names: each is held by a file descriptor and vanishes with the last of them, however this
//! process ends. Unsafe code is allowed here and in `pidfd`, each use with its reason. What is built inside the
//! namespaces lives in `network`; what the host offers, in `doctor`.

use std::{
    ffi::CString,
    fmt, fs, io,
    os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd},
};

use rustix::{
    fs::{Mode, OFlags},
    mount::{MountPropagationFlags, mount_bind, mount_change},
    process::{getgid, getuid},
    thread::{LinkNameSpaceType, UnshareFlags, move_into_link_name_space},
};

use crate::live::{NamespaceRef, ProcessRef};

/// A network namespace, alive as long as this value (and the processes and sockets inside).
#[derive(Debug)]
pub struct Namespace(OwnedFd);

impl Namespace {
    /// Makes a network namespace and leaves the calling thread inside it. Other threads stay where they are.
    ///
    /// # Errors
    ///
    /// Without the capability over the current user namespace, or at the host's limit of namespaces.
    pub fn create() -> io::Result<Self> {
        // SAFETY: only the network namespace of this thread changes; `unshare` is unsafe because other flags could
        // part the threads' view of file descriptors.
        unsafe { rustix::thread::unshare_unsafe(UnshareFlags::NEWNET)? };
        Self::current()
    }

    /// The network namespace that the calling thread is in.
    ///
    /// # Errors
    ///
    /// When `/proc` is not there or file descriptors have run out.
    pub fn current() -> io::Result<Self> {
        let flags = OFlags::RDONLY | OFlags::CLOEXEC;
        Ok(Self(rustix::fs::open("/proc/thread-self/ns/net", flags, Mode::empty())?))
    }

    /// The namespace that another process holds by a file descriptor.
    ///
    /// # Errors
    ///
    /// When the process is another user's or has gone, or the descriptor is no longer that of the namespace.
    pub fn held_by(holder: &ProcessRef, reference: NamespaceRef) -> io::Result<Self> {
        let path = format!("/proc/{}/fd/{}", holder.pid, reference.descriptor);
        let held = Self(rustix::fs::open(path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?);
        // The process may have ended meanwhile, and its number or the descriptor's may mean something else by now.
        if held.reference()?.inode == reference.inode {
            Ok(held)
        } else {
            Err(io::Error::new(io::ErrorKind::NotFound, "the namespace is gone"))
        }
    }

    /// How other processes find this namespace while it is held here.
    ///
    /// # Errors
    ///
    /// Never on a descriptor of a namespace.
    pub fn reference(&self) -> io::Result<NamespaceRef> {
        Ok(NamespaceRef { descriptor: self.0.as_raw_fd(), inode: rustix::fs::fstat(&self.0)?.st_ino })
    }

    /// Moves the calling thread into this namespace. Processes that it starts from now on begin there.
    ///
    /// # Errors
    ///
    /// Without the capability over the namespace's owner.
    pub fn enter(&self) -> io::Result<()> {
        Ok(move_into_link_name_space(self.0.as_fd(), Some(LinkNameSpaceType::Network))?)
    }
}

impl AsFd for Namespace {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// How this process may make namespaces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Privilege {
    /// It had the capabilities from the start, usually as root.
    Held,
    /// It has them in a user namespace of its own, in which it appears as root.
    UserNamespace,
}

/// Enters a user namespace unless this process may make network namespaces as it is.
///
/// Must be called before any thread starts: the kernel lets only single-threaded processes do this. Files that are
/// written afterwards belong to the same user as before.
///
/// # Errors
///
/// When neither is possible; the message says what to change.
pub fn enter_user_namespace_if_needed() -> Result<Privilege, NoNamespaces> {
    if has_capabilities() {
        return Ok(Privilege::Held);
    }
    let (user, group) = (getuid().as_raw(), getgid().as_raw());
    // SAFETY: the caller has not started a thread yet, and no file descriptors are unshared.
    unsafe { rustix::thread::unshare_unsafe(UnshareFlags::NEWUSER) }
        .map_err(|e| NoNamespaces::new("making a user namespace", &e.into()))?;
    // Without this line the kernel refuses a group map from an unprivileged process (user_namespaces(7)).
    fs::write("/proc/self/setgroups", "deny")
        .and_then(|()| fs::write("/proc/self/gid_map", format!("0 {group} 1")))
        .and_then(|()| fs::write("/proc/self/uid_map", format!("0 {user} 1")))
        .map_err(|e| NoNamespaces::new("becoming root in the new user namespace", &e))?;
    // Some hosts allow the user namespace and deny everything inside it, so that only an attempt can tell.
    std::thread::spawn(Namespace::create)
        .join()
        .unwrap_or_else(|_| Err(io::Error::other("the probing thread failed")))
        .map_err(|e| NoNamespaces::new("making a network namespace inside the new user namespace", &e))?;
    Ok(Privilege::UserNamespace)
}

/// Enters the user namespace of another process, unless this process may enter its network namespaces as it is.
///
/// Must be called before any thread starts.
///
/// # Errors
///
/// When that process is another user's.
pub fn enter_user_namespace_of(holder: &ProcessRef) -> io::Result<()> {
    if has_capabilities() {
        return Ok(());
    }
    let path = format!("/proc/{}/ns/user", holder.pid);
    let namespace = rustix::fs::open(path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
    Ok(move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::User))?)
}

/// Gives the calling process a view of the file system of its own, in which each first file stands in the place of
/// the second. Makes system calls only, so that it may be called between fork and exec.
///
/// # Errors
///
/// Without the capability, or when one of the files is not there.
pub(super) fn replace_files(replacements: &[(CString, CString)]) -> io::Result<()> {
    // SAFETY: the caller has a single thread, or is between fork and exec; no file descriptors are unshared.
    unsafe { rustix::thread::unshare_unsafe(UnshareFlags::NEWNS)? };
    // Without this line the host would see what is mounted below.
    mount_change(c"/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC)?;
    for (new, old) in replacements {
        mount_bind(new.as_c_str(), old.as_c_str())?;
    }
    Ok(())
}

/// Neither this user nor a user namespace may make network namespaces here.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct NoNamespaces {
    /// What failed and how.
    pub cause: String,
    /// What to change, most likely first.
    pub cures: Vec<String>,
}

impl NoNamespaces {
    fn new(doing: &str, error: &io::Error) -> Self {
        Self { cause: format!("{doing} failed: {error}"), cures: cures(|path| fs::read_to_string(path).ok()) }
    }
}

impl fmt::Display for NoNamespaces {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "this user cannot make network namespaces ({}); {}", self.cause, self.cures.join("; or "))
    }
}

/// What to change on a host where namespaces are refused, judged by its settings as `read` shows them.
pub(crate) fn cures(read: impl Fn(&str) -> Option<String>) -> Vec<String> {
    let setting = |path: &str| read(path).and_then(|text| text.trim().parse::<u64>().ok());
    let mut cures = Vec::new();
    if setting("/proc/sys/kernel/unprivileged_userns_clone") == Some(0) {
        cures.push("allow user namespaces: sysctl -w kernel.unprivileged_userns_clone=1".to_owned());
    }
    if setting("/proc/sys/user/max_user_namespaces") == Some(0) {
        cures.push("allow user namespaces: sysctl -w user.max_user_namespaces=65536".to_owned());
    }
    if setting("/proc/sys/user/max_net_namespaces") == Some(0) {
        cures.push("allow network namespaces: sysctl -w user.max_net_namespaces=65536".to_owned());
    }
    if setting("/proc/sys/kernel/apparmor_restrict_unprivileged_userns") == Some(1) {
        cures.push("lift AppArmor's restriction: sysctl -w kernel.apparmor_restrict_unprivileged_userns=0".to_owned());
    }
    if cures.is_empty() && getuid().is_root() {
        cures.push(
            "give the container the capability: --cap-add SYS_ADMIN --cap-add NET_ADMIN \
                    --security-opt seccomp=unconfined (docker, podman)"
                .to_owned(),
        );
    }
    cures.push("run as root: sudo peerbed …".to_owned());
    cures
}

/// Whether the effective capabilities hold what making and filling namespaces takes.
fn has_capabilities() -> bool {
    let Ok(status) = fs::read_to_string("/proc/self/status") else { return false };
    let mask = status
        .lines()
        .find_map(|line| line.strip_prefix("CapEff:"))
        .and_then(|text| u64::from_str_radix(text.trim(), 16).ok())
        .unwrap_or(0);
    [CAP_NET_ADMIN, CAP_SYS_ADMIN].into_iter().all(|bit| mask & (1 << bit) != 0)
}

/// Number of the capability to configure networks (linux/capability.h).
const CAP_NET_ADMIN: u32 = 12;
/// Number of the capability to make namespaces (linux/capability.h).
const CAP_SYS_ADMIN: u32 = 21;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_closed_door_is_named_with_its_key() {
        let found = cures(|path| path.ends_with("apparmor_restrict_unprivileged_userns").then(|| "1\n".to_owned()));
        assert!(found[0].contains("kernel.apparmor_restrict_unprivileged_userns=0"), "{found:?}");
        let found = cures(|path| path.ends_with("max_user_namespaces").then(|| "0\n".to_owned()));
        assert!(found[0].contains("user.max_user_namespaces="), "{found:?}");
        let found = cures(|path| path.ends_with("unprivileged_userns_clone").then(|| "0".to_owned()));
        assert!(found[0].contains("kernel.unprivileged_userns_clone=1"), "{found:?}");
        assert!(found.last().unwrap().contains("root"));
    }
}
