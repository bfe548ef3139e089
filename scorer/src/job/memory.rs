//! How a pod's memory is divided, so that it is never killed for taking too much.

use super::failure::out_of_memory;
use crate::solve::BYTES_PER_RECORD;
use crate::summary::Failure;

/// The program itself, its buffers for the store's parts and ranges, and the threads' stacks.
const BASE_BYTES: u64 = 48 << 20;
/// Below this the engine would read the data over and over.
const LEAST_BYTES: u64 = 16 << 20;

/// What scoring may use for what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Shares {
    /// For encodings.
    pub encodings: usize,
    /// For pairs before they are spilled; the rest of the memory is for the pairs of each thread.
    pub pairs: usize,
}

/// Divides what is left beside the blocks.
pub(super) fn divide(limit_bytes: u64, blocks_bytes: u64) -> Result<Shares, Failure> {
    let taken = BASE_BYTES + blocks_bytes;
    let left = limit_bytes.saturating_sub(taken);
    if left < LEAST_BYTES {
        return Err(out_of_memory("scoring", taken + LEAST_BYTES, limit_bytes));
    }
    let share = |parts: u64| usize::try_from(left / 8 * parts).unwrap_or(usize::MAX);
    // The buffer of pairs grows by moving, which takes half as much again.
    Ok(Shares { encodings: share(4), pairs: share(2) })
}

/// Blocks take 8 bytes an entry, twice that while their list grows, and 4 a record.
pub(super) fn blocks_bytes(entries: u64, records: u64) -> u64 {
    16 * entries + 4 * records
}

/// Whether so many entries of blocks can be held.
pub(super) fn check_blocks(limit_bytes: u64, entries: u64, records: u64) -> Result<(), Failure> {
    divide(limit_bytes, blocks_bytes(entries, records)).map(drop)
}

/// Whether the groups of so many records can be held: 8 bytes a record, twice that for permutations.
///
/// Within a single party's data, and where groups may hold several records of a party, most pairs are held as edges
/// until their groups merge, about 30 bytes each; else few are, and `edges` is 0.
pub(super) fn check_solving(
    limit_bytes: u64,
    records: u64,
    edges: u64,
    permutations: bool,
) -> Result<(), Failure> {
    let needed = BASE_BYTES + records * if permutations { 20 } else { 12 } + edges * 40;
    if needed > limit_bytes { Err(out_of_memory("solving", needed, limit_bytes)) } else { Ok(()) }
}

/// What solving optimally may use for pairs, beside what it holds of so many records. Whether a component fits is known
/// once the components are.
pub(super) fn optimal_share(limit_bytes: u64, records: u64) -> Result<u64, Failure> {
    // as much as the pieces may take in which pairs are read
    let taken = BASE_BYTES + records * BYTES_PER_RECORD + limit_bytes / 8;
    match limit_bytes.saturating_sub(taken) {
        left if left < LEAST_BYTES => Err(out_of_memory("solving", taken + LEAST_BYTES, limit_bytes)),
        left => Ok(left),
    }
}

/// How much of each shard's pairs is read at a time; twice that is held.
pub(super) fn piece_bytes(limit_bytes: u64, shards: u32) -> u64 {
    (limit_bytes / 16 / u64::from(shards.max(1))).clamp(32 << 10, 4 << 20)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_never_exceed_the_limit() {
        for limit in [64 << 20, 100 << 20, 1 << 30, 1 << 40] {
            let shares = divide(limit, 0).unwrap();
            let used = BASE_BYTES + shares.encodings as u64 + shares.pairs as u64 * 3 / 2;
            assert!(used <= limit, "{limit}: {shares:?}");
        }
    }

    #[test]
    fn what_cannot_fit_is_refused_with_the_way_out() {
        let refused = divide(32 << 20, 0).unwrap_err();
        assert!(refused.message.contains("64 MiB"), "{}", refused.message);
        assert!(refused.message.contains("resources.limits.memory"), "{}", refused.message);
        assert!(check_blocks(256 << 20, 100_000_000, 10).is_err());
        assert!(check_solving(256 << 20, 100_000_000, 0, false).is_err());
        assert!(check_solving(256 << 20, 10_000_000, 0, true).is_ok());
        assert!(check_solving(256 << 20, 1_000_000, 10_000_000, false).is_err());
        assert!(
            optimal_share(256 << 20, 10_000_000).unwrap_err().message.contains("resources.limits.memory")
        );
        assert!(optimal_share(256 << 20, 1_000_000).unwrap() > 128 << 20);
    }
}
