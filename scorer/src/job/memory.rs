//! How a pod's memory is divided, so that it is never killed for taking too much.

use super::failure::out_of_memory;
use super::outputs::{self, WRITE_BYTES};
use crate::plan::{ResultFormat, ResultType, RunPlan};
use crate::result::table::PARQUET_BYTES;
use crate::solve::{BYTES_PER_RECORD, Solver};
use crate::store::{FIRST_PART_BYTES, PARTS_IN_FLIGHT};
use crate::summary::Failure;

/// The program itself, its buffers for the store's parts and ranges, and the threads' stacks.
const BASE_BYTES: u64 = 48 << 20;
/// An object that is being written: the part that is filled, those on their way, and the buffer before them.
const OBJECT_BYTES: u64 = ((1 + PARTS_IN_FLIGHT) * FIRST_PART_BYTES + WRITE_BYTES) as u64;
/// An edge between two groups, and a score that is kept; both lists may be moved while they grow.
const EDGE_BYTES: u64 = 40;
const SCORE_BYTES: u64 = 32;
/// A Parquet file's list of its groups of rows is held until the end: a few KB for 128 Ki rows.
const PAIRS_PER_BYTE: u64 = 16;
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

/// Whether groups are formed with the scores within them: all formats but JSON tell these.
pub(super) fn keeps_scores(plan: &RunPlan) -> bool {
    plan.result_type == ResultType::Groups && plan.formats.iter().any(|&format| format != ResultFormat::Json)
}

/// Whether the groups of so many pairs can be held, and their result be written.
pub(super) fn check_solving(plan: &RunPlan, pairs: u64) -> Result<(), Failure> {
    check(plan, solving_bytes(plan, pairs))
}

/// Whether the scores that are kept while groups are formed can still be held. With more than two parties it depends on the
/// pairs how many these are.
pub(super) fn check_scores_kept(plan: &RunPlan, scores: usize) -> Result<(), Failure> {
    check(plan, solving_bytes(plan, 0) + SCORE_BYTES * scores as u64)
}

fn check(plan: &RunPlan, needed: u64) -> Result<(), Failure> {
    if needed <= plan.memory_limit_bytes {
        return Ok(());
    }
    let what = match plan.formats.len() {
        1 => "solving".to_owned(),
        formats => format!("solving, with a result in {formats} formats (spec.formats),"),
    };
    Err(out_of_memory(&what, needed, plan.memory_limit_bytes))
}

fn solving_bytes(plan: &RunPlan, pairs: u64) -> u64 {
    let records: Vec<u64> = plan.inputs.iter().map(|input| input.records).collect();
    let per_record = match plan.result_type {
        ResultType::SimilarityScores => 0,
        ResultType::Groups if keeps_scores(plan) => 16,
        ResultType::Groups => 12,
        ResultType::Permutations => 24,
    };
    // Within a single party's data, and where groups may hold several records of a party, most pairs are held as edges until
    // their groups merge; else few are.
    let keeps_edges = match plan.solver.unwrap_or_default() {
        Solver::Greedy(options) => options.keeps_edges(records.len()),
        Solver::Optimal(_) => false,
    };
    let (edges, scores) = match (&records[..], plan.result_type) {
        (_, ResultType::SimilarityScores) => (0, 0),
        _ if keeps_edges => (pairs, pairs),
        // one for each group
        (&[records0, records1], _) => (0, pairs.min(records0).min(records1)),
        _ => (0, 0),
    };
    let scores = if keeps_scores(plan) { SCORE_BYTES * scores } else { 0 };
    BASE_BYTES
        + per_record * records.iter().sum::<u64>()
        + EDGE_BYTES * edges
        + scores
        + writing_bytes(plan, pairs)
}

/// What the objects take that are written at the same time, but for the first, which is in the base.
fn writing_bytes(plan: &RunPlan, pairs: u64) -> u64 {
    let scores = u64::from(plan.has_similarity_scores());
    // all formats of an object together where it comes only once; else one after the other
    let (together, one) = match plan.result_type {
        ResultType::SimilarityScores => (1, 0),
        ResultType::Groups => (scores, 1),
        ResultType::Permutations if plan.mask_key.is_some() => (3, 0),
        ResultType::Permutations => (0, 1),
    };
    let objects = together * plan.formats.len() as u64 + u64::from(outputs::writes_pairs(plan)) + one;
    let tables = if plan.formats.contains(&ResultFormat::Parquet) { together + one } else { 0 };
    (objects - 1) * OBJECT_BYTES + tables * PARQUET_BYTES + tables * scores * pairs / PAIRS_PER_BYTE
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
        assert!(
            optimal_share(256 << 20, 10_000_000).unwrap_err().message.contains("resources.limits.memory")
        );
        assert!(optimal_share(256 << 20, 1_000_000).unwrap() > 128 << 20);
        let refused = check_solving(&plan("groups", &[50_000_000, 50_000_000], &["JSON"]), 0).unwrap_err();
        assert!(refused.message.starts_with("solving needs"), "{}", refused.message);
        assert!(check_solving(&plan("permutations", &[4_000_000, 4_000_000], &["JSON"]), 0).is_ok());
        assert!(check_solving(&plan("groups", &[1_000_000], &["JSON"]), 10_000_000).is_err());
    }

    #[test]
    fn every_format_counts() {
        let alone = plan("groups", &[4_000_000, 4_000_000], &["JSON"]);
        assert!(check_solving(&alone, 4_000_000).is_ok());
        let all = plan("groups", &[4_000_000, 4_000_000], &["JSON", "CSV", "NDJSON", "Parquet"]);
        let refused = check_solving(&all, 4_000_000).unwrap_err();
        assert!(refused.message.contains("spec.formats"), "{}", refused.message);
        // three parties: many pairs are fine as long as few scores are to be kept
        let three = plan("groups", &[1_000_000; 3], &["JSON", "CSV"]);
        assert!(check_solving(&three, 1_000_000_000).is_ok());
        assert!(check_scores_kept(&three, 1_000_000).is_ok());
        assert!(check_scores_kept(&three, 10_000_000).is_err());
        // similarity scores take no memory but what writing them takes
        let formats = ["JSON", "CSV", "NDJSON", "Parquet"];
        let scores =
            RunPlan { memory_limit_bytes: 160 << 20, ..plan("similarity_scores", &[1 << 31; 2], &formats) };
        assert!(check_solving(&scores, 1_000_000).is_ok());
        assert!(check_solving(&RunPlan { memory_limit_bytes: 96 << 20, ..scores }, 0).is_err());
        let beside = RunPlan { with_similarity_scores: true, ..plan("groups", &[1; 3], &formats) };
        assert_eq!(writing_bytes(&beside, 0), 4 * OBJECT_BYTES + 2 * PARQUET_BYTES);
        // merged for anonlink
        let sharded = RunPlan { shards: 2, ..beside };
        assert_eq!(writing_bytes(&sharded, 0), 5 * OBJECT_BYTES + 2 * PARQUET_BYTES);
    }

    /// A plan for 256 MiB.
    fn plan(result_type: &str, records: &[u64], formats: &[&str]) -> RunPlan {
        let input = |records: &u64| serde_json::json!({"party": "a", "encodings": "e", "records": records, "encodingBytes": 128, "blake3": ""});
        serde_json::from_value(serde_json::json!({"version": 2, "work": "", "run": "r", "threshold": 0.8,
            "resultType": result_type, "formats": formats, "blocking": false, "output": "runs/r/", "shards": 1,
            "inputs": records.iter().map(input).collect::<Vec<_>>(), "memoryLimitBytes": 256 << 20}))
        .unwrap()
    }
}
