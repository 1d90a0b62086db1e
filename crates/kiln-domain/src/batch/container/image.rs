//! Names of images, and the registries that have them.

/// The registry of images whose names tell none.
const DEFAULT_REGISTRY: &str = "docker.io";
/// Other names by which people know [`DEFAULT_REGISTRY`].
const DEFAULT_REGISTRY_ALIASES: [&str; 3] =
    ["index.docker.io", "registry-1.docker.io", "registry.hub.docker.com"];
/// Where that registry keeps images whose names tell no owner.
const DEFAULT_OWNER: &str = "library";
/// The tag of images whose names tell neither tag nor digest.
const DEFAULT_TAG: &str = "latest";
/// Characters of a name.
const NAME_LENGTH_MAX: usize = 255;
/// Characters of a tag.
const TAG_LENGTH_MAX: usize = 128;

/// An image, by its whole name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Image {
    /// Host, and port if told, of the registry that has it.
    pub registry: String,
    /// Its name there, with its tag or digest.
    name: String,
}

/// A name that no image has.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{name}` is not the name of an image: {reason}")]
pub struct ImageFault {
    /// The name.
    pub name: String,
    /// What is wrong with it.
    pub reason: &'static str,
}

impl Image {
    /// Reads a name as Docker does: `busybox`, `me/tool:2`, `host:5000/tool@sha256:…`.
    ///
    /// # Errors
    /// When no image can have it.
    pub fn parse(text: &str) -> Result<Self, ImageFault> {
        let fault = |reason| ImageFault { name: text.to_owned(), reason };
        if text.len() > NAME_LENGTH_MAX {
            return Err(fault("it is too long"));
        }
        let (registry, rest) = match text.split_once('/') {
            Some((first, rest)) if is_host(first) => (registry_name(first), rest),
            Some(_) | None => (DEFAULT_REGISTRY.to_owned(), text),
        };
        let (rest, digest) = match rest.split_once('@') {
            Some((rest, digest)) => (rest, Some(digest)),
            None => (rest, None),
        };
        let (path, tag) = match rest.rsplit_once(':') {
            Some((path, tag)) => (path, Some(tag)),
            None => (rest, None),
        };
        if path.is_empty() || !path.split('/').all(is_component) {
            return Err(fault(
                "it has lower-case letters and digits, with `.`, `_` or `-` between them",
            ));
        }
        if tag.is_some_and(|tag| !is_tag(tag)) {
            return Err(fault("its tag has letters, digits, `_`, `.` and `-`"));
        }
        if digest.is_some_and(|digest| !is_digest(digest)) {
            return Err(fault(
                "its digest is the name of an algorithm, `:` and hexadecimal digits",
            ));
        }
        let owner = if registry == DEFAULT_REGISTRY && !path.contains('/') {
            format!("{DEFAULT_OWNER}/")
        } else {
            String::new()
        };
        // A name may have a tag beside its digest, which alone counts.
        let version = match (digest, tag) {
            (Some(digest), _) => format!("@{digest}"),
            (None, tag) => format!(":{}", tag.unwrap_or(DEFAULT_TAG)),
        };
        Ok(Self { registry, name: format!("{owner}{path}{version}") })
    }

    /// Whether its registry is on the machine itself, where nobody listens on the way.
    pub fn is_local(&self) -> bool {
        let host = self.registry.rsplit_once(':').map_or(self.registry.as_str(), |(host, _)| host);
        host == "localhost" || host == "[::1]" || host.starts_with("127.")
    }
}

impl std::fmt::Display for Image {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.registry, self.name)
    }
}

/// The registry that people mean by `text`, which may be a URL.
pub(super) fn registry_name(text: &str) -> String {
    let text = text.trim();
    let host = text.split_once("://").map_or(text, |(_, rest)| rest);
    let host = host.split('/').next().unwrap_or_default().to_ascii_lowercase();
    if host.is_empty() || DEFAULT_REGISTRY_ALIASES.contains(&host.as_str()) {
        return DEFAULT_REGISTRY.to_owned();
    }
    host
}

/// Whether the first part of a name is a host rather than an owner.
fn is_host(text: &str) -> bool {
    text.contains(['.', ':']) || text == "localhost"
}

fn is_component(text: &str) -> bool {
    let is_inner = |letter: char| {
        letter.is_ascii_lowercase() || letter.is_ascii_digit() || matches!(letter, '.' | '_' | '-')
    };
    let is_outer = |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit();
    text.starts_with(is_outer) && text.ends_with(is_outer) && text.chars().all(is_inner)
}

fn is_tag(text: &str) -> bool {
    let is_inner =
        |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '.' | '_' | '-');
    (1..=TAG_LENGTH_MAX).contains(&text.len())
        && !text.starts_with(['.', '-'])
        && text.chars().all(is_inner)
}

fn is_digest(text: &str) -> bool {
    text.split_once(':').is_some_and(|(algorithm, digits)| {
        !algorithm.is_empty()
            && algorithm.chars().all(|letter| letter.is_ascii_alphanumeric())
            && digits.len() >= 32
            && digits.chars().all(|digit| digit.is_ascii_hexdigit())
    })
}

#[cfg(test)]
mod tests {
    use super::{Image, registry_name};

    #[track_caller]
    fn check(text: &str, expected: &str) {
        let said = Image::parse(text)
            .map_or_else(|fault| format!("! {}", fault.reason), |image| image.to_string());
        assert!(said.starts_with(expected), "{text}: {said}");
    }

    #[test]
    fn the_tag_of_an_image_defaults_to_latest() {
        check("busybox", "docker.io/library/busybox:latest");
        check("busybox:1.36", "docker.io/library/busybox:1.36");
        check("me/tool", "docker.io/me/tool:latest");
        check("index.docker.io/me/tool", "docker.io/me/tool:latest");
        check("acme.azurecr.io/team/tool:v1", "acme.azurecr.io/team/tool:v1");
        check("localhost:5000/tool", "localhost:5000/tool:latest");
        let digest = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
        check(&format!("a/b:1@{digest}"), &format!("docker.io/a/b@{digest}"));
    }

    #[test]
    fn what_no_image_is_called_is_refused() {
        for text in ["", "UPPER", "a b", "-x", "a/", "a//b", "host.example/", "--rm", "a/../b"] {
            check(text, "! it has lower-case letters");
        }
        check("a:", "! its tag");
        check("a:b c", "! its tag");
        check("a@sha256:12", "! its digest");
        check(&"a".repeat(300), "! it is too long");
    }

    #[test]
    fn registries_are_known_by_their_hosts() {
        for (text, expected) in [
            ("", "docker.io"),
            ("https://index.docker.io/v1/", "docker.io"),
            ("ACME.azurecr.io", "acme.azurecr.io"),
            ("http://127.0.0.1:5000/", "127.0.0.1:5000"),
        ] {
            assert_eq!(registry_name(text), expected, "{text}");
        }
        let is_local = |text: &str| Image::parse(text).expect("an image").is_local();
        assert!(is_local("127.0.0.1:5000/a") && is_local("localhost/a"));
        assert!(!is_local("busybox") && !is_local("127example.com/a"));
    }
}
