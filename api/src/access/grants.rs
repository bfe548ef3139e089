//! Temporary credentials of the object store, which let their holder do one thing for some time: handed out by the
//! store's security token service (STS), as AWS has it and S3-compatible stores copy it.
//!
//! The service assumes a role, and narrows it by a policy to what is granted; so no grant can be wider than the role,
//! whatever goes wrong here.

use std::time::Duration;

use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, Region};
use aws_sdk_sts::Client;
use aws_sdk_sts::config::http::HttpRequest;
use aws_sdk_sts::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_sts::primitives::DateTimeFormat;
use clap::Args;
use scorer::store::{S3Place, Store, StoreArgs, credentials_in_environment};
use serde::Serialize;
use serde_json::json;
use sha2::{Digest, Sha256};
use utoipa::ToSchema;

use crate::error::Error;

/// One attempt must answer within this time.
const ATTEMPT: Duration = Duration::from_secs(5);
/// How often a request is tried.
const ATTEMPTS: u32 = 3;

/// How clients get to the store by themselves.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Temporary credentials of the store")]
pub struct GrantArgs {
    /// Role that the service assumes, narrowed each time to what it hands credentials out for, such as
    /// arn:aws:iam::123456789012:role/linkage. Without it no credentials are handed out
    #[arg(long, env = "STS_ROLE_ARN", value_name = "ARN")]
    pub sts_role_arn: Option<String>,

    /// Address of the security token service; by default that of the store
    #[arg(long, env = "STS_ENDPOINT", value_name = "URL")]
    pub sts_endpoint: Option<String>,

    /// Address at which clients find the store, such as https://store.example.org; by default the service's own
    #[arg(long, env = "PUBLIC_STORE_ENDPOINT", value_name = "URL")]
    pub public_store_endpoint: Option<String>,

    /// For how long credentials are good: long enough for the largest upload
    #[arg(long, env = "CREDENTIALS_SECONDS", value_name = "SECONDS", default_value_t = 3600,
        value_parser = clap::value_parser!(i32).range(900..=43_200))]
    pub credentials_seconds: i32,
}

/// What credentials are good for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Right<'a> {
    /// To put objects below a key, which does not end in `/`.
    PutBelow(&'a str),
    /// To read one object.
    Get(&'a str),
}

/// Hands out temporary credentials.
pub struct Grants {
    client: Client,
    role: String,
    seconds: i32,
    place: S3Place,
    address: Address,
}

/// Temporary credentials, by the names that AWS gives their parts.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
pub struct TemporaryCredentials {
    access_key_id: String,
    secret_access_key: String,
    session_token: String,
    /// Until when they are good: ISO 8601, UTC.
    #[schema(format = DateTime)]
    expiration: String,
}

/// Where an object, or a folder of objects, is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct ObjectPlace {
    /// Host and, where it is not the default one, port.
    endpoint: String,
    /// Whether it is to be reached by TLS.
    secure: bool,
    bucket: String,
    /// The key in the bucket.
    path: String,
}

/// Where clients find the store.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Address {
    endpoint: String,
    secure: bool,
}

impl Grants {
    /// The store's token service; none when it is switched off.
    ///
    /// # Errors
    /// Fails when the settings do not fit together.
    pub async fn open(
        args: &GrantArgs,
        store_args: &StoreArgs,
        store: &Store,
    ) -> anyhow::Result<Option<Self>> {
        let Some(role) = args.sts_role_arn.clone() else { return Ok(None) };
        let Some(place) = store.s3_place() else {
            anyhow::bail!("--sts-role-arn (STS_ROLE_ARN) needs a store in S3");
        };
        let aws = format!("https://s3.{}.amazonaws.com", store_args.store_region);
        let own = store_args.store_endpoint.as_deref();
        let address = Address::of(args.public_store_endpoint.as_deref().or(own).unwrap_or(&aws))?;
        let timeouts = TimeoutConfig::builder().operation_attempt_timeout(ATTEMPT).build();
        let mut shared = aws_config::defaults(BehaviorVersion::latest())
            .region(Region::new(store_args.store_region.clone()))
            .timeout_config(timeouts)
            .retry_config(RetryConfig::standard().with_max_attempts(ATTEMPTS));
        if let Some(credentials) = credentials_in_environment()? {
            shared = shared.credentials_provider(credentials);
        }
        let shared = shared.load().await;
        let mut config = aws_sdk_sts::config::Builder::from(&shared);
        config.set_endpoint_url(args.sts_endpoint.clone().or_else(|| own.map(str::to_owned)));
        let client = Client::from_conf(config.build());
        Ok(Some(Self { client, role, seconds: args.credentials_seconds, place, address }))
    }

