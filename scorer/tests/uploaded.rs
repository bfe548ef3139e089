//! Objects that parties have put into the store by themselves, on a real S3 store: a directory has no metadata.

#![allow(clippy::unwrap_used, reason = "a test that cannot be set up fails")]

mod support;

use std::collections::HashMap;

use futures::TryStreamExt;
use scorer::ingest::{self, Expectations, IngestError, UploadedObjects};
use scorer::store::Store;
use scorer::summary::Contribution;
use serde_json::{Value, json};
use support::weed::{self, Weed};

const BUCKET: &str = "uploaded";
const PLAIN: Expectations = Expectations {
    blocking: false,
    encoding_bytes: None,
    limits: ingest::Limits { min_encoding_bytes: 8, max_encoding_bytes: 1024, max_records: 1000 },
    memory: None,
};
const BLOCKING: Expectations = Expectations { blocking: true, ..PLAIN };
/// Three encodings of eight bytes.
const THREE: &str = r#"{"clks": ["AAAAAAAAAAE=", "AAAAAAAAAAI=", "AAAAAAAAAAM="]}"#;

struct Party {
    client: aws_sdk_s3::Client,
    store: Store,
}

// One test, as starting the store takes long.
#[test]
fn what_parties_have_put_into_the_store_is_taken_in() {
    if !weed::in_child_with_credentials("what_parties_have_put_into_the_store_is_taken_in") {
        return;
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let weed = Weed::start().await;
        let party = Party { client: weed.client().await, store: weed.bucket(BUCKET).await };
        as_json(&party).await;
        as_raw_bytes(&party).await;
        as_something_else(&party).await;
        with_blocks(&party).await;
        sizes_and_numbers_are_checked(&party).await;
    });
}

impl Party {
    /// Puts an object with the numbers of its metadata, as text.
    async fn put(&self, key: &str, content: impl Into<Vec<u8>>, numbers: Option<(&str, &str)>) {
        let metadata = numbers.map(|(count, size)| {
            HashMap::from([("hash-count".to_owned(), count.to_owned()), ("Hash-Size".into(), size.into())])
        });
        // the prefix of the store's URL
        let request = self.client.put_object().bucket(BUCKET).key(format!("some/prefix/{key}"));
        let content: Vec<u8> = content.into();
        request.set_metadata(metadata).body(content.into()).send().await.unwrap();
    }

    async fn take_in(
        &self,
        encodings: &str,
        blocks: Option<&str>,
        expected: Expectations,
    ) -> Result<Contribution, IngestError> {
        let blocks = blocks.map(str::to_owned);
        let objects = UploadedObjects { encodings: encodings.into(), blocks, max_bytes: 1000 };
        let taken = ingest::uploaded(&objects, &expected, &self.store, "out/").await;
        let written: Vec<_> =
            self.store.list("out/").map_ok(|object| object.key).try_collect().await.unwrap();
        assert_eq!(written.is_empty(), taken.is_err(), "{written:?} {taken:?}");
        taken
    }

    async fn taken(&self, encodings: &str) -> Vec<u8> {
        let contribution = self.take_in(encodings, None, PLAIN).await.unwrap();
        let stored = self.store.read_small(&contribution.encodings, 1000).await.unwrap();
        assert_eq!(stored.len() as u64, contribution.records * u64::from(contribution.encoding_bytes));
        self.store.delete_prefix("out/").await.unwrap();
        stored
    }

    async fn refused(&self, encodings: &str, blocks: Option<&str>, expected: Expectations) -> IngestError {
        self.take_in(encodings, blocks, expected).await.unwrap_err()
    }
}

async fn as_json(party: &Party) {
    party.put("a.json", THREE, Some(("3", "8"))).await;
    let stored = party.taken("a.json").await;
    assert_eq!((stored.len(), stored[7], stored[15], stored[23]), (24, 1, 2, 3));
    // the party's own object is its own to keep
    assert!(party.store.head("a.json").await.unwrap().is_some());

    party.put("CAPITALS.JSON", THREE, Some(("3", "8"))).await;
    assert_eq!(party.taken("CAPITALS.JSON").await, stored);
    party.put("marked.json", format!("\u{feff}{THREE}"), Some(("3", "8"))).await;
    assert_eq!(party.taken("marked.json").await, stored);
    party.put("short.json", THREE, Some(("3", "16"))).await;
    let padded = party.taken("short.json").await;
    assert_eq!((padded.len(), &padded[..8], &padded[8..16]), (48, &stored[..8], &[0; 8][..]));
}

