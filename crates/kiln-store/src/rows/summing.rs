//! Columns that sum up.

use std::fmt::Write as _;

/// What becomes of a row of sums when another is added: moments and peaks stay the greatest, all
/// else is added up.
pub(super) fn added(columns: &str) -> String {
    let mut sql = String::new();
    for column in columns.split(',').map(str::trim) {
        let begins = if sql.is_empty() { "" } else { ", " };
        let is_greatest = column.ends_with("_at") || column.starts_with("peak_");
        // Writing to a string does not fail.
        let _written = if is_greatest {
            write!(sql, "{begins}{column} = max({column}, excluded.{column})")
        } else {
            write!(sql, "{begins}{column} = {column} + excluded.{column}")
        };
    }
    sql
}

#[cfg(test)]
mod tests {
    #[test]
    fn peaks_and_moments_stay_the_greatest() {
        assert_eq!(
            super::added("updated_at, n,  peak_n"),
            "updated_at = max(updated_at, excluded.updated_at), n = n + excluded.n, \
             peak_n = max(peak_n, excluded.peak_n)"
        );
    }
}
