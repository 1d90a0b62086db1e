//! What a storage account's Blob service is set to, and whom browsers may let in.

use serde::{Deserialize, Serialize};

use super::settings::StorageSettings;

/// Rules for browsers of one account.
const CORS_RULES_MAX: usize = 5;
/// Origins, methods or headers that one rule names.
const CORS_NAMES_MAX: usize = 64;
/// Characters of one of them.
const CORS_NAME_LENGTH_MAX: usize = 256;
/// Days for which deleted blobs, logs or metrics are kept at the most.
const RETENTION_DAYS_MAX: u32 = 365;
/// The methods that a rule may allow.
const CORS_METHODS: [&str; 8] =
    ["DELETE", "GET", "HEAD", "MERGE", "OPTIONS", "PATCH", "POST", "PUT"];

/// What the Blob service of an account is set to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ServiceProperties {
    /// What is logged.
    pub logging: Logging,
    /// What is measured by the hour.
    pub hour_metrics: Metrics,
    /// What is measured by the minute.
    pub minute_metrics: Metrics,
    /// Whom browsers may let in.
    pub cors: Vec<CorsRule>,
    /// The version of requests that name none.
    pub default_version: Option<String>,
    /// Whether and how `$web` is served as a website.
    pub static_website: StaticWebsite,
}

/// How long something is kept.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Retention {
    /// Whether it is.
    pub is_enabled: bool,
    /// For how many days.
    pub days: Option<u32>,
}

/// How long deleted blobs can be brought back, as clients set it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeleteRetention {
    /// Whether, and for how many days.
    pub keep: Retention,
    /// Whether they can be deleted for good before that.
    pub allows_permanent_delete: bool,
}

/// What is logged; kept and told, and nothing more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Logging {
    /// The form of the logs.
    pub version: String,
    /// Whether deletions are.
    pub delete: bool,
    /// Whether reads are.
    pub read: bool,
    /// Whether writes are.
    pub write: bool,
    /// How long logs are kept.
    pub retention: Retention,
}

/// What is measured; kept and told, and nothing more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Metrics {
    /// The form of the metrics.
    pub version: String,
    /// Whether they are made.
    pub is_enabled: bool,
    /// Whether by operation too.
    pub includes_apis: Option<bool>,
    /// How long they are kept.
    pub retention: Retention,
}

/// Whether and how `$web` is served as a website.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct StaticWebsite {
    /// Whether it is.
    pub is_enabled: bool,
    /// The page of a directory.
    pub index_document: Option<String>,
    /// The page that says that there is none.
    pub error_document: Option<String>,
    /// The page of the site.
    pub default_index_document: Option<String>,
}

/// Whom browsers may let in: pages of these origins, with these requests.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CorsRule {
    /// Origins, or `*`.
    pub origins: Vec<String>,
    /// Methods.
    pub methods: Vec<String>,
    /// Headers that requests may have; `x-ms-meta-*` is all that begin so.
    pub allowed_headers: Vec<String>,
    /// Headers of answers that pages may see.
    pub exposed_headers: Vec<String>,
    /// How long a browser may remember it.
    pub max_age_seconds: u32,
}

impl Default for Logging {
    fn default() -> Self {
        let retention = Retention::default();
        Self { version: "1.0".to_owned(), delete: false, read: false, write: false, retention }
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self {
            version: "1.0".to_owned(),
            is_enabled: false,
            includes_apis: None,
            retention: Retention::default(),
        }
    }
}

/// What a client wants to set; what it leaves out stays as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "as in `ServiceProperties` and `StorageSettings`")]
pub struct ServiceChange {
    pub logging: Option<Logging>,
    pub hour_metrics: Option<Metrics>,
    pub minute_metrics: Option<Metrics>,
    pub cors: Option<Vec<CorsRule>>,
    pub default_version: Option<String>,
    pub delete_retention: Option<DeleteRetention>,
    pub static_website: Option<StaticWebsite>,
}

/// A setting that cannot be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{element}`: {reason}")]
pub struct InvalidSetting {
    /// The element.
    pub element: &'static str,
    /// What is wrong with it.
    pub reason: &'static str,
}

impl StorageSettings {
    /// The settings after `change`, if it can be made.
    pub fn changed(self, change: ServiceChange) -> Result<Self, InvalidSetting> {
        check(&change)?;
        let (blobs_kept_days, allows_permanent_delete) = match change.delete_retention {
            Some(DeleteRetention { keep, allows_permanent_delete }) if keep.is_enabled => {
                (keep.days, allows_permanent_delete)
            }
            Some(_) => (None, false),
            None => (self.blobs_kept_days, self.allows_permanent_delete),
        };
        let known = self.service;
        let service = ServiceProperties {
            logging: change.logging.unwrap_or(known.logging),
            hour_metrics: change.hour_metrics.unwrap_or(known.hour_metrics),
            minute_metrics: change.minute_metrics.unwrap_or(known.minute_metrics),
            cors: change.cors.unwrap_or(known.cors),
            default_version: change.default_version.or(known.default_version),
            static_website: change.static_website.unwrap_or(known.static_website),
        };
        Ok(Self { blobs_kept_days, allows_permanent_delete, service, ..self })
    }
}

