//! Waits for descriptors that the runtime has no type for.
#![expect(unsafe_code, reason = "the runtime must be promised that a descriptor stays open")]

use std::io;
use std::os::fd::OwnedFd;

use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// Makes the readiness of `descriptor` something to wait for.
pub(crate) fn watch(descriptor: OwnedFd, interest: Interest) -> io::Result<AsyncFd<OwnedFd>> {
    // SAFETY: an owned descriptor is open, and the same, as long as the value that owns it.
    let watched = unsafe { AsyncFd::register_with_interest(descriptor, interest) };
    watched.map_err(|failed| failed.into_parts().1)
}
