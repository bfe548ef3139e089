//! The example data, and what is known of it.

use std::path::PathBuf;

use serde_json::Value;

/// A path below examples/.
pub fn example(path: &str) -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../examples")).join(path)
}

/// A file below examples/data.
pub fn read(path: &str) -> anyhow::Result<Vec<u8>> {
    let path = example("data").join(path);
    std::fs::read(&path).map_err(|error| anyhow::anyhow!("{}: {error}", path.display()))
}

/// What anonlink finds in an example data set (`.`, `thousand`, `blocked`, `three-parties`) at a threshold.
pub fn expected(data_set: &str, threshold: &str) -> anyhow::Result<Value> {
    let expected: Value = serde_json::from_slice(&read("expected.json")?)?;
    Ok(expected[data_set][threshold].clone())
}

/// True pairs of records of a two-party data set, from its truth.csv.
pub fn true_pairs(data_set: &str) -> anyhow::Result<std::collections::BTreeSet<(u64, u64)>> {
    let text = String::from_utf8(read(&format!("{data_set}/truth.csv"))?)?;
    let pair = |line: &str| {
        let (a, b) = line.split_once(',')?;
        Some((a.trim().parse().ok()?, b.trim().parse().ok()?))
    };
    text.lines().skip(1).map(|line| pair(line).ok_or_else(|| anyhow::anyhow!("truth.csv: {line}"))).collect()
}

/// Raw encodings that look random, of 128 bytes, the same for the same seed: nobody matches anybody.
pub fn random_encodings(records: usize, seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(2).wrapping_add(1);
    let mut next = || {
        // xorshift64*, Vigna 2016
        state ^= state >> 12;
        state ^= state << 25;
        state ^= state >> 27;
        state.wrapping_mul(0x2545_F491_4F6C_DD1D)
    };
    (0..records * 16).flat_map(|_| next().to_le_bytes()).collect()
}
