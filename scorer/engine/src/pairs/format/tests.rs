use proptest::prelude::*;

use super::*;

fn read(bytes: &[u8]) -> Result<Vec<Pair>, Error> {
    PairReader::new("shard 3", bytes)?.collect()
}

fn message(bytes: &[u8]) -> String {
    read(bytes).unwrap_err().to_string()
}

fn pair(score: f64, record1: u32) -> Pair {
    Pair { score, dataset0: 1, dataset1: 2, record0: 3, record1 }
}

fn written(pairs: &[Pair]) -> Vec<u8> {
    let mut writer = PairWriter::new(Vec::new()).unwrap();
    pairs.iter().for_each(|pair| writer.write(pair).unwrap());
    assert_eq!(writer.pairs(), pairs.len() as u64);
    writer.finish().unwrap()
}

#[test]
fn writes_the_documented_bytes() {
    let bytes = written(&[pair(1.0, 0x01020304)]);
    let expected = [
        &[1, 8, 4, 4][..],
        &[0, 0, 0, 0, 0, 0, 0xf0, 0x3f],
        &[1, 0, 0, 0, 2, 0, 0, 0],
        &[3, 0, 0, 0, 4, 3, 2, 1],
    ]
    .concat();
    assert_eq!(bytes, expected);
    assert_eq!(bytes.len() as u64, HEADER_BYTES + PAIR_BYTES);
}

proptest! {
    #[test]
    fn reads_what_it_wrote(pairs in prop::collection::vec((0.0..=1.0, any::<u32>()), 0..5000)) {
        let pairs: Vec<Pair> = pairs.into_iter().map(|(score, record)| pair(score, record)).collect();
        prop_assert!(read(&written(&pairs)).unwrap() == pairs);
    }

    #[test]
    fn the_fast_way_to_decode_finds_what_the_general_one_does(bytes: [u8; PAIR_BYTES as usize], score in 0.0..=1.0) {
        let mut plausible = bytes;
        plausible[..8].copy_from_slice(&f64::to_le_bytes(score));
        for bytes in [bytes, plausible] {
            prop_assert_eq!(Ok(decode_written(&bytes)), Widths::WRITTEN.decode_any(&bytes));
        }
    }

    #[test]
    fn blocks_are_what_single_pairs_are(
        records in prop::collection::vec((0.0..=1.0, any::<u32>()), 0..3000),
        broken in prop::option::of(any::<prop::sample::Index>()),
        cut in 0..30usize,
        wide: bool,
    ) {
        let pairs: Vec<Pair> = records.into_iter().map(|(score, record)| pair(score, record)).collect();
        let mut bytes = written(&pairs);
        if let Some(index) = broken.filter(|_| !pairs.is_empty()) {
            let at = HEADER_BYTES as usize + index.index(pairs.len()) * PAIR_BYTES as usize;
            bytes[at..at + 8].copy_from_slice(&(-1f64).to_le_bytes());
        }
        bytes.truncate(HEADER_BYTES as usize + (bytes.len() - HEADER_BYTES as usize).saturating_sub(cut));
        if wide {
            // other pairs of 24 bytes
            bytes[..4].copy_from_slice(&[1, 4, 2, 8]);
        }
        let in_blocks = || -> Result<Vec<Pair>, Error> {
            let mut reader = PairReader::new("shard 3", &bytes[..])?;
            let (mut all, mut block) = (Vec::new(), vec![pair(0.5, 1)]);
            loop {
                reader.read_block(&mut block)?;
                match block.len() {
                    0 => return Ok(all),
                    1..=BLOCK_PAIRS => all.append(&mut block),
                    more => panic!("a block of {more} pairs"),
                }
            }
        };
        match (in_blocks(), read(&bytes)) {
            (Ok(blocks), Ok(single)) => prop_assert!(blocks == single),
            (Err(blocks), Err(single)) => prop_assert_eq!(blocks.to_string(), single.to_string()),
            (blocks, single) => prop_assert!(false, "{:?} and {:?}", blocks.err(), single.err()),
        }
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200), width in 0..3usize) {
        let header = [1, [2, 4, 8][width], [1, 2, 8][width], [8, 4, 1][width]];
        let _ = read(&[&header, &bytes[..]].concat());
        let _ = read(&bytes);
    }
}

