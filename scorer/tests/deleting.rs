//! Deleting on stores that do not do all that S3 does.

#![allow(clippy::unwrap_used, reason = "a test that cannot be set up fails")]

mod support;

use std::future::Future;

use bytes::Bytes;
use scorer::store::{Deleted, Store, StoreError};
use support::fake_s3::{FakeS3, Fault};
use support::weed;

/// A test in a process of its own, which has the store's credentials.
fn with_fake<F: Future<Output = ()>>(test: &str, story: impl FnOnce(FakeS3, Store) -> F) {
    if !weed::in_child_with_credentials(test) {
        return;
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let fake = FakeS3::start().await;
        let store = fake.store().await;
        story(fake, store).await;
    });
}

async fn put_three(store: &Store) {
    for key in ["t/a", "t/b", "t/c/d"] {
        store.put_small(key, Bytes::from_static(b"x"), "text/plain").await.unwrap();
    }
}

fn gone(objects: u64) -> Deleted {
    Deleted { objects, kept_versions: None }
}

#[test]
fn objects_are_deleted_one_by_one_where_the_store_refuses_many_and_it_is_asked_once() {
    const NAME: &str = "objects_are_deleted_one_by_one_where_the_store_refuses_many_and_it_is_asked_once";
    with_fake(NAME, |fake, _| async move {
        for (status, code, message) in [
            (400, "MissingContentMD5", "Missing required header for this request: Content-Md5."),
            (400, "InvalidRequest", "Content-MD5 OR x-amz-checksum- HTTP header is required"),
            (501, "NotImplemented", ""),
            (405, "MethodNotAllowed", ""),
        ] {
            let store = fake.store().await;
            fake.fail(move |seen| {
                (seen.starts_with("POST") && seen.contains("delete"))
                    .then_some(Fault::Answer(status, code, message))
            });
            let before = asked(&fake);
            for _ in 0..2 {
                put_three(&store).await;
                assert_eq!(store.delete_prefix("t/").await.unwrap(), gone(3), "{code}");
                assert!(!fake.has("t/a") && !fake.has("t/c/d"), "{code}");
            }
            assert_eq!(asked(&fake) - before, 1, "{code}");
        }
        // any other refusal is no reason to try it one by one
        let store = fake.store().await;
        put_three(&store).await;
        fake.fail_next(1, "?delete", Fault::Answer(400, "MalformedXML", "what?"));
        assert!(matches!(store.delete_prefix("t/").await, Err(StoreError::Rejected { .. })));
    });
}

/// How often many objects were to be deleted at once.
fn asked(fake: &FakeS3) -> usize {
    fake.requests().iter().filter(|line| line.starts_with("POST") && line.contains("?delete")).count()
}

#[test]
fn an_error_within_a_success_is_an_error() {
    with_fake("an_error_within_a_success_is_an_error", |fake, store| async move {
        put_three(&store).await;
        fake.fail_next(1, "?delete", Fault::DeleteFails("InternalError"));
        assert!(matches!(store.delete_prefix("t/").await, Err(StoreError::Unavailable { .. })));
        put_three(&store).await;
        fake.fail_next(1, "?delete", Fault::DeleteFails("AccessDenied"));
        assert!(matches!(store.delete_prefix("t/").await, Err(StoreError::Denied { .. })));
        put_three(&store).await;
        fake.fail_next(1, "?delete", Fault::DeleteFails("NoSuchKey"));
        assert_eq!(store.delete_prefix("t/").await.unwrap(), gone(3));
    });
}

#[test]
fn older_versions_go_too_or_it_is_told_why_they_stay() {
    with_fake("older_versions_go_too_or_it_is_told_why_they_stay", |fake, store| async move {
        // without versions one request more, and nothing to tell, also where it is refused
        put_three(&store).await;
        let before = fake.requests().len();
        assert_eq!(store.delete_prefix("t/").await.unwrap(), gone(3));
        assert_eq!(fake.requests().len() - before, 4, "{:?}", fake.requests());
        put_three(&store).await;
        fake.fail(|seen| seen.contains("versions").then_some(Fault::Answer(403, "AccessDenied", "")));
        assert_eq!(store.delete_prefix("t/").await.unwrap(), gone(3));
        fake.recover();

        fake.keep_versions();
        put_three(&store).await;
        put_three(&store).await;
        store.delete("t/a").await.unwrap();
        assert_eq!(store.delete_prefix("t/").await.unwrap(), gone(2));
        assert_eq!(fake.versions(), 0);

        for (request, status, code) in [
            ("versions", 403, "AccessDenied"),
            ("versions", 501, "NotImplemented"),
            ("versionId", 403, "AccessDenied"),
        ] {
            put_three(&store).await;
            // one by one, so that versions can be refused alone
            fake.fail(move |seen| match seen.contains("?delete") {
                true => Some(Fault::Answer(501, "NotImplemented", "")),
                false => seen.contains(request).then_some(Fault::Answer(status, code, "")),
            });
            let Deleted { objects, kept_versions } = store.delete_prefix("t/").await.unwrap();
            let why = kept_versions.unwrap();
            assert!(
                objects == 3 && why.contains("keeps older versions") && why.contains("\"t/\""),
                "{code}: {why}"
            );
            assert!(!fake.has("t/a") && fake.versions() > 0, "{code}");
        }
    });
}
