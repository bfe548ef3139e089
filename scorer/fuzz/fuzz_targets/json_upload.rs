//! Any bytes as a JSON upload, in chunks of any size: it never panics, leaves nothing when it is refused, and what is
//! stored does not depend on the chunks.
#![no_main]

#[path = "../store.rs"]
mod store;

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use scorer::ingest::{Expectations, json};
use store::{check, chunks, with_store};

/// The files in seeds/ hold the fields in this order, the body last.
#[derive(Arbitrary, Debug)]
struct Input<'a> {
    blocking: bool,
    encoding_bytes: Option<u16>,
    chunk: u16,
    body: &'a [u8],
}

fuzz_target!(|input: Input<'_>| {
    let expected = Expectations {
        blocking: input.blocking,
        encoding_bytes: input.encoding_bytes.map(u32::from),
        ..Expectations::default()
    };
    let taken = [input.chunk.into(), usize::MAX].map(|chunk| {
        with_store(async |store| {
            check(store, json(chunks(input.body, chunk), &expected, store, "p/").await).await
        })
    });
    assert_eq!(taken[0], taken[1]);
});
