//! Containers and blobs: their names, conditions and rules.
