//! The settings: flags, each also an environment variable.

use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;
use scorer::store::StoreArgs;

use crate::Limits;
use crate::access::grants::GrantArgs;
use crate::limits::throttle::Rates;
use crate::server::tls::TlsArgs;

/// The REST service of linkage-operator: creates projects and runs, streams encodings in and results out.
///
/// Projects and runs are LinkageProject and LinkageRun resources, reached with the pod's service account or the
/// local kubeconfig. It keeps no state: start as many as you like.
#[derive(Debug, Parser)]
#[command(
    name = "api",
    version,
    after_help = "RUST_LOG says how much is logged, such as info or api=debug; LOG_FORMAT=json logs JSON."
)]
pub struct Settings {
    /// The namespace whose projects and runs are served
    #[arg(long, env = "NAMESPACE")]
    pub namespace: String,

    /// File with the installation's master key, from which all tokens are computed: the same as the operator's
    #[arg(long, env = "MASTER_KEY_FILE", value_name = "FILE", default_value = "/etc/linkage/master-key/key")]
    pub master_key_file: PathBuf,

    /// Address of the REST service, below /api/v1
    #[arg(long, env = "LISTEN", value_name = "ADDRESS", default_value = "0.0.0.0:8080")]
    pub listen: SocketAddr,

    /// Address of /healthz, /readyz and /metrics
    #[arg(long, env = "HEALTH_LISTEN", value_name = "ADDRESS", default_value = "0.0.0.0:8081")]
    pub health_listen: SocketAddr,

    /// Least size of an encoding
    #[arg(long, env = "MIN_ENCODING_BYTES", value_name = "BYTES", default_value_t = 8)]
    pub min_encoding_bytes: u32,

    /// Greatest size of an encoding
    #[arg(long, env = "MAX_ENCODING_BYTES", value_name = "BYTES", default_value_t = 1024)]
    pub max_encoding_bytes: u32,

    /// Greatest size of an upload
    #[arg(long, env = "MAX_UPLOAD_BYTES", value_name = "BYTES", default_value_t = 10_000 << 20)]
    pub max_upload_bytes: u64,

    /// For how long the body of a request may stand still
    #[arg(long, env = "READ_TIMEOUT_SECONDS", value_name = "SECONDS", default_value_t = 1000)]
    pub read_timeout_seconds: u64,

    /// Requests a second that one client may send: the holder of a token or, without a token, an address. 0: any
    /// number. Whoever sends more is answered 503
    #[arg(long, env = "REQUESTS_PER_SECOND", value_name = "REQUESTS", default_value_t = 200)]
    pub requests_per_second: u32,

    /// Requests that a client may send at once before that counts
    #[arg(long, env = "REQUEST_BURST", value_name = "REQUESTS", default_value = "50")]
    pub request_burst: NonZeroU32,

    /// Uploads that may be in progress at once. Those above are answered 503
    #[arg(long, env = "MAX_UPLOADS", value_name = "UPLOADS", default_value_t = 64,
        value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub max_uploads: u32,

    /// Connections that may be open at once. Those above wait
    #[arg(long, env = "MAX_CONNECTIONS", value_name = "CONNECTIONS", default_value_t = 10_000,
        value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub max_connections: u32,

    /// Let users of the cluster read by their Kubernetes identity (Authorization: Bearer …), too, as far as RBAC lets
    /// them read LinkageProjects and LinkageRuns; results, as far as they may get linkageruns/result. Needs the right
    /// to create TokenReviews and SubjectAccessReviews
    #[arg(long, env = "KUBERNETES_READERS")]
    pub kubernetes_readers: bool,

    /// Origins whose pages may call the service (CORS), with commas between them; * for any
    #[arg(long, env = "CORS_ORIGINS", value_name = "ORIGINS", value_delimiter = ',')]
    pub cors_origins: Vec<String>,

    /// For how long new connections are still taken after SIGTERM, until no more are sent here
    #[arg(long, env = "SHUTDOWN_DELAY_SECONDS", value_name = "SECONDS", default_value_t = 0)]
    pub shutdown_delay_seconds: u64,

    /// For how long requests in progress may go on after that
    #[arg(long, env = "SHUTDOWN_GRACE_SECONDS", value_name = "SECONDS", default_value_t = 50)]
    pub shutdown_grace_seconds: u64,

    /// TLS.
    #[command(flatten)]
    pub tls: TlsArgs,

    /// The object store.
    #[command(flatten)]
    pub store: StoreArgs,

    /// How clients get to the store by themselves.
    #[command(flatten)]
    pub grants: GrantArgs,
}

impl Settings {
    /// What a request may not exceed.
    pub fn limits(&self) -> Limits {
        Limits {
            min_encoding_bytes: self.min_encoding_bytes,
            max_encoding_bytes: self.max_encoding_bytes,
            max_upload_bytes: self.max_upload_bytes,
            read_timeout: Duration::from_secs(self.read_timeout_seconds),
            rates: Rates {
                requests: NonZeroU32::new(self.requests_per_second),
                burst: self.request_burst,
                uploads: self.max_uploads as usize,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_flags_fit_together() {
        Settings::command().debug_assert();
    }
}
