//! Access tiers: recorded, shown, and honored where they forbid reading.

use serde::{Deserialize, Serialize};

use super::kind::BlobKind;
use super::rejection::BlobRejection;
use crate::time::Timestamp;

/// How fast and how expensive a blob's place is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the names are Azure's own")]
pub enum Tier {
    #[default]
    Hot,
    Cool,
    Cold,
    Archive,
    Smart,
    P4,
    P6,
    P10,
    P15,
    P20,
    P30,
    P40,
    P50,
    P60,
    P70,
    P80,
}

const TIERS: [(Tier, &str); 16] = [
    (Tier::Hot, "Hot"),
    (Tier::Cool, "Cool"),
    (Tier::Cold, "Cold"),
    (Tier::Archive, "Archive"),
    (Tier::Smart, "Smart"),
    (Tier::P4, "P4"),
    (Tier::P6, "P6"),
    (Tier::P10, "P10"),
    (Tier::P15, "P15"),
    (Tier::P20, "P20"),
    (Tier::P30, "P30"),
    (Tier::P40, "P40"),
    (Tier::P50, "P50"),
    (Tier::P60, "P60"),
    (Tier::P70, "P70"),
    (Tier::P80, "P80"),
];

impl Tier {
    /// The tier called `name`; case does not count.
    pub fn parse(name: &str) -> Option<Self> {
        TIERS.iter().find(|(_, known)| known.eq_ignore_ascii_case(name)).map(|(tier, _)| *tier)
    }

    /// Azure's name.
    pub fn as_str(self) -> &'static str {
        TIERS.iter().find(|(tier, _)| *tier == self).map_or("Hot", |(_, name)| name)
    }

    /// Decides whether a blob of this kind can be in this tier.
    pub fn check(self, kind: BlobKind) -> Result<(), BlobRejection> {
        use Tier::{Archive, Cold, Cool, Hot, Smart};
        let is_of_block_blobs = matches!(self, Hot | Cool | Cold | Archive | Smart);
        let fits = match kind {
            BlobKind::Block => is_of_block_blobs,
            BlobKind::Page => !is_of_block_blobs,
            BlobKind::Append => false,
        };
        if fits { Ok(()) } else { Err(BlobRejection::TierNotForKind { tier: self, kind }) }
    }
}

/// Where a blob is and where it is going.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TierState {
    /// Where it is.
    pub tier: Tier,
    /// Since when.
    pub changed_at: Timestamp,
}

#[cfg(test)]
mod tests {
    use super::{BlobKind, TIERS, Tier};

    #[test]
    fn names_round_trip() {
        for (tier, name) in TIERS {
            assert_eq!((Tier::parse(name), tier.as_str()), (Some(tier), name));
        }
        assert_eq!(Tier::parse("archive"), Some(Tier::Archive));
        assert_eq!(Tier::parse("Warm"), None);
    }

    #[test]
    fn tiers_by_kind() {
        for (tier, kind, is_allowed) in [
            (Tier::Cool, BlobKind::Block, true),
            (Tier::P10, BlobKind::Block, false),
            (Tier::P10, BlobKind::Page, true),
            (Tier::Hot, BlobKind::Page, false),
            (Tier::Hot, BlobKind::Append, false),
        ] {
            assert_eq!(tier.check(kind).is_ok(), is_allowed, "{tier:?} {kind:?}");
        }
    }
}
