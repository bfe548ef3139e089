//! A patient store: whatever fails for a while, work goes on where it was.

#![allow(clippy::unwrap_used, reason = "a test that cannot be set up fails")]

mod support;

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures::TryStreamExt;
use scorer::store::{FIRST_PART_BYTES, Store, StoreError};
use support::fake_s3::{FakeS3, Fault};
use support::weed;

const PATIENCE: Duration = Duration::from_secs(600);
const AWAY: Fault = Fault::Answer(503, "ServiceUnavailable", "come back later");
const FULL: Fault = Fault::Answer(507, "XMinioStorageFull", "no drive has room");

/// A test in a process of its own, which has the store's credentials.
fn with_fake<F: Future<Output = ()>>(test: &str, story: impl FnOnce(FakeS3, Store) -> F) {
    if !weed::in_child_with_credentials(test) {
        return;
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let fake = FakeS3::start().await;
        let store = fake.store().await.patient(PATIENCE);
        story(fake, store).await;
    });
}

fn content(bytes: usize) -> Bytes {
    (0..bytes).map(|at| (at % 251) as u8).collect()
}

type Work = futures::future::BoxFuture<'static, Result<(), StoreError>>;

fn boxed<F>(store: &Store, work: impl FnOnce(Store) -> F) -> Work
where
    F: Future<Output = Result<(), StoreError>> + Send + 'static,
{
    Box::pin(work(store.clone()))
}

