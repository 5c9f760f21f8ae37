//! What happens to a process of somebody else's between fork and exec: it enters a peer's namespace and sees the names of
//! all peers.

use std::{ffi::CString, os::unix::process::CommandExt, process::Command};

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