    /// Credentials that are good for one right. The name shows in the store's log.
    ///
    /// # Errors
    /// Fails when the token service does not answer, or refuses.
    pub async fn grant(&self, right: Right<'_>, name: &str) -> Result<TemporaryCredentials, Error> {
        let request = self.client.assume_role().role_arn(&self.role).role_session_name(name);
        let request = request.duration_seconds(self.seconds).policy(self.policy(right));
        let answer = request.customize().mutate_request(announce_hash).send().await.map_err(refused)?;
        let credentials =
            answer.credentials.ok_or_else(|| Error::Internal("the STS hands out nothing".into()))?;
        let expiration = credentials.expiration.fmt(DateTimeFormat::DateTime);
        Ok(TemporaryCredentials {
            access_key_id: credentials.access_key_id,
            secret_access_key: credentials.secret_access_key,
            session_token: credentials.session_token,
            expiration: expiration.map_err(|error| Error::Internal(format!("the STS's time: {error}")))?,
        })
    }

    /// Where clients find a key.
    pub fn place(&self, key: &str) -> ObjectPlace {
        let Address { endpoint, secure } = self.address.clone();
        ObjectPlace { endpoint, secure, bucket: self.place.bucket.clone(), path: self.path(key) }
    }

    /// The store's key of a path in the bucket, if the bucket and the address are the store's own.
    pub fn own_key<'p>(&self, endpoint: Option<&str>, bucket: &str, path: &'p str) -> Option<&'p str> {
        let own = endpoint.is_none_or(|endpoint| {
            Address::of(endpoint).map_or(endpoint, |_| without_scheme(endpoint)) == self.address.endpoint
        });
        if own && bucket == self.place.bucket { path.strip_prefix(&self.place.prefix) } else { None }
    }

    fn path(&self, key: &str) -> String {
        format!("{}{key}", self.place.prefix)
    }

    fn policy(&self, right: Right<'_>) -> String {
        // arn:aws:…, but arn:aws-cn:… in other parts of AWS
        let partition = self.role.split(':').nth(1).unwrap_or("aws");
        let (actions, key): (&[&str], String) = match right {
            Right::PutBelow(key) => (
                &["s3:PutObject", "s3:AbortMultipartUpload", "s3:ListMultipartUploadParts"],
                format!("{key}/*"),
            ),
            Right::Get(key) => (&["s3:GetObject"], key.to_owned()),
        };
        let object = format!("arn:{partition}:s3:::{}/{}", self.place.bucket, self.path(&key));
        let statement = json!({"Effect": "Allow", "Action": actions, "Resource": [object]});
        json!({"Version": "2012-10-17", "Statement": [statement]}).to_string()
    }
}

impl Address {
    fn of(url: &str) -> anyhow::Result<Self> {
        let secure = url.starts_with("https://");
        let endpoint = without_scheme(url);
        if endpoint == url || endpoint.is_empty() || endpoint.contains(['/', '@', '?', '#']) {
            anyhow::bail!(
                "the store's address for clients must look like https://store.example.org, not {url:?}"
            );
        }
        Ok(Self { endpoint: endpoint.into(), secure })
    }
}

