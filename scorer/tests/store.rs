//! What every store promises, on a local directory and on a real S3 store.

#![allow(clippy::unwrap_used, reason = "a test that cannot be set up fails")]

mod support;

use std::time::{Duration, Instant};

use aws_sdk_s3::types::{BucketVersioningStatus, VersioningConfiguration};
use bytes::Bytes;
use futures::TryStreamExt;
use scorer::store::{Deleted, FIRST_PART_BYTES, Store, StoreArgs, StoreError};
use support::weed::{self, Weed};

#[tokio::test]
async fn a_directory_keeps_the_promises() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::in_directory(folder.path()).unwrap();
    keeps_the_promises(&store).await;
    let left: Vec<_> = std::fs::read_dir(folder.path().join(".partial")).unwrap().collect();
    assert!(left.is_empty(), "{left:?}");
}

// One test, as starting the store takes long.
#[test]
fn an_s3_store_keeps_the_promises() {
    if !weed::in_child_with_credentials("an_s3_store_keeps_the_promises") {
        return;
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let mut weed = Weed::start().await;
        let store = weed.bucket("promises").await;
        keeps_the_promises(&store).await;
        leaves_no_unfinished_upload(&weed, &store).await;
        prefixes_are_apart(&weed, &store).await;
        deletes_older_versions(&weed).await;
        says_what_is_wrong(&weed).await;
        says_when_it_is_away(&mut weed, &store).await;
    });
}

#[test]
fn seaweedfs_without_room_is_told_as_full() {
    if !weed::in_child_with_credentials("seaweedfs_without_room_is_told_as_full") {
        return;
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let weed = Weed::start_small().await;
        let store = weed.bucket("ready").await;
        let mut full = None;
        for number in 0..50 {
            let key = format!("t/{number}");
            if let Err(error) = store.put_small(&key, content(1 << 20).into(), "text/plain").await {
                full = Some(error);
                break;
            }
        }
        assert!(matches!(full, Some(StoreError::Full { .. })), "{full:?}");
        assert_eq!(store.read_small("t/0", u64::MAX).await.unwrap(), content(1 << 20));
        let mut writer = store.writer("t/parts").await.unwrap();
        let written = match writer.write(&content(3 * FIRST_PART_BYTES)).await {
            Ok(()) => writer.finish().await.map(drop),
            Err(error) => Err(error),
        };
        assert!(matches!(written, Err(StoreError::Full { .. })), "{written:?}");
    });
}

async fn keeps_the_promises(store: &Store) {
    store.check().await.unwrap();
    small_objects(store).await;
    large_objects(store).await;
    ranges(store).await;
    lists_and_deletes(store).await;
    folders(store).await;
    one_of_many_wins(store).await;
    files(store).await;
    keys_stay_inside(store).await;
    store.delete_prefix("t/").await.unwrap();
    assert_eq!(keys(store, "").await, Vec::<String>::new());
}

async fn small_objects(store: &Store) {
    assert_eq!(store.head("t/none").await.unwrap(), None);
    assert!(matches!(store.get("t/none").await, Err(StoreError::NotFound { key }) if key == "t/none"));
    store.put_small("t/small", Bytes::from_static(b"first"), "text/plain").await.unwrap();
    let first = store.head("t/small").await.unwrap().unwrap();
    store.put_small("t/small", Bytes::from_static(b"second"), "text/plain").await.unwrap();
    let second = store.head("t/small").await.unwrap().unwrap();
    assert_eq!((first.bytes, second.bytes), (5, 6));
    assert_ne!(first.etag, second.etag);
    assert_eq!(store.read_small("t/small", 6).await.unwrap(), b"second");
    assert!(matches!(store.read_small("t/small", 5).await, Err(StoreError::TooLarge { bytes: 6, .. })));
    store.put_small("t/empty", Bytes::new(), "text/plain").await.unwrap();
    assert_eq!(store.read_small("t/empty", 0).await.unwrap(), b"");
    store.delete("t/small").await.unwrap();
    store.delete("t/small").await.unwrap();
    assert_eq!(store.head("t/small").await.unwrap(), None);
}

fn content(bytes: usize) -> Vec<u8> {
    (0..bytes as u64 / 8 + 1)
        .flat_map(|n| n.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_le_bytes())
        .take(bytes)
        .collect()
}

async fn large_objects(store: &Store) {
    for bytes in
        [0, 1, FIRST_PART_BYTES - 1, FIRST_PART_BYTES, FIRST_PART_BYTES + 1, 4 * FIRST_PART_BYTES + 7]
    {
        let content = content(bytes);
        let mut writer = store.writer("t/large").await.unwrap();
        for piece in content.chunks(777_777) {
            writer.write(piece).await.unwrap();
        }
        let written = writer.finish().await.unwrap();
        assert_eq!(written.bytes, bytes as u64);
        assert_eq!(written.blake3, blake3::hash(&content).to_hex().to_string());
        assert!(store.read_small("t/large", u64::MAX).await.unwrap() == content, "{bytes} bytes");
    }
    let mut unfinished = store.writer("t/unfinished").await.unwrap();
    unfinished.write(&content(3 * FIRST_PART_BYTES)).await.unwrap();
    assert_eq!(store.head("t/unfinished").await.unwrap(), None);
    unfinished.abort().await;
    assert_eq!(store.head("t/unfinished").await.unwrap(), None);
}

