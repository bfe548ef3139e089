//! Who may do what, and the record of who did.

pub mod allowed;
pub mod audit;
pub mod audit_log;
pub mod auth;
pub mod caller;
pub mod creation;
pub mod grants;
pub mod identity;
pub mod who;
