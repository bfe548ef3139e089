//! Scored pairs of records: their order, their file format, sorting and merging them in bounded memory.
//!
//! A shard's pairs are a file in the format of `anonlink.serialization`, sorted by descending score; see
//! [`PairReader`] and [`PairWriter`]. [`PairSorter`] brings any number of pairs into that order within a given
//! memory, [`Merge`] makes one sorted stream of many.
//!
//! ```
//! use linkage_engine::pairs::{Merge, Pair, PairReader, PairWriter};
//!
//! # fn main() -> Result<(), linkage_engine::pairs::Error> {
//! let mut shards = [Vec::new(), Vec::new()];
//! for (shard, score) in shards.iter_mut().zip([0.9, 0.95]) {
//!     let mut writer = PairWriter::new(shard)?;
//!     writer.write(&Pair { score, dataset0: 0, dataset1: 1, record0: 7, record1: 3 + (score * 100.0) as u32 })?;
//!     writer.finish()?;
//! }
//! let readers = shards.iter().enumerate().map(|(i, bytes)| PairReader::new(format!("shard {i}"), &bytes[..]));
//! let merged: Vec<Pair> = Merge::new(readers.collect::<Result<_, _>>()?)?.collect::<Result<_, _>>()?;
//! assert_eq!(merged[0].score, 0.95);
//! # Ok(()) }
//! ```

mod error;
mod format;
mod merge;
mod pair;
mod sort;

pub use error::Error;
pub use format::{HEADER_BYTES, PAIR_BYTES, PairReader, PairWriter};
pub use merge::{Merge, PairStream};
pub use pair::Pair;
pub use sort::{PairSorter, SortedPairs};
