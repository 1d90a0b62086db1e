//! Certificates, as the versions that have them show them.

use kiln_domain::batch::certificate::{ALGORITHM, Certificate};
use serde_json::Value;

use super::resource::{Tree, json_of};

/// The URL of a certificate.
pub fn url(base_url: &str, thumbprint: &str) -> String {
    format!("{base_url}/certificates(thumbprintAlgorithm={ALGORITHM},thumbprint={thumbprint})")
}

/// The URL of a certificate that was just added: the service spells it so there.
pub fn location(base_url: &str, thumbprint: &str) -> String {
    format!("{base_url}/certificates(ThumbprintAlgorithm={ALGORITHM},Thumbprint={thumbprint})")
}

/// The algorithm and the thumbprint that a segment of a path names:
/// `certificates(thumbprintAlgorithm=sha1,thumbprint=ff)`.
pub fn named(segment: &str) -> Option<(&str, &str)> {
    let inside = segment.strip_prefix("certificates(")?.strip_suffix(')')?;
    let (mut algorithm, mut thumbprint) = (None, None);
    for member in inside.split(',') {
        let (name, value) = member.split_once('=')?;
        // Some clients quote what they name.
        let value = value.trim().trim_matches('\'');
        match name.trim() {
            name if name.eq_ignore_ascii_case("thumbprintAlgorithm") => algorithm = Some(value),
            name if name.eq_ignore_ascii_case("thumbprint") => thumbprint = Some(value),
            _ => return None,
        }
    }
    Some((algorithm?, thumbprint?))
}

/// A certificate as `GET` shows it.
pub fn tree(certificate: &Certificate, base_url: &str) -> Value {
    let life = &certificate.life;
    let mut tree = Tree::empty();
    tree.set("thumbprint", certificate.thumbprint.as_str());
    tree.set("thumbprintAlgorithm", ALGORITHM);
    tree.set("url", url(base_url, &certificate.thumbprint));
    tree.set("state", json_of(&life.state));
    tree.set_time("stateTransitionTime", life.state_at);
    if let Some((state, at)) = &life.previous {
        tree.set("previousState", json_of(state));
        tree.set_time("previousStateTransitionTime", *at);
    }
    tree.set("publicData", life.public_data.as_str());
    tree.set_some("deleteCertificateError", life.failure.as_ref().map(json_of));
    tree.into_value()
}

#[cfg(test)]
mod tests {
    use super::named;

    #[test]
    fn paths_name_certificates() {
        for path in [
            "certificates(thumbprintAlgorithm=sha1,thumbprint=ff)",
            "certificates(Thumbprint=ff,ThumbprintAlgorithm=sha1)",
            "certificates(thumbprintAlgorithm='sha1', thumbprint='ff')",
        ] {
            assert_eq!(named(path), Some(("sha1", "ff")), "{path}");
        }
        for path in ["certificates", "certificates()", "certificates(thumbprint=ff)", "pools(a=b)"]
        {
            assert_eq!(named(path), None, "{path}");
        }
    }
}
