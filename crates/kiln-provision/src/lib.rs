//! Gets and returns nodes.