async fn ranges(store: &Store) {
    store.put_small("t/range", Bytes::from_static(b"0123456789"), "text/plain").await.unwrap();
    for (range, expected) in [(0..10, "0123456789"), (3..5, "34"), (9..10, "9"), (4..4, "")] {
        let reader = store.get_range("t/range", range).await.unwrap();
        assert_eq!(reader.bytes(), expected.len() as u64);
        assert_eq!(reader.read_to_end().await.unwrap(), expected);
    }
    for beyond in [5..11, 10..12, 20..30] {
        let read = match store.get_range("t/range", beyond.clone()).await {
            Ok(reader) => reader.read_to_end().await.map(drop),
            Err(error) => Err(error),
        };
        assert!(matches!(read, Err(StoreError::Truncated { .. })), "{beyond:?}: {read:?}");
    }
}

async fn keys(store: &Store, prefix: &str) -> Vec<String> {
    store.list(prefix).map_ok(|object| object.key).try_collect().await.unwrap()
}

fn gone(objects: u64) -> Deleted {
    Deleted { objects, kept_versions: None }
}

async fn folders(store: &Store) {
    for name in ["t/f/1/a", "t/f/1/b/c", "t/f/12/a", "t/f/3", "t/f/ä/a"] {
        store.put_small(name, Bytes::from_static(b"x"), "text/plain").await.unwrap();
    }
    let below = async |prefix: &str| -> Vec<String> { store.folders(prefix).try_collect().await.unwrap() };
    assert_eq!(below("t/f/").await, ["1", "12", "ä"]);
    assert_eq!(below("t/f/1/").await, ["b"]);
    assert_eq!(below("t/f/3/").await, Vec::<String>::new());
    assert_eq!(below("t/none/").await, Vec::<String>::new());
    for prefix in ["t/f", "", "/", "../"] {
        let refused: Result<Vec<String>, _> = store.folders(prefix).try_collect().await;
        assert!(matches!(refused, Err(StoreError::InvalidKey { .. })), "{prefix:?}");
    }
}

async fn lists_and_deletes(store: &Store) {
    let names = ["t/p/1/a", "t/p/1/b/c", "t/p/12", "t/p/2"];
    for name in names {
        store.put_small(name, Bytes::from_static(b"x"), "text/plain").await.unwrap();
    }
    assert_eq!(keys(store, "t/p/").await, names);
    assert_eq!(keys(store, "t/p/1").await, names[..3]);
    assert_eq!(keys(store, "t/p/1/").await, names[..2]);
    assert_eq!(keys(store, "t/q/").await, Vec::<String>::new());
    assert!(matches!(store.delete_prefix("t/p/1").await, Err(StoreError::InvalidKey { .. })));
    assert!(matches!(store.delete_prefix("").await, Err(StoreError::InvalidKey { .. })));
    assert_eq!(store.delete_prefix("t/p/1/").await.unwrap(), gone(2));
    assert_eq!(keys(store, "t/p/").await, names[2..]);
    assert_eq!(store.delete_prefix("t/p/1/").await.unwrap(), gone(0));
    // more than a page of a listing
    for n in 0..1_003 {
        store.put_small(&format!("t/many/{n:04}"), Bytes::new(), "text/plain").await.unwrap();
    }
    assert_eq!(keys(store, "t/many/").await.len(), 1_003);
    assert_eq!(store.delete_prefix("t/many/").await.unwrap(), gone(1_003));
    assert_eq!(keys(store, "t/many/").await.len(), 0);
}

async fn one_of_many_wins(store: &Store) {
    let attempts = (0..8).map(|n| {
        let store = store.clone();
        async move {
            store.put_if_absent("t/seed", Bytes::from(vec![n; 4]), "text/plain").await.map(|won| (won, n))
        }
    });
    let outcomes = futures::future::try_join_all(attempts).await.unwrap();
    let winners: Vec<u8> = outcomes.into_iter().filter_map(|(won, n)| won.then_some(n)).collect();
    assert_eq!(winners.len(), 1, "{winners:?}");
    assert_eq!(store.read_small("t/seed", 4).await.unwrap(), vec![winners[0]; 4]);
}

async fn files(store: &Store) {
    let folder = tempfile::tempdir().unwrap();
    let (from, to) = (folder.path().join("from"), folder.path().join("to"));
    let content = content(20_000_001);
    std::fs::write(&from, &content).unwrap();
    let sent = store.upload_from(&from, "t/file").await.unwrap();
    let fetched = store.download_to("t/file", &to).await.unwrap();
    assert_eq!(sent, fetched);
    assert_eq!(sent.blake3, blake3::hash(&content).to_hex().to_string());
    assert!(std::fs::read(&to).unwrap() == content);
    assert!(matches!(store.download_to("t/none", &to).await, Err(StoreError::NotFound { .. })));
}

