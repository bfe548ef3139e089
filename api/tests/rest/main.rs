//! The REST service as its clients see it, before a Kubernetes API in memory and a store in a directory.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

mod access;
mod audit;
mod connections;
mod contract;
mod document;
mod external;
mod formats;
mod forms;
mod histogram;
mod kubernetes;
mod life;
mod limits;
mod lists;
mod metrics;
mod page;
mod parties;
mod projects;
mod results;
mod resumable;
mod robustness;
mod runs;
mod s3;
mod service;
mod store_away;
mod tls;
mod tokens;
mod traces;
mod uploads;
mod users;
mod waiting;
mod webhooks;
