//! Any bytes as an upload of raw encodings: it never panics, leaves nothing when it is refused, and what is taken in is
//! stored as it came.
#![no_main]

#[path = "../store.rs"]
mod store;

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use scorer::ingest::{Announced, Expectations, binary};
use store::{check, chunks, with_store};

#[derive(Arbitrary, Debug)]
struct Input<'a> {
    records: Option<u64>,
    announced_bytes: u32,
    encoding_bytes: Option<u16>,
    chunk: u16,
    body: &'a [u8],
}

fuzz_target!(|input: Input<'_>| {
    let expected =
        Expectations { encoding_bytes: input.encoding_bytes.map(u32::from), ..Expectations::default() };
    let announced = Announced { records: input.records, encoding_bytes: input.announced_bytes };
    let taken = with_store(async |store| {
        let body = chunks(input.body, input.chunk.into());
        check(store, binary(body, announced, &expected, store, "p/").await).await
    });
    if let Ok(stored) = taken {
        assert_eq!(stored.encodings, input.body);
        assert_eq!(stored.records * u64::from(announced.encoding_bytes), input.body.len() as u64);
    }
});
