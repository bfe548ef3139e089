//! Who may do what, and the record of who did.

pub mod allowed;
pub mod audit;
pub mod auth;
pub mod grants;
pub mod identity;
pub mod who;
