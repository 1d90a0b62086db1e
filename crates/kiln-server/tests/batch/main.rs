//! The Batch endpoint of a server in this process, whose nodes are played by the tests.

#![expect(
    clippy::indexing_slicing,
    reason = "a member that is not there is null, and a wrong index fails the test it is in"
)]

mod agents;
mod auto_pools;
mod autoscale;
mod certificates;
mod containers;
mod counts;
mod coverage;
mod dependencies;
mod exit_conditions;
mod files;
mod gangs;
mod job_changes;
mod job_manager;
mod job_schedules;
mod job_states;
mod jobs;
mod kept_files;
mod lists;
mod mounts;
mod node_actions;
mod node_shapes;
mod node_users;
mod nodes;
mod operations;
mod packages;
mod pool_changes;
mod pool_sizes;
mod pool_usage;
mod pools;
mod preemption;
mod preparation;
mod recorded;
mod recorded_jobs;
mod refusals;
mod restart;
mod rig;
mod statistics;
mod task_changes;
mod task_files;
mod task_tokens;
mod tasks;
mod unsupported;
mod versions;
