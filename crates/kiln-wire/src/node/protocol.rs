//! Versions of the messages between server and agent, and which of them two sides speak.

/// Version of these messages; the agent says it in [`FromAgent::Hello`](super::FromAgent::Hello).
///
/// 2 brought [`ToAgent::Refused`](super::ToAgent::Refused) and shells; with it, agents leave the
/// files of their node to the server.
pub const PROTOCOL: u32 = 2;
/// The oldest version that a server of today understands: that of the release before.
pub const PROTOCOL_OLDEST: u32 = 1;

/// The version that brought shells: older agents are not asked for any.
pub const SHELLS_SINCE: u32 = 2;

/// The version in which a server of today and an agent of `protocol` speak, or why there is none.
///
/// # Errors
/// A sentence that says what happens now.
pub fn agree(protocol: u32, agent_version: &str) -> Result<u32, String> {
    let is_known = (PROTOCOL_OLDEST..=PROTOCOL).contains(&protocol);
    is_known.then_some(protocol).ok_or_else(|| {
        format!(
            "the agent (version {agent_version}) speaks version {protocol} of the messages, this \
             server speaks {PROTOCOL_OLDEST} to {PROTOCOL}: the agent is ended, its node starts \
             again with the agent of this server, and the tasks that ran there run again; nothing \
             else needs to be done"
        )
    })
}

/// What a server speaks that does not say it.
pub(super) fn first() -> u32 {
    1
}

#[cfg(test)]
mod tests {
    use super::{PROTOCOL, PROTOCOL_OLDEST, agree};

    #[test]
    fn sides_speak_what_both_know() {
        assert_eq!(agree(PROTOCOL, "9"), Ok(PROTOCOL));
        assert_eq!(agree(PROTOCOL_OLDEST, "9"), Ok(PROTOCOL_OLDEST));
        for unknown in [PROTOCOL_OLDEST - 1, PROTOCOL + 1] {
            let refused = agree(unknown, "0.0.9").expect_err("no common version");
            assert!(refused.contains("0.0.9") && refused.contains("start"), "{refused}");
        }
    }
}
