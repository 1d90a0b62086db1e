//! Query options of lists and of single resources.

mod filter;
mod lexer;
mod narrow;
mod page;
mod parser;
mod properties;
mod select;

pub use filter::Filter;
pub use narrow::IdRange;
pub use page::{continuation, cursor, max_results, next_link};
pub use properties::List;
pub use select::{Select, expands_stats};

/// The value of a query option; names are compared without case, an empty value is none.
pub fn option<'a>(query: &'a [(String, String)], name: &str) -> Option<&'a str> {
    query
        .iter()
        .find(|(key, _)| key.eq_ignore_ascii_case(name))
        .map(|(_, value)| value.as_str())
        .filter(|value| !value.is_empty())
}
