//! What is known of a storage account as a whole.

use kiln_wire::blob::xml::Writer;

use super::answer::{self, Answer};
use super::call::Call;
use crate::http::Response;

/// `GET /?restype=service&comp=properties`: what every account here is set to.
#[expect(clippy::unnecessary_wraps, reason = "operations have one signature")]
pub(super) fn properties(_call: &Call) -> Answer {
    let mut xml = Writer::new();
    xml.open("StorageServiceProperties", &[]);
    xml.open("Logging", &[]);
    xml.leaf("Version", "1.0");
    for name in ["Delete", "Read", "Write"] {
        xml.leaf(name, "false");
    }
    disabled(&mut xml, "RetentionPolicy");
    xml.close("Logging");
    for name in ["HourMetrics", "MinuteMetrics"] {
        xml.open(name, &[]);
        xml.leaf("Version", "1.0");
        xml.leaf("Enabled", "false");
        disabled(&mut xml, "RetentionPolicy");
        xml.close(name);
    }
    xml.leaf("Cors", "");
    disabled(&mut xml, "DeleteRetentionPolicy");
    disabled(&mut xml, "StaticWebsite");
    xml.close("StorageServiceProperties");
    Ok(answer::xml(xml.finish()))
}

fn disabled(xml: &mut Writer, name: &str) {
    xml.open(name, &[]);
    xml.leaf("Enabled", "false");
    xml.close(name);
}

/// `GET ?restype=account&comp=properties`.
#[expect(clippy::unnecessary_wraps, reason = "operations have one signature")]
pub(super) fn information(_call: &Call) -> Answer {
    Ok(Response::new(200)
        .with_header("x-ms-sku-name", "Standard_LRS")
        .with_header("x-ms-account-kind", "StorageV2")
        .with_header("x-ms-is-hns-enabled", "false"))
}
