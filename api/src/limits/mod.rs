//! What a request, a client and all of them together may take.

pub mod body;
pub mod fullness;
pub mod throttle;
pub mod unread;
