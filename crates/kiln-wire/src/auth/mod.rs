//! Who asks: signatures of requests and shared access signatures.

pub mod sas;
pub mod shared_key_batch;
pub mod shared_key_blob;
