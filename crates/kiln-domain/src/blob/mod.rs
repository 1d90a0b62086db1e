//! Containers and blobs: their names, conditions and rules.
//!
//! In reading order: what a name may be ([`name`]), what a user attaches ([`metadata`],
//! [`tags`], [`tag_filter`]), the nouns themselves ([`container`], [`content`], of which
//! [`kind`] and [`edition`]; [`settings`] of an account and [`service`], which its clients set),
//! when a write or a read goes ahead ([`condition`], [`lease`], [`tier`],
//! [`immutability`]), what is kept of what
//! was ([`history`]), how blocks become a blob ([`block`]), how the other kinds grow and change
//! ([`append`], [`page`]), how a list is cut into pages ([`listing`]), and why a request is
//! refused ([`rejection`]).

pub mod append;
pub mod block;
pub mod condition;
pub mod container;
pub mod content;
pub mod edition;
pub mod encryption;
pub mod history;
pub mod immutability;
pub mod kind;
pub mod lease;
pub mod limits;
pub mod listing;
pub mod metadata;
pub mod name;
pub mod page;
pub mod query;
pub mod rejection;
pub mod service;
pub mod settings;
pub mod tag_filter;
pub mod tags;
pub mod tier;
