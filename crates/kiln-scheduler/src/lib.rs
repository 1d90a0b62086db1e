//! Which task goes to which node: pure.
