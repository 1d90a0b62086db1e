//! Documents about a service as a whole: its properties, its statistics, its delegation keys.

use kiln_domain::blob::service::{
    CorsRule, DeleteRetention, InvalidSetting, Logging, Metrics, Retention, ServiceChange,
    StaticWebsite,
};
use kiln_domain::blob::settings::StorageSettings;
use kiln_domain::time::Timestamp;

use super::error::BlobError;
use super::gates::Gates;
use super::version::ServiceVersion;
use super::xml::{self, Element, InvalidXml, Writer};
use crate::auth::delegation::{DelegationKey, KeyRequest, NoKey};

/// Writes the properties of a service.
pub fn write_properties(settings: &StorageSettings, gates: &Gates) -> String {
    let properties = &settings.service;
    let mut xml = Writer::new();
    xml.open("StorageServiceProperties", &[]);
    logging(&mut xml, &properties.logging);
    if gates.has_minute_metrics() {
        metrics(&mut xml, "HourMetrics", &properties.hour_metrics);
        metrics(&mut xml, "MinuteMetrics", &properties.minute_metrics);
        cors(&mut xml, &properties.cors);
    } else {
        metrics(&mut xml, "Metrics", &properties.hour_metrics);
    }
    xml.optional("DefaultServiceVersion", properties.default_version.as_deref());
    if gates.has_delete_retention() {
        xml.open("DeleteRetentionPolicy", &[]);
        xml.leaf("Enabled", word(settings.blobs_kept_days.is_some()));
        if let Some(days) = settings.blobs_kept_days {
            xml.leaf("Days", &days.to_string());
            xml.leaf("AllowPermanentDelete", word(settings.allows_permanent_delete));
        }
        xml.close("DeleteRetentionPolicy");
    }
    if gates.has_static_website() {
        let site = &properties.static_website;
        xml.open("StaticWebsite", &[]);
        xml.leaf("Enabled", word(site.is_enabled));
        xml.optional("IndexDocument", site.index_document.as_deref());
        xml.optional("DefaultIndexDocumentPath", site.default_index_document.as_deref());
        xml.optional("ErrorDocument404Path", site.error_document.as_deref());
        xml.close("StaticWebsite");
    }
    xml.close("StorageServiceProperties");
    xml.finish()
}

const fn word(is_so: bool) -> &'static str {
    if is_so { "true" } else { "false" }
}

fn logging(xml: &mut Writer, logging: &Logging) {
    xml.open("Logging", &[]);
    xml.leaf("Version", &logging.version);
    xml.leaf("Delete", word(logging.delete));
    xml.leaf("Read", word(logging.read));
    xml.leaf("Write", word(logging.write));
    retention(xml, &logging.retention);
    xml.close("Logging");
}

fn metrics(xml: &mut Writer, name: &str, metrics: &Metrics) {
    xml.open(name, &[]);
    xml.leaf("Version", &metrics.version);
    xml.leaf("Enabled", word(metrics.is_enabled));
    if metrics.is_enabled {
        xml.leaf("IncludeAPIs", word(metrics.includes_apis.unwrap_or(false)));
    }
    retention(xml, &metrics.retention);
    xml.close(name);
}

fn retention(xml: &mut Writer, retention: &Retention) {
    xml.open("RetentionPolicy", &[]);
    xml.leaf("Enabled", word(retention.is_enabled));
    if retention.is_enabled {
        days(xml, retention);
    }
    xml.close("RetentionPolicy");
}

fn days(xml: &mut Writer, retention: &Retention) {
    if let Some(days) = retention.days {
        xml.leaf("Days", &days.to_string());
    }
}

fn cors(xml: &mut Writer, rules: &[CorsRule]) {
    if rules.is_empty() {
        xml.leaf("Cors", "");
        return;
    }
    xml.open("Cors", &[]);
    for rule in rules {
        xml.open("CorsRule", &[]);
        xml.leaf("AllowedMethods", &rule.methods.join(","));
        xml.leaf("AllowedOrigins", &rule.origins.join(","));
        xml.leaf("AllowedHeaders", &rule.allowed_headers.join(","));
        xml.leaf("ExposedHeaders", &rule.exposed_headers.join(","));
        xml.leaf("MaxAgeInSeconds", &rule.max_age_seconds.to_string());
        xml.close("CorsRule");
    }
    xml.close("Cors");
}

