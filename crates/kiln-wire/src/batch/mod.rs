//! Shapes of the Batch service: requests lifted to the newest api-version, answers lowered.
