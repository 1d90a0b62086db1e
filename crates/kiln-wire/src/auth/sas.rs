//! Shared access signatures of the Blob service: made and verified.