/// A value in a document that cannot be.
fn invalid_value(name: &str, value: &str, reason: &str) -> BlobError {
    let message = "The value provided for one of the XML nodes in the request body was not in \
                   the correct format.";
    BlobError::new(400, "InvalidXmlNodeValue", message)
        .with_detail("XmlNodeName", name)
        .with_detail("XmlNodeValue", value)
        .with_detail("Reason", reason)
}

impl From<InvalidSetting> for BlobError {
    fn from(invalid: InvalidSetting) -> Self {
        invalid_value(invalid.element, "", invalid.reason)
    }
}

impl From<NoKey> for BlobError {
    fn from(none: NoKey) -> Self {
        let reason = none.to_string();
        match none {
            NoKey::NotATime { element, text } => invalid_value(element, &text, &reason),
            NoKey::Over { expiry } | NoKey::TooLong { expiry } => {
                invalid_value("Expiry", &expiry, &reason)
            }
        }
    }
}

/// Reads what a client wants to set of a service.
pub fn read_change(body: &[u8]) -> Result<ServiceChange, BlobError> {
    let root = xml::parse(body)?;
    if root.name != "StorageServiceProperties" {
        return Err(InvalidXml.into());
    }
    let default_version = match root.child("DefaultServiceVersion").map(text) {
        None | Some("") => None,
        Some(version) if ServiceVersion::nearest(version).is_some() => Some(version.to_owned()),
        Some(other) => {
            return Err(invalid_value("DefaultServiceVersion", other, "no version is so called"));
        }
    };
    let hour = root.child("HourMetrics").or_else(|| root.child("Metrics"));
    Ok(ServiceChange {
        logging: root.child("Logging").map(read_logging).transpose()?,
        hour_metrics: hour.map(read_metrics).transpose()?,
        minute_metrics: root.child("MinuteMetrics").map(read_metrics).transpose()?,
        cors: root.child("Cors").map(read_cors).transpose()?,
        default_version,
        delete_retention: root.child("DeleteRetentionPolicy").map(read_delete).transpose()?,
        static_website: root.child("StaticWebsite").map(read_website).transpose()?,
    })
}

fn text(element: &Element) -> &str {
    element.text.trim()
}

/// The text of a child that must be there.
fn needed<'a>(parent: &'a Element, name: &'static str) -> Result<&'a str, BlobError> {
    match parent.child(name) {
        Some(child) => Ok(text(child)),
        None => Err(missing_node(name)),
    }
}

fn missing_node(name: &str) -> BlobError {
    let message = "A required XML node was not specified in the request body.";
    BlobError::new(400, "MissingRequiredXmlNode", message).with_detail("XmlNodeName", name)
}

fn flag(parent: &Element, name: &'static str) -> Result<bool, BlobError> {
    let value = needed(parent, name)?;
    match value.to_ascii_lowercase().as_str() {
        "true" | "1" => Ok(true),
        "false" | "0" => Ok(false),
        _ => Err(invalid_value(name, value, "true or false is expected")),
    }
}

fn optional_flag(parent: &Element, name: &'static str) -> Result<Option<bool>, BlobError> {
    parent.child(name).map(|_| flag(parent, name)).transpose()
}

fn optional_text(parent: &Element, name: &str) -> Option<String> {
    parent.child(name).map(text).filter(|it| !it.is_empty()).map(str::to_owned)
}

fn count(name: &str, value: &str) -> Result<u32, BlobError> {
    value.parse().map_err(|_not_a_number| invalid_value(name, value, "a number is expected"))
}

fn read_retention(parent: &Element) -> Result<Retention, BlobError> {
    let days = match parent.child("Days").map(text) {
        None | Some("") => None,
        Some(value) => Some(count("Days", value)?),
    };
    Ok(Retention { is_enabled: flag(parent, "Enabled")?, days })
}

fn read_own_retention(parent: &Element) -> Result<Retention, BlobError> {
    match parent.child("RetentionPolicy") {
        Some(policy) => read_retention(policy),
        None => Err(missing_node("RetentionPolicy")),
    }
}

fn read_logging(element: &Element) -> Result<Logging, BlobError> {
    Ok(Logging {
        version: needed(element, "Version")?.to_owned(),
        delete: flag(element, "Delete")?,
        read: flag(element, "Read")?,
        write: flag(element, "Write")?,
        retention: read_own_retention(element)?,
    })
}