async fn keys_stay_inside(store: &Store) {
    for key in ["../x", "/etc/passwd", "a/../../x", "", "a//b", "a\0"] {
        assert!(matches!(store.head(key).await, Err(StoreError::InvalidKey { .. })), "{key:?}");
        assert!(matches!(store.get(key).await, Err(StoreError::InvalidKey { .. })), "{key:?}");
        assert!(store.writer(key).await.is_err() && store.delete(key).await.is_err(), "{key:?}");
        assert!(store.put_small(key, Bytes::new(), "text/plain").await.is_err(), "{key:?}");
    }
}

async fn leaves_no_unfinished_upload(weed: &Weed, store: &Store) {
    let start = async || {
        let mut writer = store.writer("t/dropped").await.unwrap();
        writer.write(&content(3 * FIRST_PART_BYTES)).await.unwrap();
        writer
    };
    drop(start().await);
    std::mem::forget(start().await); // as when a pod is killed
    let client = weed.client().await;
    assert!(!client.list_multipart_uploads().bucket("promises").send().await.unwrap().uploads().is_empty());
    assert_eq!(store.head("t/dropped").await.unwrap(), None);
    assert_eq!(store.delete_prefix("t/").await.unwrap(), gone(0));
    let left = client.list_multipart_uploads().bucket("promises").send().await.unwrap();
    assert!(left.uploads().is_empty(), "{:?}", left.uploads());
}

async fn prefixes_are_apart(weed: &Weed, store: &Store) {
    let elsewhere = StoreArgs { store_url: "s3://promises/other".into(), ..weed.settings("promises", false) };
    let elsewhere = elsewhere.open().await.unwrap();
    store.put_small("t/mine", Bytes::from_static(b"x"), "text/plain").await.unwrap();
    assert_eq!(elsewhere.head("t/mine").await.unwrap(), None);
    assert_eq!(keys(&elsewhere, "").await, Vec::<String>::new());
    store.delete("t/mine").await.unwrap();
}

async fn deletes_older_versions(weed: &Weed) {
    let store = weed.bucket("versions").await;
    let client = weed.client().await;
    let enabled = VersioningConfiguration::builder().status(BucketVersioningStatus::Enabled).build();
    let enabling = client.put_bucket_versioning().bucket("versions").versioning_configuration(enabled);
    enabling.send().await.unwrap();
    for content in ["first", "second"] {
        store.put_small("t/a", Bytes::from(content), "text/plain").await.unwrap();
        store.put_small("t/b/c", Bytes::from(content), "text/plain").await.unwrap();
        store.put_small("u/a", Bytes::from(content), "text/plain").await.unwrap();
    }
    store.delete("t/a").await.unwrap();
    assert_eq!(store.delete_prefix("t/").await.unwrap(), gone(1));
    let left = client.list_object_versions().bucket("versions").send().await.unwrap();
    let left: Vec<_> = left.versions().iter().filter_map(|version| version.key()).collect();
    assert_eq!(left, ["some/prefix/u/a"; 2]);
    let markers = client.list_object_versions().bucket("versions").send().await.unwrap();
    assert!(markers.delete_markers().is_empty(), "{markers:?}");
}

async fn says_what_is_wrong(weed: &Weed) {
    let missing = weed.settings("missing", false).open().await.unwrap();
    assert!(
        matches!(missing.check().await, Err(StoreError::BucketMissing { bucket }) if bucket == "missing")
    );
    assert_eq!(format!("{missing:?}"), "Store(s3://missing/some/prefix/)");
}

async fn says_when_it_is_away(weed: &mut Weed, store: &Store) {
    weed.kill();
    let start = Instant::now();
    let error = store.read_small("t/any", 1).await.unwrap_err();
    assert!(matches!(error, StoreError::Unavailable { .. }) && error.is_transient(), "{error:?}");
    assert!(start.elapsed() < Duration::from_secs(60), "{:?}", start.elapsed());
    let message = error.to_string();
    assert!(!message.contains("test-secret-key") && message.contains("reading \"t/any\""), "{message}");
}

#[tokio::test]
async fn what_is_written_to_a_discarding_store_is_hashed_and_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::in_directory(folder.path()).unwrap();
    store.put_small("a", "old".into(), "text/plain").await.unwrap();
    let discarding = store.discarding();
    let mut writer = discarding.writer("a").await.unwrap();
    writer.write(b"new").await.unwrap();
    let written = writer.finish().await.unwrap();
    assert_eq!((written.bytes, written.blake3.as_str()), (3, blake3::hash(b"new").to_hex().as_str()));
    discarding.delete("a").await.unwrap();
    assert_eq!(discarding.read_small("a", 10).await.unwrap(), b"old");
    assert_eq!(store.read_small("a", 10).await.unwrap(), b"old");
}
