//! Stories of people who link records, each told on a real cluster, in a namespace of its own.

mod anonlink_client;
mod away;
mod bad_input;
mod contract;
mod crowd;
mod disruption;
mod encrypted_mask;
mod flows;
mod formats;
mod from_run;
mod gone;
mod job_credentials;
mod kubernetes_away;
mod leftovers;
mod manifests;
mod openapi;
mod page;
mod readers;
mod removal;
mod solver;
mod store_uploads;
mod told;
mod upgrade;
