//! The store's security token service (STS), as AWS has it and S3-compatible stores copy it: it hands out temporary
//! credentials that let their holder do a few things for some time.
//!
//! They are those of a role, narrowed by a policy to what is asked for. So they can never do more than the role may,
//! whatever is asked for.

use std::time::Duration;

use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, Region};
use aws_sdk_s3::config::http::HttpRequest;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::primitives::DateTimeFormat;
use aws_sdk_sts::Client;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::error::chain;
use super::{S3Place, credentials};
use crate::store::{Store, StoreArgs, StoreError};

/// One attempt must answer within this time.
const ATTEMPT: Duration = Duration::from_secs(5);
/// How often a request is tried.
const ATTEMPTS: u32 = 3;
/// What AWS takes for the name of a session at most.
const MAX_NAME_BYTES: usize = 64;

/// Where temporary credentials come from.
#[derive(Clone, Debug)]
pub struct TokenServiceArgs {
    /// The role, such as `arn:aws:iam::123456789012:role/linkage`.
    pub role_arn: String,
    /// Address of the service; by default that of the store.
    pub endpoint: Option<String>,
    /// For how long credentials are good.
    pub seconds: i32,
}

/// Hands out temporary credentials.
pub struct TokenService {
    client: Client,
    role: String,
    seconds: i32,
    place: S3Place,
}

/// Temporary credentials, by the names that AWS gives their parts.
#[derive(Clone, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct TemporaryCredentials {
    /// Names them; not a secret.
    pub access_key_id: String,
    /// The secret.
    pub secret_access_key: String,
    /// Must be sent along; a secret as well.
    pub session_token: String,
    /// Until when they are good: ISO 8601, UTC.
    pub expiration: String,
}

