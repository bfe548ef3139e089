use std::path::PathBuf;
use std::time::Duration;

use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, Region};
use aws_sdk_s3::Client;
use aws_sdk_s3::config::{RequestChecksumCalculation, ResponseChecksumValidation};
use aws_sdk_s3::types::{BucketLocationConstraint, CreateBucketConfiguration};

use super::credentials;
use super::error::{S3Result, status};
use crate::store::StoreError;

/// Where the bucket is.
#[derive(Clone)]
pub(in crate::store) struct S3Settings {
    pub bucket: String,
    /// Empty, or ending in `/`.
    pub prefix: String,
    pub endpoint: Option<String>,
    pub region: String,
    pub create_bucket: bool,
    pub credentials_file: Option<PathBuf>,
}

/// One attempt may take as long as the largest part needs on a slow line.
const ATTEMPT: Duration = Duration::from_secs(120);
const CONNECT: Duration = Duration::from_secs(5);
const READ: Duration = Duration::from_secs(60);
const ATTEMPTS: u32 = 5;
const MAX_BACKOFF: Duration = Duration::from_secs(5);

pub(super) async fn connect(settings: &S3Settings) -> Result<Client, StoreError> {
    let timeouts = TimeoutConfig::builder()
        .connect_timeout(CONNECT)
        .read_timeout(READ)
        .operation_attempt_timeout(ATTEMPT)
        .build();
    let mut defaults = aws_config::defaults(BehaviorVersion::latest())
        .region(Region::new(settings.region.clone()))
        .timeout_config(timeouts)
        .retry_config(RetryConfig::standard().with_max_attempts(ATTEMPTS).with_max_backoff(MAX_BACKOFF));
    if let Some(provider) = credentials::provider(settings.credentials_file.as_ref())? {
        defaults = defaults.credentials_provider(provider);
    }
    let shared = defaults.load().await;
    let mut config = aws_sdk_s3::config::Builder::from(&shared)
        // S3-compatible stores reject the checksum trailers that the client would send by itself.
        .request_checksum_calculation(RequestChecksumCalculation::WhenRequired)
        .response_checksum_validation(ResponseChecksumValidation::WhenRequired);
    if let Some(endpoint) = &settings.endpoint {
        config = config.endpoint_url(endpoint).force_path_style(true);
    }
    Ok(Client::from_conf(config.build()))
}

pub(super) async fn create_bucket(client: &Client, settings: &S3Settings) -> Result<(), StoreError> {
    let mut request = client.create_bucket().bucket(&settings.bucket);
    if settings.endpoint.is_none() && settings.region != "us-east-1" {
        let place = BucketLocationConstraint::from(settings.region.as_str());
        request = request.create_bucket_configuration(
            CreateBucketConfiguration::builder().location_constraint(place).build(),
        );
    }
    let answer = request.send().await;
    if status(&answer) == Some(409) {
        return Ok(()); // somebody else has just made it
    }
    answer.or_store_error(|| format!("creating the bucket \"{}\"", settings.bucket), None).map(drop)
}
