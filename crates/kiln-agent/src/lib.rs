//! One node: prepares, isolates, runs, keeps.