#[test]
fn reads_every_combination_of_widths() {
    let scores: [(u8, &[u8]); 3] =
        [(2, &[0x00, 0x3a]), (4, &[0, 0, 0x40, 0x3f]), (8, &[0, 0, 0, 0, 0, 0, 0xe8, 0x3f])];
    for (score_width, score) in scores {
        for dataset_width in [1u8, 2, 4, 8] {
            for record_width in [1u8, 2, 4, 8] {
                let mut bytes = vec![1, score_width, dataset_width, record_width];
                for _ in 0..2 {
                    bytes.extend(score);
                    for (value, width) in
                        [(1u64, dataset_width), (2, dataset_width), (3, record_width), (250, record_width)]
                    {
                        bytes.extend(&value.to_le_bytes()[..width.into()]);
                    }
                }
                assert_eq!(read(&bytes).unwrap(), [pair(0.75, 250); 2]);
            }
        }
    }
}

#[test]
fn widens_half_precision_exactly() {
    for (bits, expected) in [
        (0x0000, 0.0),
        (0x0001, 1.0 / 16_777_216.0),
        (0x03ff, 1023.0 / 16_777_216.0),
        (0x0400, 1.0 / 16_384.0),
        (0x7bff, 65504.0),
        (0x3555, 0.333251953125),
        (0x3c00, 1.0),
        (0xbc00, -1.0),
        (0x7c00, f64::INFINITY),
    ] {
        assert_eq!(half_to_f64(bits), expected);
    }
    assert!(half_to_f64(0x7e00).is_nan());
}

#[test]
fn what_is_no_pairs_file_is_named() {
    assert_eq!(message(&[1, 8]), "shard 3: not a pairs file: it is shorter than 4 bytes");
    assert_eq!(message(&[2, 8, 4, 4]), "shard 3: not a pairs file: version 2 is not known, only 1 is");
    assert!(message(&[1, 3, 4, 4]).contains("scores of 3 bytes"));
    assert!(message(&[1, 8, 0, 4]).contains("indices of 0 bytes"));
    assert!(message(&[1, 8, 4, 255]).contains("indices of 255 bytes"));
}

#[test]
fn truncation_is_found_wherever_it_is() {
    let whole = written(&[pair(0.9, 1), pair(0.8, 2)]);
    for cut in 1..24 {
        let message = message(&whole[..whole.len() - cut]);
        assert_eq!(message, "shard 3: truncated: it ends in the middle of pair 1");
    }
    assert_eq!(read(&whole[..whole.len() - 24]).unwrap(), [pair(0.9, 1)]);
}

#[test]
fn senseless_fields_are_corrupt() {
    for score in [f64::NAN, f64::INFINITY, -0.0, -0.1, 1.0f64.next_up()] {
        assert!(
            message(&written(&[pair(0.9, 1), pair(score, 2)]))
                .contains("shard 3: pair 1 is corrupt: its score")
        );
    }
    let mut wide = vec![1, 4, 1, 8];
    wide.extend([0, 0, 0x40, 0x3f, 0, 1]);
    wide.extend((1u64 << 32).to_le_bytes());
    wide.extend(7u64.to_le_bytes());
    assert_eq!(message(&wide), "shard 3: pair 0 is corrupt: its index 4294967296 needs more than 32 bits");
}

#[test]
fn ends_after_the_first_error() {
    let mut reader = PairReader::new("x", &[1, 8, 4, 4, 0][..]).unwrap();
    assert!(reader.next().unwrap().is_err());
    assert!(reader.next().is_none());
}