fn without_scheme(url: &str) -> &str {
    let rest = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"));
    rest.map_or(url, |rest| rest.trim_end_matches('/'))
}

/// SeaweedFS cannot check the signature of a request that does not carry the hash of its body; others do not mind.
fn announce_hash(request: &mut HttpRequest) {
    if let Some(hash) = request.body().bytes().map(|body| hex::encode(Sha256::digest(body))) {
        request.headers_mut().insert("x-amz-content-sha256", hash);
    }
}

/// What the log may hold: neither the request, which is signed by the service's own keys, nor the answer, in which there
/// may be others.
fn refused<E, R>(error: SdkError<E, R>) -> Error
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
    R: std::fmt::Debug,
{
    if let SdkError::ServiceError(refusal) = &error {
        let (code, message) = (refusal.err().code(), refusal.err().message());
        let (code, message) = (code.unwrap_or_default(), message.unwrap_or_default());
        return Error::Internal(format!("the STS refuses: {code} {message}"));
    }
    let causes = std::iter::successors(std::error::Error::source(&error), |cause| cause.source());
    let causes: Vec<String> = causes.map(ToString::to_string).collect();
    Error::Unavailable(format!("the STS cannot be reached: {error}: {}", causes.join(": ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grants(prefix: &str) -> Grants {
        let config = aws_sdk_sts::Config::builder().behavior_version(BehaviorVersion::latest()).build();
        Grants {
            client: Client::from_conf(config),
            role: "arn:aws-cn:iam::123456789012:role/linkage".into(),
            seconds: 900,
            place: S3Place { bucket: "b".into(), prefix: prefix.into() },
            address: Address::of("https://store.example:9000/").unwrap(),
        }
    }

    #[test]
    fn a_policy_names_one_prefix_or_one_object() {
        let resource = |right| -> serde_json::Value {
            let policy: serde_json::Value = serde_json::from_str(&grants("pre/").policy(right)).unwrap();
            assert_eq!(policy["Statement"].as_array().unwrap().len(), 1);
            policy["Statement"][0]["Resource"].clone()
        };
        assert_eq!(resource(Right::PutBelow("p/1")), json!(["arn:aws-cn:s3:::b/pre/p/1/*"]));
        assert_eq!(resource(Right::Get("runs/1/r")), json!(["arn:aws-cn:s3:::b/pre/runs/1/r"]));
    }

    #[test]
    fn only_the_own_store_has_own_keys() {
        let grants = grants("pre/");
        assert_eq!(grants.own_key(None, "b", "pre/a/b"), Some("a/b"));
        for endpoint in ["store.example:9000", "https://store.example:9000", "http://store.example:9000/"] {
            assert_eq!(grants.own_key(Some(endpoint), "b", "pre/a"), Some("a"), "{endpoint}");
        }
        for (endpoint, bucket, path) in [
            (Some("store.example"), "b", "pre/a"),
            (Some("store.example:9000.evil"), "b", "pre/a"),
            (Some("169.254.169.254"), "b", "pre/a"),
            (Some(""), "b", "pre/a"),
            (None, "c", "pre/a"),
            (None, "b", "a"),
            (None, "b", "/pre/a"),
            (None, "b", "prefix/a"),
        ] {
            assert_eq!(grants.own_key(endpoint, bucket, path), None, "{endpoint:?} {bucket} {path}");
        }
    }

    #[test]
    fn addresses_are_split_into_host_and_scheme() {
        let place = grants("").place("a/b");
        let expected =
            json!({"endpoint": "store.example:9000", "secure": true, "bucket": "b", "path": "a/b"});
        assert_eq!(serde_json::to_value(place).unwrap(), expected);
        assert!(!Address::of("http://127.0.0.1:8333").unwrap().secure);
        for refused in ["", "store.example", "https://", "ftp://a", "https://a/b", "https://u:p@a"] {
            assert!(Address::of(refused).is_err(), "{refused}");
        }
    }
}