/// Lets requests fail until somebody has seen that they are waited for; tells what was seen.
async fn while_away(
    fake: &FakeS3,
    store: &Store,
    requests: &'static str,
    fault: Fault,
    work: Work,
) -> (Result<(), StoreError>, String) {
    let away = Arc::new(AtomicBool::new(true));
    let is_away = Arc::clone(&away);
    fake.fail(move |seen| (is_away.load(Ordering::SeqCst) && seen.contains(requests)).then_some(fault));
    let work = tokio::spawn(work);
    let start = Instant::now();
    let told = loop {
        match store.waiting() {
            Some(told) => break told,
            None => {
                assert!(start.elapsed() < Duration::from_secs(60) && !work.is_finished(), "it does not wait")
            }
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    away.store(false, Ordering::SeqCst);
    let done = work.await.unwrap();
    assert_eq!(store.waiting(), None);
    (done, told)
}

#[test]
fn every_kind_of_request_waits_for_a_store_that_is_away() {
    with_fake("every_kind_of_request_waits_for_a_store_that_is_away", |fake, store| async move {
        store.put_small("t/a", content(100), "text/plain").await.unwrap();
        let wait = async |work| while_away(&fake, &store, "/fake", AWAY, work).await;
        let (_, told) =
            wait(boxed(&store, |s| async move { s.read_small("t/a", 100).await.map(drop) })).await;
        assert!(told.starts_with("the object store is not available (503 ServiceUnavailable"), "{told}");
        assert!(
            told.contains("; the pod waits since ") && told.ends_with("goes on when it answers"),
            "{told}"
        );
        for work in [
            boxed(&store, |s| async move { s.head("t/a").await.map(drop) }),
            boxed(&store, |s| async move { s.get_range("t/a", 3..5).await?.read_to_end().await.map(drop) }),
            boxed(&store, |s| async move { s.put_small("t/b", content(1), "text/plain").await }),
            boxed(
                &store,
                |s| async move { s.put_if_absent("t/c", content(1), "text/plain").await.map(drop) },
            ),
            boxed(&store, |s| async move { s.delete("t/c").await }),
            boxed(&store, |s| async move { s.list("t/").try_collect::<Vec<_>>().await.map(drop) }),
            boxed(&store, |s| async move { s.check().await }),
        ] {
            wait(work).await.0.unwrap();
        }
        assert!(fake.has("t/b") && !fake.has("t/c"));
        // what will not pass is told at once
        assert!(matches!(store.get("t/none").await, Err(StoreError::NotFound { .. })));
    });
}

#[test]
fn reading_goes_on_where_the_connection_broke_off() {
    with_fake("reading_goes_on_where_the_connection_broke_off", |fake, store| async move {
        let whole = content(20_000_000);
        store.put_small("t/large", whole.clone(), "text/plain").await.unwrap();
        fake.fail_next(5, "GET /fake/p/t/large", Fault::BreakOff(1_000_000));
        assert!(store.read_small("t/large", u64::MAX).await.unwrap() == whole);
        let folder = tempfile::tempdir().unwrap();
        let to = folder.path().join("to");
        fake.fail_next(5, "GET /fake/p/t/large", Fault::BreakOff(1_000_000));
        let written = store.download_to("t/large", &to).await.unwrap();
        assert_eq!(written.blake3, blake3::hash(&whole).to_hex().to_string());
    });
}

async fn write(store: &Store, key: &str, whole: &Bytes) -> Result<(), StoreError> {
    let mut writer = store.writer(key).await?;
    for piece in whole.chunks(1_000_000) {
        writer.write(piece).await?;
    }
    writer.finish().await.map(drop)
}

#[test]
fn a_large_object_is_written_whatever_part_of_it_has_to_wait() {
    with_fake("a_large_object_is_written_whatever_part_of_it_has_to_wait", |fake, store| async move {
        let whole = content(3 * FIRST_PART_BYTES + 7);
        for (request, fault) in [
            ("POST /fake/p/t/a?uploads", AWAY),
            ("PUT /fake/p/t/a?", AWAY),
            ("PUT /fake/p/t/a?", FULL),
            ("partNumber=2", Fault::Answer(500, "InternalError", "oh")),
            ("POST /fake/p/t/a?uploadId", AWAY),
            ("POST /fake/p/t/a?uploadId", Fault::Answer(200, "InternalError", "late")),
        ] {
            let copy = whole.clone();
            let work = boxed(&store, |s| async move { write(&s, "t/a", &copy).await });
            let (written, told) = while_away(&fake, &store, request, fault, work).await;
            written.unwrap();
            assert_eq!(told.contains("no space left"), matches!(fault, Fault::Answer(507, ..)), "{told}");
            assert!(store.read_small("t/a", u64::MAX).await.unwrap() == whole, "{request}");
            store.delete("t/a").await.unwrap();
        }
        // the answer to the last request is lost: it was done all the same
        fake.fail_next(1, "POST /fake/p/t/a?uploadId", Fault::LoseAnswer);
        write(&store, "t/a", &whole).await.unwrap();
        assert!(store.read_small("t/a", u64::MAX).await.unwrap() == whole);
        store.delete("t/a").await.unwrap();
        for request in ["partNumber=2", "POST /fake/p/t/a?uploadId"] {
            fake.fail_next(1, request, Fault::ForgetUpload);
            let lost = write(&store, "t/a", &whole).await.unwrap_err();
            assert!(matches!(&lost, StoreError::UploadLost { key } if key == "t/a"), "{lost}");
        }
    });
}

#[test]
fn a_full_store_is_told_as_full() {
    with_fake("a_full_store_is_told_as_full", |fake, patient| async move {
        let impatient = fake.store().await;
        for (status, code, message) in [
            (507, "XMinioStorageFull", ""),
            (507, "", ""),
            (403, "QuotaExceeded", ""),
            (400, "XMinioAdminBucketQuotaExceeded", ""),
            (500, "InternalError", "assign volume: No writable volumes and no free volumes left"),
        ] {
            fake.fail(move |_| Some(Fault::Answer(status, code, message)));
            let full = impatient.put_small("t/a", content(1), "text/plain").await.unwrap_err();
            assert!(matches!(full, StoreError::Full { .. }) && full.is_transient(), "{code}: {full}");
            let said = "the store has no space left for writing \"t/a\"; make room or enlarge its volume";
            assert_eq!(full.to_string(), said);
        }
        let work = boxed(&patient, |s| async move { s.put_small("t/a", content(1), "text/plain").await });
        let (written, told) = while_away(&fake, &patient, "PUT", FULL, work).await;
        written.unwrap();
        assert!(told.contains("no space left") && told.ends_with("goes on when there is room"), "{told}");
    });
}

#[test]
fn a_store_without_patience_tells_at_once() {
    with_fake("a_store_without_patience_tells_at_once", |fake, _| async move {
        fake.fail(|_| Some(AWAY));
        for store in [fake.store().await, fake.store().await.patient(Duration::ZERO)] {
            let away = store.head("t/a").await.unwrap_err();
            assert!(matches!(away, StoreError::Unavailable { .. }), "{away}");
            assert_eq!(store.waiting(), None);
        }
        let short = fake.store().await.patient(Duration::from_millis(500));
        assert!(matches!(short.head("t/a").await, Err(StoreError::Unavailable { .. })));
    });
}
