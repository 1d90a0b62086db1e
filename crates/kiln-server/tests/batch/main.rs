//! The Batch endpoint of a server in this process, whose nodes are played by the tests.

mod counts;
mod files;
mod jobs;
mod lists;
mod nodes;
mod pools;
mod recorded;
mod refusals;
mod restart;
mod rig;
mod tasks;
mod versions;
