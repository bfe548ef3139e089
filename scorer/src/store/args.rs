use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;

use super::s3::{S3Settings, S3Store};
use super::{Backend, Store, StoreError, key};

/// Where the objects are: the same settings for all programs.
///
/// Credentials for S3 are found as the AWS tools find them: AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, a profile,
/// a web identity token, or the machine's role.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Object store")]
pub struct StoreArgs {
    /// The store: s3://BUCKET[/PREFIX], or file:///DIRECTORY
    #[arg(long, env = "STORE_URL", value_name = "URL")]
    pub store_url: String,

    /// Address of an S3-compatible store, such as http://seaweedfs:8333; without it, AWS itself
    #[arg(long, env = "STORE_ENDPOINT", value_name = "URL")]
    pub store_endpoint: Option<String>,

    /// Region of the bucket
    #[arg(long, env = "STORE_REGION", value_name = "REGION", default_value = "us-east-1")]
    pub store_region: String,

    /// Create the bucket at the start if there is none
    #[arg(long, env = "STORE_CREATE_BUCKET")]
    pub store_create_bucket: bool,

    /// File with temporary credentials that somebody else renews, as JSON: AccessKeyId, SecretAccessKey, SessionToken,
    /// Expiration
    #[arg(long, env = "STORE_CREDENTIALS_FILE", value_name = "FILE")]
    pub store_credentials_file: Option<PathBuf>,
}

impl StoreArgs {
    /// Opens the store. Does not contact it yet: see [`Store::check`].
    ///
    /// # Errors
    /// Fails when a setting cannot be used.
    pub async fn open(&self) -> Result<Store, StoreError> {
        if let Some(directory) = self.store_url.strip_prefix("file://") {
            if !Path::new(directory).is_absolute() {
                return Err(invalid("a file:// URL needs an absolute path, as in file:///var/lib/linkage"));
            }
            return Store::in_directory(directory);
        }
        let settings = self.s3_settings()?;
        Ok(Store { backend: Backend::S3(Arc::new(S3Store::new(settings).await?)), discards: false })
    }

    fn s3_settings(&self) -> Result<S3Settings, StoreError> {
        let rest = self.store_url.strip_prefix("s3://").ok_or_else(|| {
            invalid(
                "--store-url (STORE_URL) must look like s3://bucket, s3://bucket/prefix or file:///directory",
            )
        })?;
        let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        let prefix = prefix.trim_end_matches('/');
        if bucket.is_empty() || bucket.contains(['@', ':', '?', '#']) {
            return Err(invalid("the URL of an S3 store must name a bucket, and nothing else but a prefix"));
        }
        key::check_prefix(prefix)?;
        if let Some(endpoint) = &self.store_endpoint
            && !(endpoint.starts_with("http://") || endpoint.starts_with("https://"))
        {
            return Err(invalid("--store-endpoint (STORE_ENDPOINT) must start with http:// or https://"));
        }
        if self.store_endpoint.as_ref().is_some_and(|endpoint| endpoint.contains('@')) {
            return Err(invalid("--store-endpoint (STORE_ENDPOINT) must not hold credentials"));
        }
        Ok(S3Settings {
            bucket: bucket.into(),
            prefix: if prefix.is_empty() { String::new() } else { format!("{prefix}/") },
            endpoint: self.store_endpoint.clone(),
            region: self.store_region.clone(),
            create_bucket: self.store_create_bucket,
            credentials_file: self.store_credentials_file.clone(),
        })
    }
}

fn invalid(why: &str) -> StoreError {
    StoreError::InvalidSettings { why: why.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(url: &str, endpoint: Option<&str>) -> StoreArgs {
        StoreArgs {
            store_url: url.into(),
            store_endpoint: endpoint.map(Into::into),
            store_region: "us-east-1".into(),
            store_create_bucket: false,
            store_credentials_file: None,
        }
    }

    #[test]
    fn understands_urls() {
        let plain = args("s3://b", None).s3_settings().unwrap();
        assert_eq!((plain.bucket.as_str(), plain.prefix.as_str()), ("b", ""));
        let deep = args("s3://b/x/y/", Some("http://h:1")).s3_settings().unwrap();
        assert_eq!((deep.bucket.as_str(), deep.prefix.as_str()), ("b", "x/y/"));
    }

    #[tokio::test]
    async fn refuses_other_settings() {
        for (url, endpoint) in [
            ("", None),
            ("b", None),
            ("http://b", None),
            ("s3://", None),
            ("s3:///x", None),
            ("s3://key:secret@b", None),
            ("s3://b/../x", None),
            ("file://relative", None),
            ("s3://b", Some("h:1")),
            ("s3://b", Some("http://key:secret@h:1")),
        ] {
            let refused = args(url, endpoint).open().await;
            let message = refused.unwrap_err().to_string();
            assert!(!message.contains("secret"), "{message}");
        }
    }
}
