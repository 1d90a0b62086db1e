//! Client library for the Batch and Blob APIs.
