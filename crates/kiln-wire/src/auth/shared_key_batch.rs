//! Shared Key signatures of the Batch service: made and verified.
