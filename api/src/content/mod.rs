//! How requests and answers are read and written.

pub mod formats;
pub mod pages;
pub mod ranges;
pub mod schema;
pub mod text;
pub mod unpack;
