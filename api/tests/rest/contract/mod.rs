//! The contract as it is: a snapshot of every answer, headers and all, one file for each endpoint.
//!
//! `INSTA_UPDATE=always cargo test --workspace --test rest contract` writes the files anew. A change in them is a change
//! of the contract with clients.

mod coverage;
mod described;
mod projects;
mod results;
mod runs;
mod service;
mod transcript;
mod uploads;

use transcript::Transcript;
