//! What becomes of the tasks of a node that leaves its pool.

use serde::{Deserialize, Serialize};

/// What becomes of the tasks of a node that leaves its pool.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NodeDeallocationOption {
    /// They are ended and wait again.
    #[default]
    Requeue,
    /// They are ended, and that was all.
    Terminate,
    /// The node leaves once they have ended by themselves.
    TaskCompletion,
    /// As [`Self::TaskCompletion`], and the time for which their files are kept has passed.
    RetainedData,
}

impl NodeDeallocationOption {
    /// All there are.
    pub const ALL: [Self; 4] =
        [Self::Requeue, Self::Terminate, Self::TaskCompletion, Self::RetainedData];

    /// Its name in bodies and autoscale formulas.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Requeue => "requeue",
            Self::Terminate => "terminate",
            Self::TaskCompletion => "taskcompletion",
            Self::RetainedData => "retaineddata",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::NodeDeallocationOption;

    #[test]
    fn an_option_has_one_name_everywhere() {
        for option in NodeDeallocationOption::ALL {
            let json = serde_json::to_string(&option).expect("a word");
            assert_eq!(json, format!("\"{}\"", option.name()));
        }
    }
}
