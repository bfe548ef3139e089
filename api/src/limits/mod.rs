//! What a request, a client and all of them together may take.

pub mod addresses;
pub mod body;
pub mod documents;
pub mod fullness;
pub mod lifetimes;
pub mod memory;
pub mod places;
pub mod quotas;
pub mod throttle;
pub mod underway;
pub mod unread;
pub mod verified;
pub mod waiting;
