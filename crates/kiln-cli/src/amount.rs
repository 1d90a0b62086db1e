//! Amounts as people write them: `512MiB`, `1.5`.

use std::str::FromStr;

use serde::Deserialize;

/// Units of bytes, by name.
const UNITS: [(&str, u64); 9] = [
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("TiB", 1 << 40),
    ("kB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("TB", 1_000_000_000_000),
    ("B", 1),
];

/// A number of bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct Bytes(pub(crate) u64);

/// A number of processors, in thousandths.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "f64")]
pub(crate) struct Processors(pub(crate) u32);

/// What is no amount.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NoAmount {
    /// Of bytes.
    #[error("a number with a unit, such as 512MiB, or 0 for no limit")]
    Bytes,
    /// Of processors.
    #[error("a number such as 1.5, or 0 for no limit")]
    Processors,
}

impl FromStr for Bytes {
    type Err = NoAmount;

    fn from_str(text: &str) -> Result<Self, NoAmount> {
        let text = text.trim();
        let unit =
            UNITS.into_iter().find_map(|(name, unit)| Some((text.strip_suffix(name)?, unit)));
        let (number, unit) = unit.unwrap_or((text, 1));
        let number: u64 = number.trim().parse().map_err(|_no_number| NoAmount::Bytes)?;
        number.checked_mul(unit).map(Self).ok_or(NoAmount::Bytes)
    }
}

impl TryFrom<String> for Bytes {
    type Error = NoAmount;

    fn try_from(text: String) -> Result<Self, NoAmount> {
        text.parse()
    }
}

impl FromStr for Processors {
    type Err = NoAmount;

    fn from_str(text: &str) -> Result<Self, NoAmount> {
        let (whole, part) = text.trim().split_once('.').unwrap_or_else(|| (text.trim(), ""));
        let part = part.trim_end_matches('0');
        let is_number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        if part.len() > 3 || !is_number(part) || !is_number(whole) {
            return Err(NoAmount::Processors);
        }
        let thousandths = format!("{whole}{part:0<3}");
        thousandths.parse().map(Self).map_err(|_no_number| NoAmount::Processors)
    }
}

impl TryFrom<f64> for Processors {
    type Error = NoAmount;

    fn try_from(number: f64) -> Result<Self, NoAmount> {
        number.to_string().parse()
    }
}

#[cfg(test)]
mod tests {
    use super::{Bytes, Processors};

    #[test]
    fn bytes_have_units() {
        let check = |text: &str, expected: Option<u64>| {
            assert_eq!(text.parse::<Bytes>().ok().map(|it| it.0), expected, "{text}");
        };
        check("512MiB", Some(512 << 20));
        check("2 GiB", Some(2 << 30));
        check("1GB", Some(1_000_000_000));
        check("17", Some(17));
        check("17B", Some(17));
        check("0", Some(0));
        check("", None);
        check("GiB", None);
        check("-1", None);
        check("1.5GiB", None);
        check("99999999TiB", None);
    }

    #[test]
    fn processors_have_parts() {
        let check = |text: &str, expected: Option<u32>| {
            assert_eq!(text.parse::<Processors>().ok().map(|it| it.0), expected, "{text}");
        };
        check("1", Some(1000));
        check("1.5", Some(1500));
        check("0.25", Some(250));
        check("0.1250", Some(125));
        check("0", Some(0));
        check("-1", None);
        check("0.0001", None);
        check("many", None);
        assert_eq!(Processors::try_from(2.5), Ok(Processors(2500)));
    }
}