fn check(change: &ServiceChange) -> Result<(), InvalidSetting> {
    let retentions = [
        change.logging.as_ref().map(|it| &it.retention),
        change.hour_metrics.as_ref().map(|it| &it.retention),
        change.minute_metrics.as_ref().map(|it| &it.retention),
        change.delete_retention.as_ref().map(|it| &it.keep),
    ];
    for retention in retentions.into_iter().flatten() {
        let is_possible =
            retention.days.is_some_and(|days| (1..=RETENTION_DAYS_MAX).contains(&days));
        if retention.is_enabled && !is_possible {
            let reason = "from 1 to 365 days are possible";
            return Err(InvalidSetting { element: "Days", reason });
        }
    }
    let metrics = [&change.hour_metrics, &change.minute_metrics];
    for metrics in metrics.into_iter().flatten() {
        if metrics.is_enabled && metrics.includes_apis.is_none() {
            let reason = "must be given where metrics are enabled";
            return Err(InvalidSetting { element: "IncludeAPIs", reason });
        }
    }
    let rules = change.cors.as_deref().unwrap_or_default();
    if rules.len() > CORS_RULES_MAX {
        return Err(InvalidSetting { element: "Cors", reason: "five rules are possible" });
    }
    rules.iter().try_for_each(check_rule)
}

fn check_rule(rule: &CorsRule) -> Result<(), InvalidSetting> {
    let lists = [
        ("AllowedOrigins", &rule.origins, true),
        ("AllowedMethods", &rule.methods, true),
        ("AllowedHeaders", &rule.allowed_headers, false),
        ("ExposedHeaders", &rule.exposed_headers, false),
    ];
    for (element, names, is_needed) in lists {
        if is_needed && names.is_empty() {
            return Err(InvalidSetting { element, reason: "must name something" });
        }
        let is_short = |name: &String| name.chars().count() <= CORS_NAME_LENGTH_MAX;
        if names.len() > CORS_NAMES_MAX || !names.iter().all(is_short) {
            return Err(InvalidSetting { element, reason: "too many names, or too long ones" });
        }
    }
    if rule.methods.iter().any(|method| !CORS_METHODS.contains(&method.as_str())) {
        return Err(InvalidSetting { element: "AllowedMethods", reason: "no such method" });
    }
    Ok(())
}

/// What an answer to a page of another origin says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CorsGrant<'a> {
    /// `*`, or the one origin that asked.
    pub origin: &'a str,
    /// The rule that allows it.
    pub rule: &'a CorsRule,
}

impl CorsGrant<'_> {
    /// Whether the answer would be another one for another origin.
    pub fn depends_on_origin(&self) -> bool {
        self.origin != "*"
    }
}

/// What a browser asks before it sends a request for a page.
#[derive(Clone, Copy, Debug)]
pub struct Preflight<'a> {
    /// The page's origin.
    pub origin: &'a str,
    /// The method of the request.
    pub method: &'a str,
    /// The headers that it will have besides the usual ones.
    pub headers: &'a [&'a str],
}

/// The first rule that lets such a request through.
pub fn preflight<'a>(rules: &'a [CorsRule], asked: Preflight<'a>) -> Option<CorsGrant<'a>> {
    rules.iter().find_map(|rule| {
        let origin = allowed_origin(rule, Some(asked.origin))?;
        let may_send = |name: &&str| allows_header(rule, name);
        let is_allowed =
            rule.methods.iter().any(|it| it == asked.method) && asked.headers.iter().all(may_send);
        is_allowed.then_some(CorsGrant { origin, rule })
    })
}

/// The first rule that lets a page of `origin` see the answer to a request with `method`.
/// Without an origin it is the one that lets any page.
pub fn grant<'a>(
    rules: &'a [CorsRule],
    origin: Option<&'a str>,
    method: &str,
) -> Option<CorsGrant<'a>> {
    rules.iter().filter(|rule| rule.methods.iter().any(|it| it == method)).find_map(|rule| {
        let origin = allowed_origin(rule, origin)?;
        Some(CorsGrant { origin, rule })
    })
}

fn allowed_origin<'a>(rule: &CorsRule, origin: Option<&'a str>) -> Option<&'a str> {
    if rule.origins.iter().any(|it| it == "*") {
        return Some("*");
    }
    origin.filter(|origin| rule.origins.iter().any(|it| it == origin))
}

