//! Query options of lists.
