//! The bundled store, through S3, as the one sees it who puts source objects in and takes results out.

use anyhow::Context;
use aws_sdk_s3::Client;
use aws_sdk_s3::config::{
    BehaviorVersion, Credentials, Region, RequestChecksumCalculation, ResponseChecksumValidation,
};
use aws_sdk_s3::types::{BucketVersioningStatus, VersioningConfiguration};
use serde_json::Value;

use crate::cluster::{Namespace, run};
use crate::forward::Forward;

const BUCKET: &str = "linkage";

/// The bucket of an installation.
pub struct Objects {
    client: Client,
    forward: Forward,
}

impl Objects {
    /// Opens a way to the store, with the keys of a user's Secret of the chart.
    pub async fn connect(namespace: &Namespace, service: &str, user: &str) -> anyhow::Result<Self> {
        let secret = namespace.get(&format!("secret/{service}-{user}")).await?.context("no such Secret")?;
        let keys =
            [decoded(&secret, "AWS_ACCESS_KEY_ID").await?, decoded(&secret, "AWS_SECRET_ACCESS_KEY").await?];
        Self::connect_with(namespace, service, keys).await
    }

    /// The same with an access key and a secret key.
    pub async fn connect_with(
        namespace: &Namespace,
        service: &str,
        [access_key, secret_key]: [String; 2],
    ) -> anyhow::Result<Self> {
        Self::open(namespace, service, Credentials::new(access_key, secret_key, None, None, "tests")).await
    }

    /// The same, with temporary credentials: access key, secret key and session token.
    pub async fn connect_by(
        namespace: &Namespace,
        service: &str,
        [access_key, secret_key, token]: [String; 3],
    ) -> anyhow::Result<Self> {
        Self::open(namespace, service, Credentials::new(access_key, secret_key, Some(token), None, "tests"))
            .await
    }

    async fn open(namespace: &Namespace, service: &str, credentials: Credentials) -> anyhow::Result<Self> {
        let forward = Forward::open(namespace, service, 8333).await?;
        let config = aws_sdk_s3::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new("us-east-1"))
            .endpoint_url(&forward.address)
            .force_path_style(true)
            .credentials_provider(credentials)
            .request_checksum_calculation(RequestChecksumCalculation::WhenRequired)
            .response_checksum_validation(ResponseChecksumValidation::WhenRequired)
            .build();
        Ok(Self { client: Client::from_conf(config), forward })
    }

    /// Where another program finds the store: `HOST:PORT`.
    pub fn address(&self) -> String {
        self.forward.address.trim_start_matches("http://").to_owned()
    }

    /// Puts an object.
    pub async fn put(&self, key: &str, content: Vec<u8>) -> anyhow::Result<()> {
        self.client.put_object().bucket(BUCKET).key(key).body(content.into()).send().await?;
        Ok(())
    }

    /// Begins an object in parts, and leaves it at that.
    pub async fn begin(&self, key: &str) -> anyhow::Result<()> {
        let upload = self.client.create_multipart_upload().bucket(BUCKET).key(key).send().await?;
        let part = self.client.upload_part().bucket(BUCKET).key(key).part_number(1);
        part.set_upload_id(upload.upload_id).body(vec![7; 5 << 20].into()).send().await?;
        Ok(())
    }

    /// The keys below a prefix of objects that were begun and not finished.
    pub async fn unfinished(&self, prefix: &str) -> anyhow::Result<Vec<String>> {
        let listed = self.client.list_multipart_uploads().bucket(BUCKET).prefix(prefix).send().await?;
        Ok(listed.uploads().iter().filter_map(|upload| upload.key().map(str::to_owned)).collect())
    }

    /// An object's bytes.
    pub async fn get(&self, key: &str) -> anyhow::Result<Vec<u8>> {
        let object = self.client.get_object().bucket(BUCKET).key(key).send().await.context(key.to_owned())?;
        Ok(object.body.collect().await?.to_vec())
    }

    /// An object as JSON.
    pub async fn get_json(&self, key: &str) -> anyhow::Result<Value> {
        Ok(serde_json::from_slice(&self.get(key).await?)?)
    }

    /// Makes the bucket keep versions of its objects from now on.
    pub async fn keep_versions(&self) -> anyhow::Result<()> {
        let kept = VersioningConfiguration::builder().status(BucketVersioningStatus::Enabled).build();
        self.client.put_bucket_versioning().bucket(BUCKET).versioning_configuration(kept).send().await?;
        Ok(())
    }

    /// How many versions and markers there are below a prefix.
    pub async fn versions(&self, prefix: &str) -> anyhow::Result<usize> {
        let listed = self.client.list_object_versions().bucket(BUCKET).prefix(prefix).send().await?;
        Ok(listed.versions().len() + listed.delete_markers().len())
    }

    /// The keys below a prefix.
    pub async fn keys(&self, prefix: &str) -> anyhow::Result<Vec<String>> {
        let listed = self.client.list_objects_v2().bucket(BUCKET).prefix(prefix).send().await?;
        Ok(listed.contents().iter().filter_map(|object| object.key().map(str::to_owned)).collect())
    }
}

/// A value of a Secret.
pub async fn decoded(secret: &Value, name: &str) -> anyhow::Result<String> {
    let encoded = secret["data"][name].as_str().with_context(|| format!("no {name} in the Secret"))?;
    Ok(run("base64", &["--decode"], encoded).await?.text)
}
