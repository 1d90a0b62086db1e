//! Does something on the machine with the rights of a user of a node.

use rustix::process::{Gid, Uid, getgroups};
use rustix::thread::{set_thread_groups, set_thread_res_gid, set_thread_res_uid};

use crate::node_init::message::UserId;

/// Does `work`, which must not wait for other threads, as the machine's user `user`: what that
/// user may not read, it can not read. `None` and the machine's root are the agent itself.
pub(crate) fn as_user<T>(user: Option<UserId>, work: impl FnOnce() -> T) -> std::io::Result<T> {
    let Some(UserId { uid, gid, shared_gid }) = user.filter(|user| user.uid != 0) else {
        return Ok(work());
    };
    let own = Own { groups: getgroups()? };
    // Of this thread only; the user last, because an ordinary user may not change groups.
    set_thread_groups(&[Gid::from_raw(gid), Gid::from_raw(shared_gid)])?;
    set_thread_res_gid(None, Gid::from_raw(gid), None)?;
    set_thread_res_uid(None, Uid::from_raw(uid), None)?;
    let done = work();
    drop(own);
    Ok(done)
}

/// Makes the thread the agent's own again.
struct Own {
    groups: Vec<Gid>,
}

impl Drop for Own {
    fn drop(&mut self) {
        let restored = set_thread_res_uid(None, Uid::ROOT, None)
            .and_then(|()| set_thread_res_gid(None, Gid::ROOT, None))
            .and_then(|()| set_thread_groups(&self.groups));
        if let Err(error) = restored {
            // The kernel lets a thread be again who it was.
            tracing::error!(%error, "bug: a thread can not become the agent's own again");
        }
    }
}
