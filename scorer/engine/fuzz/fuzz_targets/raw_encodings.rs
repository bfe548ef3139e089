//! Any bytes as raw encodings of any size: a file gives the same as memory, or the same error.
#![no_main]

use std::io::Write;

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use linkage_engine::{EncodingSource, Encodings, FileEncodings};

#[derive(Arbitrary, Debug)]
struct Input<'a> {
    encoding_bytes: u16,
    range: (u8, u8),
    bytes: &'a [u8],
}

fuzz_target!(|input: Input<'_>| {
    let Input { encoding_bytes, range, bytes } = input;
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(bytes).unwrap();
    let in_file = FileEncodings::open(file.path(), encoding_bytes.into(), 0);
    let (in_memory, in_file) = match (Encodings::from_bytes(bytes, encoding_bytes.into()), in_file) {
        (Ok(in_memory), Ok(in_file)) => (in_memory, in_file),
        (Err(a), Err(b)) => return assert_eq!(a.to_string(), b.to_string()),
        (a, b) => panic!("{a:?} but {b:?}"),
    };
    let records = in_memory.records();
    assert_eq!(records, in_file.records());
    assert_eq!(in_memory.encoding_bytes(), in_file.encoding_bytes());
    assert_eq!(bytes.len(), records as usize * in_memory.encoding_bytes());

    let range = u32::from(range.0).min(records)..u32::from(range.1).min(records);
    if range.start <= range.end {
        let (mut a, mut b) = (Vec::new(), Vec::new());
        in_memory.read(range.clone(), &mut a).unwrap();
        in_file.read(range.clone(), &mut b).unwrap();
        assert_eq!(a, b);
        let backwards: Vec<u32> = range.rev().collect();
        let (mut c, mut d) = (Vec::new(), Vec::new());
        in_memory.gather(&backwards, &mut c).unwrap();
        in_file.gather(&backwards, &mut d).unwrap();
        assert_eq!(c, d);
        assert_eq!(a.len(), c.len());
    }
});
