#![doc = include_str!("../README.md")]

mod blocked;
mod blocks;
mod chunk;
mod dense;
mod encodings;
mod error;
mod executor;
mod file;
mod kernel;
mod linkage;
mod meter;
pub mod pairs;
mod prune;
mod sink;
mod threshold;
mod triangle;
pub mod work;

pub use blocks::{Blocks, BlocksBuilder};
pub use encodings::{EncodingSource, Encodings, MAX_ENCODING_BYTES, MIN_ENCODING_BYTES};
pub use error::Error;
pub use file::FileEncodings;
#[doc(hidden)]
pub use kernel::{kernel_names, missing_kernel_names, register_ceiling, segment_ceiling};
pub use linkage::{Linkage, Outcome};
pub use meter::Meter;
pub use prune::Plan;
pub use sink::PairSink;
pub use threshold::{Threshold, dice};
pub use work::Shard;

#[cfg(test)]
mod tests;
