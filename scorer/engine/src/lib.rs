//! The matcher: finds every pair of records of different parties, or of one party, whose encodings are similar enough.
//!
//! Pure computation over encodings in memory or in files, on all cores, in bounded memory. Results are exact:
//! every pair whose Dice similarity `2·|a∧b| / (|a|+|b|)`, in double precision, is at or above the threshold.
//! Two empty encodings have similarity 0.
//!
//! ```
//! use linkage_engine::{EncodingSource, Encodings, Linkage, Meter, Threshold};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! // Two parties with encodings of 8 bytes: two records and one record.
//! let first = Encodings::from_bytes(&[1, 2, 3, 4, 5, 6, 7, 8, 0xff, 0, 0, 0, 0, 0, 0, 0], 8)?;
//! let second = Encodings::from_bytes(&[1, 2, 3, 4, 5, 6, 7, 9], 8)?;
//! let parties: [&dyn EncodingSource; 2] = [&first, &second];
//!
//! let mut pairs = Vec::new();
//! let outcome = Linkage::new(&parties, Threshold::new(0.8)?)?.run(&Meter::default(), &mut pairs)?;
//! assert_eq!(outcome.comparisons, 2);
//! assert_eq!(pairs.len(), 1);
//! assert_eq!((pairs[0].record0, pairs[0].record1), (0, 0));
//! assert_eq!(pairs[0].score, 2.0 * 13.0 / (13.0 + 14.0));
//! # Ok(()) }
//! ```
//!
//! [`Linkage::within`] compares one data set with itself, to find the records that are there several times.
//!
//! Work is cut into shards that add up to the whole, each of which can run on a machine of its own
//! ([`Linkage::shard`]); [`Blocks`] limit it to records that share a block. A [`Meter`] shows from another thread
//! how far it is, and cancels it.
//!
//! Encodings are compared by the fastest kernel that the processor knows, unless the environment variable LINKAGE_KERNEL
//! names another one: `avx512`, `avx512bw`, `avx2` or `popcnt` on x86-64, `neon` on 64-bit ARM, and everywhere `portable`.
//! All find the same pairs.

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
pub use kernel::{kernel_names, missing_kernel_names, register_ceiling};
pub use linkage::{Linkage, Outcome};
pub use meter::Meter;
pub use prune::Plan;
pub use sink::PairSink;
pub use threshold::{Threshold, dice};
pub use work::Shard;

#[cfg(test)]
mod tests;
