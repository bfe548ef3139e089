//! Credentials in a file that somebody else renews: those of a Job, which the operator writes into a Secret and the kubelet
//! into the pod.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{ProvideCredentials, future};
use aws_sdk_s3::config::Credentials;
use aws_sdk_s3::primitives::{DateTime, DateTimeFormat};

use super::TemporaryCredentials;

/// Reads the file whenever the credentials that were read last are about to expire.
#[derive(Debug)]
pub(super) struct CredentialsFile(pub PathBuf);

impl ProvideCredentials for CredentialsFile {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(async {
            let read = read(&self.0, SystemTime::now()).await;
            read.map_err(|why| CredentialsError::provider_error(format!("{}: {why}", self.0.display())))
        })
    }
}

async fn read(path: &Path, now: SystemTime) -> Result<Credentials, String> {
    let bytes = tokio::fs::read(path).await.map_err(|error| error.to_string())?;
    // the parser's own words could quote a key
    let read: TemporaryCredentials =
        serde_json::from_slice(&bytes).map_err(|_| "it holds no credentials".to_owned())?;
    let expiry = DateTime::from_str(&read.expiration, DateTimeFormat::DateTime)
        .ok()
        .and_then(|time| SystemTime::try_from(time).ok())
        .ok_or("it does not tell until when the credentials are good")?;
    if expiry <= now {
        return Err(format!(
            "the credentials were good until {}; the operator has not renewed them",
            read.expiration
        ));
    }
    let token = Some(read.session_token);
    Ok(Credentials::new(read.access_key_id, read.secret_access_key, token, Some(expiry), "file"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    const WRITTEN: &str = r#"{"AccessKeyId": "key", "SecretAccessKey": "hush", "SessionToken": "token",
        "Expiration": "2030-01-01T00:00:00Z"}"#;

    fn file(content: &str) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), content).unwrap();
        file
    }

    fn at(seconds: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
    }

    #[tokio::test]
    async fn credentials_are_good_until_they_expire() {
        const EXPIRY: u64 = 1_893_456_000;
        let file = file(WRITTEN);
        let read = read(file.path(), at(EXPIRY - 1)).await.unwrap();
        assert_eq!((read.access_key_id(), read.session_token()), ("key", Some("token")));
        assert_eq!(read.expiry(), Some(at(EXPIRY)));
        let expired = super::read(file.path(), at(EXPIRY)).await.unwrap_err();
        assert!(expired.contains("2030-01-01T00:00:00Z") && expired.contains("not renewed"), "{expired}");
    }

    #[tokio::test]
    async fn a_file_that_cannot_be_used_is_told_without_its_content() {
        for content in
            ["", "hush", r#"{"SecretAccessKey": "hush"}"#, &WRITTEN.replace("2030-01-01T00", "hush")]
        {
            let why = read(file(content).path(), at(0)).await.unwrap_err();
            assert!(!why.contains("hush"), "{why}");
        }
        assert!(read(Path::new("/nowhere"), at(0)).await.is_err());
    }
}
