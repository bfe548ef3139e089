//! An upload takes little memory, whatever its size. Alone in its process, as it looks at the process's peak.

#![allow(clippy::unwrap_used, reason = "a test that cannot be set up fails")]

mod support;

use std::convert::Infallible;

use base64_simd::STANDARD;
use bytes::Bytes;
use futures::stream;
use scorer::ingest::{self, Expectations};
use scorer::store::{FIRST_PART_BYTES, PARTS_IN_FLIGHT};
use support::weed::{self, Weed};

const RECORDS: u32 = 1_200_000;
const ENCODING_BYTES: usize = 128;
const LIMIT_MIB: u64 = 64;

#[test]
fn an_upload_of_200_mb_takes_less_than_64_mib() {
    if !weed::in_child_with_credentials("an_upload_of_200_mb_takes_less_than_64_mib") {
        return;
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let weed = Weed::start().await;
        let store = weed.bucket("memory").await;
        let before = peak_mib();
        let body = stream::iter(document().map(Ok::<_, Infallible>));
        let contribution = ingest::json(body, &Expectations::default(), &store, "p/").await.unwrap();
        let taken = peak_mib() - before;

        assert_eq!(contribution.records, u64::from(RECORDS));
        let stored = store.head("p/encodings").await.unwrap().unwrap();
        assert_eq!(stored.bytes, u64::from(RECORDS) * ENCODING_BYTES as u64);
        println!("{} MB in, {taken} MiB taken", stored.bytes * 4 / 3 / 1_000_000);
        assert!(taken < LIMIT_MIB, "{taken} MiB");
    });
}

/// What fifty uploads at once hold, the part that each fills and those on their way, fits into a gibibyte.
const _: () = assert!(50 * FIRST_PART_BYTES * (1 + PARTS_IN_FLIGHT) < 1 << 30);

/// `{"clks": [...]}` in chunks as a network brings them, made as they are asked for.
fn document() -> impl Iterator<Item = Bytes> {
    const RECORDS_A_CHUNK: u32 = 300;
    let chunks = (0..RECORDS / RECORDS_A_CHUNK).map(|chunk| {
        let mut text = String::new();
        for record in chunk * RECORDS_A_CHUNK..(chunk + 1) * RECORDS_A_CHUNK {
            let encoding: Vec<u8> = record.to_le_bytes().repeat(ENCODING_BYTES / 4);
            let separator = if record == 0 { "" } else { ",\n" };
            text.push_str(&format!("{separator}\"{}\"", STANDARD.encode_to_string(encoding)));
        }
        Bytes::from(text)
    });
    std::iter::once(Bytes::from_static(b"{\"clks\": [")).chain(chunks).chain([Bytes::from_static(b"]}")])
}

/// The most memory that this process has had.
fn peak_mib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() / 1024
}