fn read_metrics(element: &Element) -> Result<Metrics, BlobError> {
    Ok(Metrics {
        version: needed(element, "Version")?.to_owned(),
        is_enabled: flag(element, "Enabled")?,
        includes_apis: optional_flag(element, "IncludeAPIs")?,
        retention: match element.child("RetentionPolicy") {
            Some(policy) => read_retention(policy)?,
            None => Retention::default(),
        },
    })
}

fn read_cors(element: &Element) -> Result<Vec<CorsRule>, BlobError> {
    let list = |text: &str| -> Vec<String> {
        text.split(',').map(str::trim).filter(|it| !it.is_empty()).map(str::to_owned).collect()
    };
    let rule = |rule: &Element| -> Result<CorsRule, BlobError> {
        if rule.name != "CorsRule" {
            return Err(InvalidXml.into());
        }
        let names = |name| list(rule.child(name).map_or("", text));
        Ok(CorsRule {
            origins: list(needed(rule, "AllowedOrigins")?),
            methods: list(needed(rule, "AllowedMethods")?),
            allowed_headers: names("AllowedHeaders"),
            exposed_headers: names("ExposedHeaders"),
            max_age_seconds: match rule.child("MaxAgeInSeconds").map(text) {
                None | Some("") => 0,
                Some(value) => count("MaxAgeInSeconds", value)?,
            },
        })
    };
    element.children.iter().map(rule).collect()
}

fn read_delete(element: &Element) -> Result<DeleteRetention, BlobError> {
    Ok(DeleteRetention {
        keep: read_retention(element)?,
        allows_permanent_delete: optional_flag(element, "AllowPermanentDelete")?.unwrap_or(false),
    })
}

fn read_website(element: &Element) -> Result<StaticWebsite, BlobError> {
    Ok(StaticWebsite {
        is_enabled: flag(element, "Enabled")?,
        index_document: optional_text(element, "IndexDocument"),
        error_document: optional_text(element, "ErrorDocument404Path"),
        default_index_document: optional_text(element, "DefaultIndexDocumentPath"),
    })
}

/// Writes how far the secondary endpoint has come: it is the same store, so all the way.
pub fn write_statistics(now: Timestamp) -> String {
    let mut xml = Writer::new();
    xml.open("StorageServiceStats", &[]);
    xml.open("GeoReplication", &[]);
    xml.leaf("Status", "live");
    xml.leaf("LastSyncTime", &now.to_rfc1123());
    xml.close("GeoReplication");
    xml.close("StorageServiceStats");
    xml.finish()
}

/// Reads for how long somebody wants a user delegation key.
pub fn read_key_request(body: &[u8]) -> Result<KeyRequest, BlobError> {
    let root = xml::parse(body)?;
    if root.name != "KeyInfo" {
        return Err(InvalidXml.into());
    }
    Ok(KeyRequest {
        start: optional_text(&root, "Start").unwrap_or_default(),
        expiry: needed(&root, "Expiry")?.to_owned(),
        user_tid: optional_text(&root, "DelegatedUserTid").unwrap_or_default(),
    })
}

/// Writes a user delegation key.
pub fn write_key(key: &DelegationKey) -> String {
    let terms = &key.terms;
    let mut xml = Writer::new();
    xml.open("UserDelegationKey", &[]);
    xml.leaf("SignedOid", &terms.oid);
    xml.leaf("SignedTid", &terms.tid);
    xml.leaf("SignedStart", &terms.start);
    xml.leaf("SignedExpiry", &terms.expiry);
    xml.leaf("SignedService", &terms.service);
    xml.leaf("SignedVersion", &terms.version);
    xml.optional(
        "SignedDelegatedUserTid",
        Some(terms.user_tid.as_str()).filter(|it| !it.is_empty()),
    );
    xml.leaf("Value", &key.value);
    xml.close("UserDelegationKey");
    xml.finish()
}

#[cfg(test)]
mod tests {
    use super::{
        Gates, ServiceVersion, StorageSettings, read_change, read_key_request, write_properties,
    };

