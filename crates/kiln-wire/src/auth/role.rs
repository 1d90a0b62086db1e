//! What somebody with a bearer token may do: Azure's three roles for blob data.

/// What somebody with a bearer token may do; each role may all that the ones after it may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// Storage Blob Data Owner: everything, also who else may come in.
    Owner,
    /// Storage Blob Data Contributor: read, write, delete.
    Contributor,
    /// Storage Blob Data Reader: read and list.
    Reader,
}

impl Role {
    /// All of them, the mightiest first.
    pub const ALL: [Self; 3] = [Self::Owner, Self::Contributor, Self::Reader];

    /// Azure's name of the role.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Owner => "Storage Blob Data Owner",
            Self::Contributor => "Storage Blob Data Contributor",
            Self::Reader => "Storage Blob Data Reader",
        }
    }

    /// The role of this name: Azure's, or `owner`, `contributor`, `reader`.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| {
            let name = role.name();
            let short = name.rsplit(' ').next().unwrap_or(name);
            text.eq_ignore_ascii_case(name) || text.eq_ignore_ascii_case(short)
        })
    }

    /// What it allows, as letters of a signature.
    pub const fn letters(self) -> &'static str {
        match self {
            Self::Owner => "racwdxyltfmeopiu",
            Self::Contributor => "racwdxlmeu",
            Self::Reader => "rle",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Role;

    #[test]
    fn roles_have_two_names() {
        for (text, role) in [
            ("Storage Blob Data Owner", Some(Role::Owner)),
            ("storage blob data contributor", Some(Role::Contributor)),
            ("reader", Some(Role::Reader)),
            ("Storage Account Reader", None),
            ("", None),
        ] {
            assert_eq!(Role::parse(text), role, "{text}");
        }
    }
}
