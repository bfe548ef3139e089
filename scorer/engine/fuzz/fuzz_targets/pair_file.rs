//! Any bytes as a file of pairs: reading never panics, and what was read, written, and read again is the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use linkage_engine::pairs::{HEADER_BYTES, PAIR_BYTES, Pair, PairReader, PairWriter};

fuzz_target!(|bytes: &[u8]| {
    let Ok(reader) = PairReader::new("a file", bytes) else { return };
    let mut failed = false;
    let pairs: Vec<Pair> = reader.map_while(|pair| pair.inspect_err(|_| failed = true).ok()).collect();

    let mut writer = PairWriter::new(Vec::new()).unwrap();
    pairs.iter().for_each(|pair| writer.write(pair).unwrap());
    let written = writer.finish().unwrap();
    assert_eq!(written.len() as u64, HEADER_BYTES + PAIR_BYTES * pairs.len() as u64);

    let again: Vec<Pair> = PairReader::new("again", &written[..]).unwrap().collect::<Result<_, _>>().unwrap();
    assert_eq!(pairs, again);
    // in the widths that are written, all of the bytes that were read come back
    if bytes[..HEADER_BYTES as usize] == written[..HEADER_BYTES as usize] {
        assert!(bytes.starts_with(&written));
        assert_eq!(bytes.len() > written.len(), failed);
    }
});
