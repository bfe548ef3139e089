//! Any pairs in any streams: sorting gives them in their order, and so does merging sorted streams; a pair that comes
//! twice or out of order is an error.
#![no_main]

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use linkage_engine::pairs::{Error, Merge, Pair, PairReader, PairSorter, PairWriter};

#[derive(Arbitrary, Debug)]
struct Input {
    limit: u16,
    is_sorted: bool,
    streams: Vec<Vec<(u8, u8, u8)>>,
}

fuzz_target!(|input: Input| {
    let mut streams: Vec<Vec<Pair>> =
        input.streams.iter().map(|stream| stream.iter().copied().map(pair).collect()).collect();
    let mut all = streams.concat();
    all.sort();
    let is_unique = all.is_sorted_by(|a, b| a < b);

    let mut sorter = PairSorter::new(input.limit.into(), std::env::temp_dir());
    // a pair that comes twice may be found before the end, when runs are merged
    let taken = streams.iter().try_for_each(|pairs| sorter.extend(pairs));
    check(taken.and_then(|()| sorter.finish()?.collect()), &all, is_unique);

    if input.is_sorted {
        streams.iter_mut().for_each(|pairs| pairs.sort());
    }
    let are_sorted = streams.iter().all(|pairs| pairs.is_sorted());
    let files: Vec<Vec<u8>> = streams.iter().map(|pairs| file(pairs)).collect();
    let readers = files.iter().map(|file| PairReader::new("a stream", &file[..]).unwrap()).collect();
    check(Merge::new(readers).and_then(Iterator::collect), &all, is_unique && are_sorted);
});

/// Few different ones, so that some come twice.
fn pair((score, dataset1, record): (u8, u8, u8)) -> Pair {
    let (record0, record1) = (u32::from(record >> 4), u32::from(record & 15));
    Pair { score: f64::from(score) / 255.0, dataset0: 0, dataset1: u32::from(dataset1 % 3), record0, record1 }
}

fn file(pairs: &[Pair]) -> Vec<u8> {
    let mut writer = PairWriter::new(Vec::new()).unwrap();
    pairs.iter().for_each(|pair| writer.write(pair).unwrap());
    writer.finish().unwrap()
}

fn check(merged: Result<Vec<Pair>, Error>, expected: &[Pair], is_fine: bool) {
    match merged {
        Ok(pairs) => assert!(is_fine && pairs == expected),
        Err(error) => {
            assert!(!is_fine);
            assert!(matches!(error, Error::Duplicate { .. } | Error::Unsorted { .. }), "{error}");
        }
    }
}
