//! Shared Key signatures of the Blob service: made and verified.
