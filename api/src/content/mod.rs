//! How requests and answers are read and written.

pub mod formats;
pub mod ranges;
pub mod text;
pub mod unpack;
