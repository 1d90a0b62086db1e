//! The text with which a client asks for the next page of a list.
//!
//! Opaque to clients, and of the form that the cloud uses: `2!LENGTH!TEXT`, where the text is
//! base64 with `-` for `=` and holds name and moment of the first item of the next page.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use kiln_domain::blob::edition::parse_moment;
use kiln_domain::blob::listing::PRESENT;
use kiln_domain::time::Timestamp;

/// What stands where a snapshot would: the item itself is meant.
const BASE_ITEM: &str = "9999-12-31T23:59:59.9999999Z";

/// The marker of the page that begins with the item of this name and moment.
pub fn encode(name: &str, moment: i64) -> String {
    let item =
        if moment == PRESENT { BASE_ITEM.to_owned() } else { Timestamp(moment).to_iso_seven() };
    let plain = format!("{:06}!{name}!{:06}!{item}!", name.len(), item.len());
    let text = STANDARD.encode(plain).replace('=', "-");
    format!("2!{}!{text}", text.len())
}

/// The name and moment in a marker; `None` if it is not one of ours.
pub fn decode(marker: &str) -> Option<(String, i64)> {
    let (length, text) = marker.strip_prefix("2!")?.split_once('!')?;
    if length.parse() != Ok(text.len()) {
        return None;
    }
    let plain = String::from_utf8(STANDARD.decode(text.replace('-', "=")).ok()?).ok()?;
    let (length, rest) = plain.split_once('!')?;
    let (name, rest) = rest.split_at_checked(length.parse().ok()?)?;
    let (_length, rest) = rest.strip_prefix('!')?.split_once('!')?;
    let item = rest.strip_suffix('!')?;
    let moment = if item == BASE_ITEM { PRESENT } else { parse_moment(item)?.0 };
    Some((name.to_owned(), moment))
}

#[cfg(test)]
mod tests {
    use super::{PRESENT, decode, encode};

    #[test]
    fn markers_round_trip() {
        assert!(encode("c.txt", PRESENT).starts_with("2!68!"));
        for name in ["c.txt", "a/b!c", "ä b", "x"] {
            for moment in [PRESENT, 0, 17_000_000_000_000_001] {
                assert_eq!(decode(&encode(name, moment)), Some((name.to_owned(), moment)));
            }
        }
        for bad in ["", "c.txt", "2!3!abc", "2!4!abc-", "1!68!AAAA", "2!8!MDAwMDk5"] {
            assert_eq!(decode(bad), None, "{bad}");
        }
    }
}