fn allows_header(rule: &CorsRule, name: &str) -> bool {
    rule.allowed_headers.iter().any(|allowed| match allowed.strip_suffix('*') {
        Some(beginning) => {
            let head = name.get(..beginning.len());
            head.is_some_and(|head| head.eq_ignore_ascii_case(beginning))
        }
        None => allowed.eq_ignore_ascii_case(name),
    })
}

#[cfg(test)]
mod tests {
    use super::{
        CorsRule, DeleteRetention, Metrics, Preflight, Retention, ServiceChange, StaticWebsite,
        StorageSettings, grant, preflight,
    };

    fn rule(origins: &str, methods: &str, headers: &str) -> CorsRule {
        let list = |text: &str| {
            text.split(',').filter(|it| !it.is_empty()).map(str::to_owned).collect::<Vec<_>>()
        };
        CorsRule {
            origins: list(origins),
            methods: list(methods),
            allowed_headers: list(headers),
            exposed_headers: Vec::new(),
            max_age_seconds: 5,
        }
    }

    #[test]
    fn what_is_left_out_stays() {
        let website = StaticWebsite { is_enabled: true, ..StaticWebsite::default() };
        let first = ServiceChange {
            static_website: Some(website.clone()),
            default_version: Some("2015-07-08".to_owned()),
            ..ServiceChange::default()
        };
        let keep = Retention { is_enabled: true, days: Some(7) };
        let second = ServiceChange {
            delete_retention: Some(DeleteRetention { keep, allows_permanent_delete: false }),
            cors: Some(vec![rule("*", "GET", "")]),
            ..ServiceChange::default()
        };
        let settings = StorageSettings::default().changed(first).expect("possible");
        let settings = settings.changed(second).expect("possible");
        assert_eq!(settings.service.static_website, website);
        assert_eq!(settings.service.default_version.as_deref(), Some("2015-07-08"));
        assert_eq!(settings.service.cors.len(), 1);
        let none = ServiceChange { cors: Some(Vec::new()), ..ServiceChange::default() };
        let settings = settings.changed(none).expect("possible");
        assert_eq!((settings.service.cors.len(), settings.blobs_kept_days), (0, Some(7)));
        let off = ServiceChange {
            delete_retention: Some(DeleteRetention::default()),
            ..ServiceChange::default()
        };
        assert_eq!(settings.changed(off).expect("possible").blobs_kept_days, None);
    }

    #[test]
    fn settings_that_cannot_be() {
        let check = |change: ServiceChange, element: &str| {
            let refused = StorageSettings::default().changed(change).expect_err("refused");
            assert_eq!(refused.element, element);
        };
        let cors =
            |rules: Vec<CorsRule>| ServiceChange { cors: Some(rules), ..ServiceChange::default() };
        check(cors(vec![rule("*", "GET", ""); 6]), "Cors");
        check(cors(vec![rule("", "GET", "")]), "AllowedOrigins");
        check(cors(vec![rule("*", "", "")]), "AllowedMethods");
        check(cors(vec![rule("*", "get", "")]), "AllowedMethods");
        check(cors(vec![rule("*", "GET", &"a,".repeat(65))]), "AllowedHeaders");
        for days in [None, Some(0), Some(366)] {
            let keep = Retention { is_enabled: true, days };
            let retention = DeleteRetention { keep, ..DeleteRetention::default() };
            let change =
                ServiceChange { delete_retention: Some(retention), ..ServiceChange::default() };
            check(change, "Days");
        }
        let metrics = Metrics { is_enabled: true, ..Metrics::default() };
        check(
            ServiceChange { hour_metrics: Some(metrics), ..ServiceChange::default() },
            "IncludeAPIs",
        );
    }

    #[test]
    fn the_first_rule_that_fits_counts() {
        let rules = [
            rule("https://a.example", "PUT,GET", "x-ms-meta-*,Content-Type"),
            rule("*", "GET", ""),
        ];
        let check = |origin: &str, method: &str, headers: &[&str], expected: Option<&str>| {
            let found = preflight(&rules, Preflight { origin, method, headers });
            assert_eq!(found.map(|it| it.origin), expected, "{origin} {method} {headers:?}");
        };
        let a = "https://a.example";
        check(a, "PUT", &["X-Ms-Meta-Color", "content-type"], Some(a));
        check(a, "PUT", &["x-ms-met"], None);
        check(a, "PUT", &["accept"], None);
        check(a, "GET", &["accept"], None);
        check(a, "GET", &[], Some(a));
        check("https://b.example", "GET", &[], Some("*"));
        check("https://b.example", "PUT", &[], None);
        check("HTTPS://A.example", "PUT", &[], None);
        let seen = |origin, method| grant(&rules, origin, method).map(|it| it.origin.to_owned());
        assert_eq!(seen(Some(a), "PUT").as_deref(), Some(a));
        assert_eq!(seen(None, "GET").as_deref(), Some("*"));
        assert_eq!(seen(None, "PUT"), None);
        assert_eq!(seen(Some("https://b.example"), "PUT"), None);
    }
}
