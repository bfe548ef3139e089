//! What clients call: one module for each resource.

pub mod changes;
pub mod claims;
pub mod external;
pub mod from_run;
pub mod histogram;
pub mod invitation;
pub mod mask_key;
pub mod outputs;
pub mod page;
pub mod projects;
pub mod results;
pub mod resumable;
pub mod run_status;
pub mod runs;
pub mod service;
pub mod solver;
pub mod tokens;
pub mod uploads;
pub mod webhook;
pub mod withdrawals;
