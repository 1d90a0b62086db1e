//! Why a request is refused.
//!
//! A rejection is not a failure: a rule said no, and the client can act on it.
//! One variant per rule, carrying the values that rule looked at. The code, status and
//! wording that Azure's clients expect are given on the wire, one per variant.
