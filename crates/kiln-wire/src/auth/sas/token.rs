//! The parameters of a shared access signature, as a query carries them.

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
    pub(super) delegated_by: String,
    pub(super) signature: String,
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
        let snapshot = get("snapshot");
        Some(Self {
            version: get("sv"),
            resource: get("sr"),
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
            snapshot: if snapshot.is_empty() { get("versionid") } else { snapshot },
            delegated_by: get("skoid"),
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

    /// Headers of an answer that it sets, with their values.
    pub fn response_headers(&self) -> impl Iterator<Item = (&'static str, &str)> {
        [
            ("Cache-Control", &self.cache_control),
            ("Content-Disposition", &self.disposition),
            ("Content-Encoding", &self.encoding),
            ("Content-Language", &self.language),
            ("Content-Type", &self.content_type),
        ]
        .into_iter()
        .filter(|(_, value)| !value.is_empty())
        .map(|(name, value)| (name, value.as_str()))
    }
}
