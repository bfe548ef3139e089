//! Temporary credentials of the object store, which let their holder do one thing for some time: handed out by the
//! store's security token service (STS), as AWS has it and S3-compatible stores copy it.
//!
//! The service assumes a role, and narrows it by a policy to what is granted; so no grant can be wider than the role,
//! whatever goes wrong here.

use clap::Args;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::Timestamp;
use scorer::store::{self, Permission, S3Place, Store, StoreArgs, TokenService, TokenServiceArgs};
use serde::Serialize;
use utoipa::ToSchema;

use crate::content::text;
use crate::error::Error;

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
    service: TokenService,
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
        let Some(role_arn) = args.sts_role_arn.clone() else { return Ok(None) };
        let service_args = TokenServiceArgs {
            role_arn,
            endpoint: args.sts_endpoint.clone(),
            seconds: args.credentials_seconds,
        };
        let service = TokenService::open(service_args, store_args, store).await?;
        let Some(place) = store.s3_place() else {
            anyhow::bail!("--sts-role-arn (STS_ROLE_ARN) needs a store in S3");
        };
        let aws = format!("https://s3.{}.amazonaws.com", store_args.store_region);
        let own = store_args.store_endpoint.as_deref();
        let address = Address::of(args.public_store_endpoint.as_deref().or(own).unwrap_or(&aws))?;
        Ok(Some(Self { service, place, address }))
    }

    /// Credentials that are good for one right. The name shows in the store's log.
    ///
    /// # Errors
    /// Fails when the token service does not answer, or refuses.
    pub async fn grant(&self, right: Right<'_>, name: &str) -> Result<TemporaryCredentials, Error> {
        let folder;
        let permission = match right {
            Right::PutBelow(key) => {
                folder = format!("{key}/");
                Permission::PutBelow(&folder)
            }
            Right::Get(key) => Permission::Get(key),
        };
        Ok(self.service.grant(&[permission], name).await?.into())
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
}

impl From<store::TemporaryCredentials> for TemporaryCredentials {
    fn from(credentials: store::TemporaryCredentials) -> Self {
        let store::TemporaryCredentials { access_key_id, secret_access_key, session_token, expiration } =
            credentials;
        let until: Option<Timestamp> = expiration.parse().ok();
        let expiration = until.map_or(expiration, |until| text::time(&Time(until)));
        Self { access_key_id, secret_access_key, session_token, expiration }
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

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    async fn grants() -> Grants {
        let args = GrantArgs {
            sts_role_arn: Some("arn:aws-cn:iam::123456789012:role/linkage".into()),
            sts_endpoint: None,
            public_store_endpoint: Some("https://store.example:9000/".into()),
            credentials_seconds: 900,
        };
        let store_args = StoreArgs {
            store_url: "s3://b/pre".into(),
            store_endpoint: Some("http://store:8333".into()),
            store_region: "us-east-1".into(),
            store_create_bucket: false,
            store_credentials_file: None,
        };
        let store = store_args.open().await.unwrap();
        Grants::open(&args, &store_args, &store).await.unwrap().unwrap()
    }

    #[tokio::test]
    async fn only_the_own_store_has_own_keys() {
        let grants = grants().await;
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

    #[tokio::test]
    async fn addresses_are_split_into_host_and_scheme() {
        let place = grants().await.place("a/b");
        let expected =
            json!({"endpoint": "store.example:9000", "secure": true, "bucket": "b", "path": "pre/a/b"});
        assert_eq!(serde_json::to_value(place).unwrap(), expected);
        assert!(!Address::of("http://127.0.0.1:8333").unwrap().secure);
        for refused in ["", "store.example", "https://", "ftp://a", "https://a/b", "https://u:p@a"] {
            assert!(Address::of(refused).is_err(), "{refused}");
        }
    }
}
