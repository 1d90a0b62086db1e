//! The api-versions of the Batch service, oldest to newest, with their spelling.
