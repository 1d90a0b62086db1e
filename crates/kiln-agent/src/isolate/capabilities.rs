//! What the root user of a node may do.

use rustix::thread::{CapabilitySet, remove_capability_from_bounding_set};

/// Rights that would let the root user of a node undo its view or reach beyond it. What
/// package managers need (owners, modes, users, `chroot`) stays.
const TAKEN: [CapabilitySet; 16] = [
    CapabilitySet::SYS_ADMIN,
    CapabilitySet::SYS_MODULE,
    CapabilitySet::SYS_RAWIO,
    CapabilitySet::SYS_PTRACE,
    CapabilitySet::SYS_PACCT,
    CapabilitySet::SYS_BOOT,
    CapabilitySet::SYS_TIME,
    CapabilitySet::SYS_TTY_CONFIG,
    CapabilitySet::NET_ADMIN,
    CapabilitySet::MAC_ADMIN,
    CapabilitySet::MAC_OVERRIDE,
    CapabilitySet::SYSLOG,
    CapabilitySet::AUDIT_CONTROL,
    CapabilitySet::PERFMON,
    CapabilitySet::BPF,
    CapabilitySet::CHECKPOINT_RESTORE,
];

/// Takes the rights from all programs that this thread starts from now on, and from all that they
/// start. One thread of a node's first process keeps them, for the engine of containers.
pub(crate) fn limit() -> rustix::io::Result<()> {
    for right in TAKEN {
        match remove_capability_from_bounding_set(right) {
            // A right that this kernel does not know needs no taking.
            Ok(()) | Err(rustix::io::Errno::INVAL) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Takes every right from the program that this process runs next, whoever its user is.
/// A process that may not do so has none to give away.
pub(crate) fn drop_all() {
    for bit in 0..u64::BITS {
        let right = CapabilitySet::from_bits_retain(1 << bit);
        let _unknown = remove_capability_from_bounding_set(right);
    }
}
