//! How `TO_STRING` words a time.

use std::fmt::Write as _;

use jiff::tz::Offset;

use super::moment::Moment;

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];

impl Moment {
    /// The time in the form of `pattern`: runs of a letter are parts of it, all else is itself.
    /// `None` for a run that means nothing.
    pub(super) fn format(self, pattern: &str) -> Option<String> {
        let mut text = String::new();
        let mut rest = pattern;
        while let Some(first) = rest.chars().next() {
            let end = rest.find(|c| c != first).unwrap_or(rest.len());
            let (run, behind) = rest.split_at(end);
            if first.is_ascii_alphabetic() {
                self.push_part(run, &mut text)?;
            } else {
                text.push_str(run);
            }
            rest = behind;
        }
        Some(text)
    }

    fn push_part(self, run: &str, text: &mut String) -> Option<()> {
        let civil = self.civil();
        let month = || MONTHS.get(usize::try_from(civil.month() - 1).ok()?).copied();
        let hour_of_half = match civil.hour() % 12 {
            0 => 12,
            hour => hour,
        };
        let written = match run {
            "yy" => write!(text, "{:02}", civil.year().rem_euclid(100)),
            "y" | "yyyy" => write!(text, "{:04}", civil.year()),
            "M" => write!(text, "{}", civil.month()),
            "MM" => write!(text, "{:02}", civil.month()),
            "MMM" => write!(text, "{}", month()?.get(..3)?),
            "MMMM" => write!(text, "{}", month()?),
            "d" => write!(text, "{}", civil.day()),
            "dd" => write!(text, "{:02}", civil.day()),
            "a" => write!(text, "{}", if civil.hour() < 12 { "AM" } else { "PM" }),
            "h" => write!(text, "{hour_of_half}"),
            "hh" => write!(text, "{hour_of_half:02}"),
            "H" => write!(text, "{}", civil.hour()),
            "HH" => write!(text, "{:02}", civil.hour()),
            "m" => write!(text, "{}", civil.minute()),
            "mm" => write!(text, "{:02}", civil.minute()),
            "s" => write!(text, "{}", civil.second()),
            "ss" => write!(text, "{:02}", civil.second()),
            "S" | "SS" | "SSS" => {
                let digits = format!("{:09}", civil.subsec_nanosecond());
                write!(text, "{}", digits.get(..run.len())?)
            }
            "X" | "XX" | "XXX" | "XXXX" | "XXXXX" if self.offset == Offset::UTC => {
                write!(text, "Z")
            }
            "X" | "x" => write!(text, "{}", hours(self.offset)),
            "XX" | "XXXX" | "xx" | "xxxx" => write!(text, "{}", zone(self.offset, "")),
            "XXX" | "XXXXX" | "xxx" | "xxxxx" => write!(text, "{}", zone(self.offset, ":")),
            _ => return None,
        };
        written.ok()
    }
}

/// `+05`
fn hours(offset: Offset) -> String {
    let sign = if offset.seconds() < 0 { '-' } else { '+' };
    format!("{sign}{:02}", offset.seconds().abs() / 3600)
}

/// `+05:30`
pub(super) fn zone(offset: Offset, between: &str) -> String {
    format!("{}{between}{:02}", hours(offset), offset.seconds().abs() % 3600 / 60)
}
