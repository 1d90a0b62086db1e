//! Containers and blobs: their names, conditions and rules.
//!
//! In reading order: what a name may be ([`name`]), what a user attaches ([`metadata`]), the
//! nouns themselves ([`container`], [`content`]), when a write or a read goes ahead
//! ([`condition`]), how blocks become a blob ([`block`]), how a list is cut into pages
//! ([`listing`]), and why a request is refused ([`rejection`]).

pub mod block;
pub mod condition;
pub mod container;
pub mod content;
pub mod limits;
pub mod listing;
pub mod metadata;
pub mod name;
pub mod rejection;
