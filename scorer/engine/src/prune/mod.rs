//! Leaves out comparisons that cannot give a pair, and finds the same pairs.
//!
//! The bits of the encodings are divided into segments, and some are turned round (0 for 1), the same for all records.
//! A record's *segment counts* are the bits then set in each segment. One differing bit changes one count by one, so
//! the sum of the counts' differences is at most the number of bits in which two encodings differ:
//!
//! ```text
//! Σ |a_k − b_k|  ≤  |a| + |b| − 2·|a∧b|
//! ```
//!
//! A pair reaches the threshold only if |a∧b| is at least the sum of both records' shares of the cutoff
//! (`Cutoffs::share`), hence only if `Σ |a_k − b_k| ≤ slack(a) + slack(b)`, where `slack(a) = |a| − 2·share(a)`.
//! That is a few byte operations for 64 pairs at a time, and most pairs of unlike records end there. Any division of
//! the bits is right; the one that keeps the fewest pairs is learnt from a [`sample`] ([`segments`]), and whether it is
//! worth it at all is estimated from the same sample ([`plan`]). Where comparing encodings takes long, the pairs that
//! remain are first told apart by the counts of more, finer segments.
//!
//! Records with similar counts are put side by side, 64 in a [`leaves`], whose least and greatest counts tell that
//! most other leaves, and most records of the others, have no match in it.
//!
//! At high thresholds pairs are looked up instead, by parts of the bits in which they agree: see [`parts`] and [`index`].
//!
//! Where matrices are multiplied, single pairs are told apart by [`projections`] instead of the counts of single segments.
//!
//! Bounds by counts of parts of a Bloom filter are known from multibit trees (Kristensen et al., Algorithms for
//! Molecular Biology 2010) and from Bachteler, Reiher and Schnell's work on them for record linkage (2013); learning
//! the parts, turning bits round, and the byte-wise test of 64 pairs are this project's.

mod buckets;
mod counting;
mod index;
mod leaves;
mod parts;
mod plan;
mod principal;
mod projections;
mod run;
mod sample;
mod segments;
mod tasks;
mod tree;

pub(super) use buckets::Entry;
pub(super) use index::run_lookup;
#[cfg(target_arch = "x86_64")]
pub(super) use leaves::MOST_SEGMENTS;
pub(super) use leaves::{BOX_SEGMENTS, Bounds, Counts, FinerCounts, LEAF, Leaf, Projected, Ranges};
pub use plan::Plan;
pub(super) use plan::{Forced, Pruning, choose, forced};
pub(super) use run::run_pruned;

#[cfg(test)]
pub(super) mod tests;
