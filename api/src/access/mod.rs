//! Who may do what, and the record of who did.

pub mod audit;
pub mod auth;
pub mod grants;
pub mod identity;