async fn as_something_else(party: &Party) {
    let gzip = [&b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03"[..], &[7; 14]].concat();
    let utf_16: Vec<u8> = THREE.encode_utf16().flat_map(u16::to_le_bytes).collect();
    for (name, content, said) in [
        ("packed", gzip.clone(), "packed (gzip)"),
        ("packed.json", gzip.clone(), "packed (gzip)"),
        ("a.json.gz", THREE.into(), "packed (gzip)"),
        ("a.zip", vec![7; 24], "packed (zip)"),
        ("wide.json", utf_16, "UTF-16"),
        ("document", THREE.into(), "JSON document"),
    ] {
        party.put(name, content, Some(("3", "8"))).await;
        let error = party.refused(name, None, PLAIN).await;
        assert!(error.to_string().contains(said), "{name}: {error}");
    }
    party.put("blocks.json", gzip, None).await;
    let error = party.refused("a.json", Some("blocks.json"), BLOCKING).await;
    assert!(matches!(error, IngestError::Form(_)), "{error}");
}

async fn as_raw_bytes(party: &Party) {
    for (name, bytes, expected) in [
        ("exact", vec![7; 24], vec![7; 24]),
        ("longer", vec![7; 29], vec![7; 24]),
        ("shorter", vec![7; 17], [vec![7; 17], vec![0; 7]].concat()),
    ] {
        party.put(name, bytes, Some(("3", " 8"))).await;
        assert_eq!(party.taken(name).await, expected, "{name}");
    }
    party.put("cut", vec![7; 16], Some(("3", "8"))).await;
    assert!(matches!(party.refused("cut", None, PLAIN).await, IngestError::Length(_)));
    party.put("empty", vec![], Some(("1", "8"))).await;
    assert!(matches!(party.refused("empty", None, PLAIN).await, IngestError::Length(_)));
    party.put("odd", vec![7; 21], Some(("3", "7"))).await;
    assert!(matches!(party.refused("odd", None, PLAIN).await, IngestError::EncodingSize(_)));
}

async fn with_blocks(party: &Party) {
    // as blocklib writes them
    let meta = json!({"state": {"a": [[1, {"b": null}], true]}, "source": {"clk_count": [3]}, "version": 1});
    let document = |blocks: Value| json!({"a": [], "meta": meta, "blocks": blocks, "z": "x"}).to_string();
    party.put("blocks.json", document(json!({"2": ["x", 5], "0": ["x"], "1": []})), None).await;
    let contribution = party.take_in("a.json", Some("blocks.json"), BLOCKING).await.unwrap();
    assert_eq!(contribution.records_without_block, Some(1));
    let blocks = party.store.read_small(&contribution.blocks.unwrap(), 1000).await.unwrap();
    assert_eq!(blocks.len(), 3 * (4 + 2 + 1));
    party.store.delete_prefix("out/").await.unwrap();

    for (name, wrong) in [
        ("few.json", document(json!({"0": ["x"], "1": ["x"]}))),
        ("many.json", document(json!({"0": [], "1": [], "2": [], "3": []}))),
        ("gap.json", document(json!({"0": [], "1": [], "3": []}))),
    ] {
        party.put(name, wrong, None).await;
        assert!(
            matches!(party.refused("a.json", Some(name), BLOCKING).await, IngestError::InvalidBlocks(_)),
            "{name}"
        );
    }
    for (name, wrong) in [
        ("none.json", json!({"meta": meta}).to_string()),
        ("twice.json", r#"{"blocks": {"0": [], "0": []}}"#.into()),
        ("deep.json", format!("{{\"meta\": {}", "[".repeat(100))),
    ] {
        party.put(name, wrong, None).await;
        let error = party.refused("a.json", Some(name), BLOCKING).await;
        assert!(matches!(error, IngestError::Malformed(_)), "{name}: {error}");
    }
    let error = party.refused("a.json", Some("absent.json"), BLOCKING).await;
    assert!(matches!(error, IngestError::SourceNotFound(_)), "{error}");
    assert!(matches!(party.refused("a.json", None, BLOCKING).await, IngestError::BlocksMissing));
    let error = party.refused("a.json", Some("blocks.json"), PLAIN).await;
    assert!(matches!(error, IngestError::BlocksUnexpected), "{error}");
}

async fn sizes_and_numbers_are_checked(party: &Party) {
    for (count, size) in [("2", "8"), ("4", "8")] {
        party.put("b.json", THREE, Some((count, size))).await;
        let error = party.refused("b.json", None, PLAIN).await;
        assert!(matches!(&error, IngestError::Length(why) if why.contains(count)), "{error}");
    }
    party.put("b.json", THREE, Some(("3", "4"))).await;
    assert!(matches!(party.refused("b.json", None, PLAIN).await, IngestError::EncodingSize(_)));
    for (count, size) in
        [("", "8"), ("0", "8"), ("-3", "8"), ("+3", "8"), ("3.0", "8"), ("3", "1025"), ("3", "0")]
    {
        party.put("b.json", THREE, Some((count, size))).await;
        let error = party.refused("b.json", None, PLAIN).await;
        assert!(
            matches!(&error, IngestError::Malformed(why) if why.contains("metadata")),
            "{count} {size} {error}"
        );
    }
    party.put("b.json", THREE, None).await;
    assert!(matches!(party.refused("b.json", None, PLAIN).await, IngestError::Malformed(_)));
    party.put("b.json", "{", Some(("3", "8"))).await;
    assert!(matches!(party.refused("b.json", None, PLAIN).await, IngestError::Malformed(_)));
    party.put("large", vec![7; 1001], Some(("3", "8"))).await;
    assert!(matches!(party.refused("large", None, PLAIN).await, IngestError::TooLarge(_)));
    party.put("many", vec![7; 24], Some(("4294967295", "8"))).await;
    assert!(matches!(party.refused("many", None, PLAIN).await, IngestError::TooLarge(_)));
    let error = party.refused("absent", None, PLAIN).await;
    assert!(matches!(&error, IngestError::SourceNotFound(why) if why.contains("absent")), "{error}");
}
