//! Blob bytes on local disk.