    const WHOLE: &str = "<StorageServiceProperties><Logging><Version>1.0</Version>\
        <Delete>true</Delete><Read>false</Read><Write>TRUE</Write><RetentionPolicy>\
        <Enabled>true</Enabled><Days>5</Days></RetentionPolicy></Logging>\
        <HourMetrics><Version>1.0</Version><Enabled>true</Enabled><IncludeAPIs>true</IncludeAPIs>\
        <RetentionPolicy><Enabled>false</Enabled></RetentionPolicy></HourMetrics>\
        <MinuteMetrics><Version>1.0</Version><Enabled>false</Enabled></MinuteMetrics>\
        <Cors><CorsRule><AllowedOrigins>https://a.example, https://b.example</AllowedOrigins>\
        <AllowedMethods>GET,PUT</AllowedMethods><MaxAgeInSeconds>60</MaxAgeInSeconds>\
        <ExposedHeaders>x-ms-*</ExposedHeaders><AllowedHeaders/></CorsRule></Cors>\
        <DefaultServiceVersion>2015-07-08</DefaultServiceVersion>\
        <DeleteRetentionPolicy><Enabled>true</Enabled><Days>7</Days>\
        <AllowPermanentDelete>true</AllowPermanentDelete></DeleteRetentionPolicy>\
        <StaticWebsite><Enabled>true</Enabled><IndexDocument>index.html</IndexDocument>\
        <ErrorDocument404Path>404.html</ErrorDocument404Path></StaticWebsite>\
        </StorageServiceProperties>";

    fn gates(version: &str) -> Gates {
        Gates::of(ServiceVersion::nearest(version).expect("a date"))
    }

    #[test]
    fn properties_round_trip() {
        let change = read_change(WHOLE.as_bytes()).expect("readable");
        let set = StorageSettings::default().changed(change).expect("possible");
        assert_eq!(set.service.cors[0].origins, ["https://a.example", "https://b.example"]);
        assert!(set.service.logging.write && set.allows_permanent_delete);
        let written = write_properties(&set, &gates("2021-12-02"));
        let again = read_change(written.as_bytes()).expect("readable");
        assert_eq!(StorageSettings::default().changed(again), Ok(set));
    }

    #[test]
    fn older_versions_know_less() {
        let check = |version: &str, expected: &[bool; 4]| {
            let text = write_properties(&StorageSettings::default(), &gates(version));
            let parts =
                ["<Metrics>", "<MinuteMetrics>", "<DeleteRetentionPolicy>", "<StaticWebsite>"];
            assert_eq!(parts.map(|part| text.contains(part)), *expected, "{version}");
        };
        check("2012-02-12", &[true, false, false, false]);
        check("2013-08-15", &[false, true, false, false]);
        check("2017-07-29", &[false, true, true, false]);
        check("2018-03-28", &[false, true, true, true]);
    }

    #[test]
    fn what_cannot_be_read_is_named() {
        let check = |from: &str, to: &str, expected: &str| {
            let error = read_change(WHOLE.replace(from, to).as_bytes()).expect_err("refused");
            let name = error.details.first().map_or("", |(_, text)| text.as_str());
            assert_eq!(format!("{} {name}", error.code).trim(), expected, "{to}");
        };
        check("<Days>5</Days>", "<Days>five</Days>", "InvalidXmlNodeValue Days");
        check("<Delete>true", "<Delete>maybe", "InvalidXmlNodeValue Delete");
        check("<Delete>true</Delete>", "", "MissingRequiredXmlNode Delete");
        check("2015-07-08", "newest", "InvalidXmlNodeValue DefaultServiceVersion");
        check(
            "<AllowedMethods>GET,PUT</AllowedMethods>",
            "",
            "MissingRequiredXmlNode AllowedMethods",
        );
        check("CorsRule>", "Rule>", "InvalidXmlDocument");
        check("StorageServiceProperties>", "Properties>", "InvalidXmlDocument");
        check("</Cors>", "", "InvalidXmlDocument");
    }

    #[test]
    fn key_requests() {
        let body = "<KeyInfo><Start>S</Start><Expiry>E</Expiry></KeyInfo>";
        let asked = read_key_request(body.as_bytes()).expect("readable");
        assert_eq!((asked.start.as_str(), asked.expiry.as_str()), ("S", "E"));
        let error = read_key_request(b"<KeyInfo><Start>S</Start></KeyInfo>").expect_err("refused");
        assert_eq!(error.code, "MissingRequiredXmlNode");
        assert!(read_key_request(b"").is_err());
    }
}
