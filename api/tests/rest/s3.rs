//! An S3 store that can be away, and a token service for it: what a store in a directory has not.

#[path = "../../../scorer/tests/support/fake_s3.rs"]
#[allow(dead_code, reason = "the scorer's tests need more of it")]
mod fake_s3;

use std::process::Command;

use api::access::grants::{GrantArgs, Grants};
use axum::http::header::CONTENT_TYPE;
use scorer::store::StoreArgs;

pub use fake_s3::{FakeS3, Fault};

const ACCESS_KEY: &str = "key-of-the-rest-tests";

/// The client finds its credentials in the environment, which a test must not change for the others in its process.
/// So the test runs once more, in a process of its own: there this tells true.
pub fn in_child_with_credentials(test: &str) -> bool {
    if std::env::var("AWS_ACCESS_KEY_ID").is_ok_and(|key| key == ACCESS_KEY) {
        return true;
    }
    let child = Command::new(std::env::current_exe().unwrap())
        .args([test, "--exact", "--nocapture", "--test-threads=1"])
        .envs([("AWS_ACCESS_KEY_ID", ACCESS_KEY), ("AWS_SECRET_ACCESS_KEY", "secret")])
        .status()
        .unwrap();
    assert!(child.success(), "see above");
    false
}

/// Grants of a store at `store.example`, by a token service that hands out the same credentials to everybody.
pub async fn grants() -> Grants {
    const ANSWER: &str = "<AssumeRoleResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><AssumeRoleResult>\
        <Credentials><AccessKeyId>temporary</AccessKeyId><SecretAccessKey>secret</SecretAccessKey>\
        <SessionToken>session</SessionToken><Expiration>2030-01-01T01:00:00Z</Expiration></Credentials>\
        </AssumeRoleResult></AssumeRoleResponse>";
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let answer = axum::Router::new().fallback(async || ([(CONTENT_TYPE, "text/xml")], ANSWER));
    tokio::spawn(async move { axum::serve(listener, answer).await.unwrap() });
    let store_args = StoreArgs {
        store_url: "s3://linkage".into(),
        store_endpoint: Some(format!("http://{address}")),
        store_region: "us-east-1".into(),
        store_create_bucket: false,
        store_credentials_file: None,
    };
    let args = GrantArgs {
        sts_role_arn: Some("arn:aws:iam::123456789012:role/linkage".into()),
        sts_endpoint: None,
        public_store_endpoint: Some("https://store.example".into()),
        credentials_seconds: 3600,
    };
    let store = store_args.open().await.unwrap();
    Grants::open(&args, &store_args, &store).await.unwrap().unwrap()
}
