//! The Blob service on the wire: addresses, operations, versions, headers, XML, errors.

pub mod batch;
pub mod checksum;
pub mod encryption;
pub mod error;
pub mod gates;
pub mod headers;
pub mod immutability;
pub mod kind;
pub mod list;
pub mod listed;
pub mod marker;
pub mod operation;
pub mod query;
pub mod range;
pub mod service_xml;
pub mod structured;
pub mod tag_filter;
pub mod target;
pub mod version;
pub mod xml;
