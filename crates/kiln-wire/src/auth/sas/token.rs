//! The parameters of a shared access signature, as a query carries them.

use super::super::delegation::KeyTerms;

/// The parameters of a shared access signature; an absent one is the empty text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Token {
    pub(super) version: String,
    pub(super) resource: String,
    pub(super) services: String,
    pub(super) resource_types: String,
    pub(super) permissions: String,
    pub(super) start: String,
    pub(super) expiry: String,
    pub(super) policy: String,
    pub(super) ip_range: String,
    pub(super) protocol: String,
    pub(super) encryption_scope: String,
    pub(super) cache_control: String,
    pub(super) disposition: String,
    pub(super) encoding: String,
    pub(super) language: String,
    pub(super) content_type: String,
    pub(super) snapshot: String,
    pub(super) directory_depth: String,
    pub(super) delegation: Delegation,
    pub(super) signature: String,
}

/// The parameters that only a signature with a user delegation key has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Delegation {
    pub(super) key: KeyTerms,
    pub(super) authorized: String,
    pub(super) unauthorized: String,
    pub(super) correlation: String,
    pub(super) user: String,
    pub(super) header_names: String,
    pub(super) parameter_names: String,
}

impl Token {
    /// The token of a query with decoded values; `None` when the query is not signed.
    pub fn from_query(query: &[(String, String)]) -> Option<Self> {
        let get = |name: &str| {
            query.iter().find(|(key, _)| key == name).map_or(String::new(), |(_, v)| v.clone())
        };
        let signature = get("sig");
        if signature.is_empty() {
            return None;
        }
        let resource = get("sr");
        // Only a token for a snapshot or a version names one; others are good for any of theirs.
        let snapshot = match resource.as_str() {
            "bs" => get("snapshot"),
            "bv" => get("versionid"),
            _ => String::new(),
        };
        Some(Self {
            version: get("sv"),
            resource,
            services: get("ss"),
            resource_types: get("srt"),
            permissions: get("sp"),
            start: get("st"),
            expiry: get("se"),
            policy: get("si"),
            ip_range: get("sip"),
            protocol: get("spr"),
            encryption_scope: get("ses"),
            cache_control: get("rscc"),
            disposition: get("rscd"),
            encoding: get("rsce"),
            language: get("rscl"),
            content_type: get("rsct"),
            snapshot,
            directory_depth: get("sdd"),
            delegation: Delegation {
                key: KeyTerms {
                    oid: get("skoid"),
                    tid: get("sktid"),
                    start: get("skt"),
                    expiry: get("ske"),
                    service: get("sks"),
                    version: get("skv"),
                    user_tid: get("skdutid"),
                },
                authorized: get("saoid"),
                unauthorized: get("suoid"),
                correlation: get("scid"),
                user: get("sduoid"),
                header_names: get("srh"),
                parameter_names: get("srq"),
            },
            signature,
        })
    }

    /// The service version it was made for, `sv`; empty before 2012-02-12.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// The stored access policy it names, `si`.
    pub fn policy(&self) -> Option<&str> {
        (!self.policy.is_empty()).then_some(self.policy.as_str())
    }

    /// Whether it is for the whole account.
    pub fn is_for_account(&self) -> bool {
        self.resource.is_empty() && !self.services.is_empty()
    }

    /// Whether it is signed with a user delegation key.
    pub fn is_delegated(&self) -> bool {
        !self.delegation.key.oid.is_empty()
    }

    /// The user who must come with a bearer token of their own, `sduoid`.
    pub fn user(&self) -> Option<&str> {
        (!self.delegation.user.is_empty()).then_some(self.delegation.user.as_str())
    }

    /// The encryption scope that writes with it are to use, `ses`.
    pub fn encryption_scope(&self) -> Option<&str> {
        (!self.encryption_scope.is_empty()).then_some(self.encryption_scope.as_str())
    }

    /// Headers of an answer that it sets, with their values: those that its signature covers.
    pub fn response_headers(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let is_signed = !self.is_for_account() && self.version.as_str() >= "2013-08-15";
        [
            ("Cache-Control", &self.cache_control),
            ("Content-Disposition", &self.disposition),
            ("Content-Encoding", &self.encoding),
            ("Content-Language", &self.language),
            ("Content-Type", &self.content_type),
        ]
        .into_iter()
        .filter(move |(_, value)| is_signed && !value.is_empty())
        .map(|(name, value)| (name, value.as_str()))
    }
}
