use super::leaves::{BOX_SEGMENTS, LEAF};

/// Parts at least this large are ordered side by side.
const TASK_RECORDS: usize = 1 << 14;
/// So many records tell which count varies most.
const SAMPLE: usize = 500;

/// Orders records so that each 64 in a row, a leaf, have similar counts: a k-d tree that halves the records by the
/// count that varies most, at a whole number of leaves.
pub(super) fn order(counts: &[[u8; BOX_SEGMENTS]], records: &mut [u32]) {
    if records.len() <= LEAF {
        return;
    }
    let segment = most_varying(counts, records);
    let middle = records.len().div_ceil(LEAF) / 2 * LEAF;
    records.select_nth_unstable_by_key(middle, |&record| counts[record as usize][segment]);
    let (first, second) = records.split_at_mut(middle);
    if first.len() >= TASK_RECORDS {
        rayon::join(|| order(counts, first), || order(counts, second));
    } else {
        order(counts, first);
        order(counts, second);
    }
}

fn most_varying(counts: &[[u8; BOX_SEGMENTS]], records: &[u32]) -> usize {
    let (mut sums, mut squares, mut sampled) = ([0u64; BOX_SEGMENTS], [0u64; BOX_SEGMENTS], 0);
    for &record in records.iter().step_by(records.len().div_ceil(SAMPLE)) {
        sampled += 1;
        for (segment, &count) in counts[record as usize].iter().enumerate() {
            sums[segment] += u64::from(count);
            squares[segment] += u64::from(count) * u64::from(count);
        }
    }
    let variance = |segment: usize| squares[segment] * sampled - sums[segment] * sums[segment];
    (0..BOX_SEGMENTS).max_by_key(|&segment| variance(segment)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_record_is_ordered_once() {
        for records in [0, 1, 63, 64, 65, 128, 1000, 40_000] {
            let counts: Vec<_> =
                (0..records).map(|i: u32| (i.wrapping_mul(0x9E37_79B9)).to_le_bytes()).collect();
            let counts: Vec<[u8; BOX_SEGMENTS]> =
                counts.iter().map(|&[a, b, c, _]| [a, b, c, 0, 7]).collect();
            let mut ordered: Vec<u32> = (0..records).collect();
            order(&counts, &mut ordered);
            ordered.sort_unstable();
            assert!(ordered.into_iter().eq(0..records));
        }
    }
}