/// Something that credentials permit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Permission<'a> {
    /// To list the bucket: the names and sizes of objects, and not what is in them.
    List,
    /// To read an object.
    Get(&'a str),
    /// To read what lies below a key, which ends in `/`.
    GetBelow(&'a str),
    /// To put objects below a key, which ends in `/`.
    PutBelow(&'a str),
    /// To delete objects below a key, which ends in `/`.
    DeleteBelow(&'a str),
}

impl TokenService {
    /// The token service of a store.
    ///
    /// # Errors
    /// Fails when the store is none in S3, or its settings cannot be used.
    pub async fn open(
        args: TokenServiceArgs,
        store_args: &StoreArgs,
        store: &Store,
    ) -> Result<Self, StoreError> {
        let Some(place) = store.s3_place() else {
            let why = "temporary credentials (a role's ARN is set) need a store in S3".into();
            return Err(StoreError::InvalidSettings { why });
        };
        let timeouts = TimeoutConfig::builder().operation_attempt_timeout(ATTEMPT).build();
        let mut shared = aws_config::defaults(BehaviorVersion::latest())
            .region(Region::new(store_args.store_region.clone()))
            .timeout_config(timeouts)
            .retry_config(RetryConfig::standard().with_max_attempts(ATTEMPTS));
        if let Some(provider) = credentials::provider(store_args.store_credentials_file.as_ref())? {
            shared = shared.credentials_provider(provider);
        }
        let shared = shared.load().await;
        let mut config = aws_sdk_sts::config::Builder::from(&shared);
        config.set_endpoint_url(args.endpoint.or_else(|| store_args.store_endpoint.clone()));
        let client = Client::from_conf(config.build());
        Ok(Self { client, role: args.role_arn, seconds: args.seconds, place })
    }

    /// Credentials that permit this and nothing else. The name shows in the store's log.
    ///
    /// # Errors
    /// Fails when the token service does not answer, or refuses.
    pub async fn grant(
        &self,
        permissions: &[Permission<'_>],
        name: &str,
    ) -> Result<TemporaryCredentials, StoreError> {
        let name = &name[..name.floor_char_boundary(MAX_NAME_BYTES)];
        let request = self.client.assume_role().role_arn(&self.role).role_session_name(name);
        let request = request.duration_seconds(self.seconds).policy(self.policy(permissions));
        let answer = request.customize().mutate_request(announce_hash).send().await;
        let answer = answer.map_err(|error| self.refused(error))?;
        let rejected =
            |why: &str| StoreError::Rejected { what: "a request for credentials".into(), why: why.into() };
        let credentials = answer.credentials.ok_or_else(|| rejected("the STS hands out nothing"))?;
        let expiration = credentials.expiration.fmt(DateTimeFormat::DateTime);
        Ok(TemporaryCredentials {
            access_key_id: credentials.access_key_id,
            secret_access_key: credentials.secret_access_key,
            session_token: credentials.session_token,
            expiration: expiration.map_err(|_| rejected("the STS tells a time that cannot be"))?,
        })
    }

    fn policy(&self, permissions: &[Permission<'_>]) -> String {
        let statements: Vec<Value> =
            permissions.iter().map(|permission| self.statement(*permission)).collect();
        json!({"Version": "2012-10-17", "Statement": statements}).to_string()
    }

    fn statement(&self, permission: Permission<'_>) -> Value {
        // arn:aws:…, but arn:aws-cn:… in other parts of AWS
        let partition = self.role.split(':').nth(1).unwrap_or("aws");
        let S3Place { bucket, prefix } = &self.place;
        let (actions, resource): (&[&str], String) = match permission {
            Permission::List => (&["s3:ListBucket"], String::new()),
            Permission::Get(key) => (&["s3:GetObject"], format!("/{prefix}{}", literal(key))),
            Permission::GetBelow(key) => (&["s3:GetObject"], format!("/{prefix}{key}*")),
            Permission::PutBelow(key) => (
                &["s3:PutObject", "s3:AbortMultipartUpload", "s3:ListMultipartUploadParts"],
                format!("/{prefix}{key}*"),
            ),
            Permission::DeleteBelow(key) => (&["s3:DeleteObject"], format!("/{prefix}{key}*")),
        };
        let resource = format!("arn:{partition}:s3:::{bucket}{resource}");
        json!({"Effect": "Allow", "Action": actions, "Resource": [resource]})
    }

    /// What may be told: neither the request, which is signed by the holder's own keys, nor the answer, in which there may be
    /// others.
    fn refused<E, R>(&self, error: SdkError<E, R>) -> StoreError
    where
        E: ProvideErrorMetadata + std::error::Error + 'static,
        R: std::fmt::Debug,
    {
        let what = format!("a request for credentials of the role {}", self.role);
        if let SdkError::ServiceError(refusal) = &error {
            let (code, message) = (refusal.err().code(), refusal.err().message());
            let why = format!("{} {}", code.unwrap_or_default(), message.unwrap_or_default());
            return StoreError::Rejected { what, why: why.trim().into() };
        }
        StoreError::Unavailable { what, why: chain(&error) }
    }
}

/// The key in the words of a policy, which gives some characters a meaning: each of those stands for any one character.
fn literal(key: &str) -> String {
    key.replace(['*', '$', '{', '}'], "?")
}

/// SeaweedFS cannot check the signature of a request that does not carry the hash of its body; others do not mind.
fn announce_hash(request: &mut HttpRequest) {
    if let Some(hash) = request.body().bytes().map(|body| hex::encode(Sha256::digest(body))) {
        request.headers_mut().insert("x-amz-content-sha256", hash);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(permissions: &[Permission<'_>]) -> Value {
        let config = aws_sdk_sts::Config::builder().behavior_version(BehaviorVersion::latest()).build();
        let service = TokenService {
            client: Client::from_conf(config),
            role: "arn:aws-cn:iam::123456789012:role/linkage".into(),
            seconds: 900,
            place: S3Place { bucket: "b".into(), prefix: "pre/".into() },
        };
        serde_json::from_str(&service.policy(permissions)).unwrap()
    }

    #[test]
    fn a_policy_permits_what_is_asked_for_and_nothing_else() {
        for (permission, actions, resource) in [
            (Permission::List, json!(["s3:ListBucket"]), "arn:aws-cn:s3:::b"),
            (Permission::Get("runs/1/r"), json!(["s3:GetObject"]), "arn:aws-cn:s3:::b/pre/runs/1/r"),
            (Permission::Get("a*/${x}"), json!(["s3:GetObject"]), "arn:aws-cn:s3:::b/pre/a?/??x?"),
            (Permission::GetBelow("runs/1/"), json!(["s3:GetObject"]), "arn:aws-cn:s3:::b/pre/runs/1/*"),
            (
                Permission::PutBelow("p/1/"),
                json!(["s3:PutObject", "s3:AbortMultipartUpload", "s3:ListMultipartUploadParts"]),
                "arn:aws-cn:s3:::b/pre/p/1/*",
            ),
            (Permission::DeleteBelow("p/1/"), json!(["s3:DeleteObject"]), "arn:aws-cn:s3:::b/pre/p/1/*"),
        ] {
            let policy = policy(&[permission]);
            let expected = json!([{"Effect": "Allow", "Action": actions, "Resource": [resource]}]);
            assert_eq!(policy["Statement"], expected, "{permission:?}");
        }
        assert_eq!(
            policy(&[Permission::List, Permission::Get("a")])["Statement"].as_array().unwrap().len(),
            2
        );
    }
}
