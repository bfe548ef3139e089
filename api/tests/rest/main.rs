//! The REST service as its clients see it, before a Kubernetes API in memory and a store in a directory.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

mod access;
mod connections;
mod document;
mod formats;
mod histogram;
mod kubernetes;
mod limits;
mod metrics;
mod page;
mod projects;
mod results;
mod robustness;
mod runs;
mod service;
mod tls;
mod tokens;
mod traces;
mod uploads;
mod users;
