//! The text with which a client asks for the next page of a list.
//!
//! Opaque to clients, and of the form that the cloud uses: `2!LENGTH!TEXT`, where the text is
//! base64 with `-` for `=` and holds the name of the first item of the next page.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// What stands where a snapshot would: the item itself is meant.
const BASE_ITEM: &str = "9999-12-31T23:59:59.9999999Z";

/// The marker of the page that begins with `name`.
pub fn encode(name: &str) -> String {
    let plain = format!("{:06}!{name}!{:06}!{BASE_ITEM}!", name.len(), BASE_ITEM.len());
    let text = STANDARD.encode(plain).replace('=', "-");
    format!("2!{}!{text}", text.len())
}

/// The name in a marker; `None` if it is not one of ours.
pub fn decode(marker: &str) -> Option<String> {
    let (length, text) = marker.strip_prefix("2!")?.split_once('!')?;
    if length.parse() != Ok(text.len()) {
        return None;
    }
    let plain = String::from_utf8(STANDARD.decode(text.replace('-', "=")).ok()?).ok()?;
    let (length, rest) = plain.split_once('!')?;
    let (name, rest) = rest.split_at_checked(length.parse().ok()?)?;
    rest.starts_with('!').then(|| name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::{decode, encode};

    #[test]
    fn markers_round_trip() {
        assert!(encode("c.txt").starts_with("2!68!"));
        for name in ["c.txt", "a/b!c", "ä b", "x"] {
            assert_eq!(decode(&encode(name)).as_deref(), Some(name));
        }
        for bad in ["", "c.txt", "2!3!abc", "2!4!abc-", "1!68!AAAA", "2!8!MDAwMDk5"] {
            assert_eq!(decode(bad), None, "{bad}");
        }
    }
}
