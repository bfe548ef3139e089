//! The settings: flags, each also an environment variable.

use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;
use scorer::store::StoreArgs;

use crate::Limits;
use crate::access::creation::CreationArgs;
use crate::access::grants::GrantArgs;
use crate::limits::lifetimes::Lifetimes;
use crate::limits::places::Shares;
use crate::limits::quotas::Quotas;
use crate::limits::throttle::Rates;
use crate::limits::waiting::MostWaiting;
use crate::server::tls::TlsArgs;

/// The REST service of linkage-operator: creates projects and runs, streams encodings in and results out.
///
/// Projects and runs are LinkageProject and LinkageRun resources, reached with the pod's service account or the
/// local kubeconfig. It keeps no state: start as many as you like.
#[derive(Debug, Parser)]
#[command(
    name = "api",
    version,
    after_help = "api verify-audit FILE checks a file with the audit lines that were logged. RUST_LOG says how much is logged, such as info or api=debug; LOG_FORMAT=json logs JSON."
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

    /// For how long the service waits for 64 KiB more of a body, or for its end
    #[arg(long, env = "READ_TIMEOUT_SECONDS", value_name = "SECONDS", default_value_t = 120)]
    pub read_timeout_seconds: u64,

    /// After how long without new bytes a resumable upload expires; less than the operator's SWEEP_AGE_SECONDS
    #[arg(long, env = "UPLOAD_EXPIRY_SECONDS", value_name = "SECONDS", default_value_t = 86_400)]
    pub upload_expiry_seconds: u64,

    /// Requests a second that one client may send: the holder of a token that has opened something or, without one, an
    /// address, of IPv6 a network of 64 bits. 0: any number. A refused token counts as five. Whoever sends more is answered 503
    #[arg(long, env = "REQUESTS_PER_SECOND", value_name = "REQUESTS", default_value_t = 200)]
    pub requests_per_second: u32,

    /// Requests that a client may send at once before that counts
    #[arg(long, env = "REQUEST_BURST", value_name = "REQUESTS", default_value = "50")]
    pub request_burst: NonZeroU32,

    /// Proxies before the service, with commas between them: addresses, or networks such as 10.0.0.0/8. What they say in
    /// X-Forwarded-For counts as the address of a client; without any, the address that the connection comes from
    #[arg(long, env = "TRUSTED_PROXIES", value_name = "NETWORKS", value_delimiter = ',')]
    pub trusted_proxies: Vec<String>,

    /// Uploads that may be in progress at once. Those with blocks count twice. Those above are answered 503
    #[arg(long, env = "MAX_UPLOADS", value_name = "UPLOADS", default_value_t = 64,
        value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub max_uploads: u32,

    /// The same from one address
    #[arg(long, env = "MAX_UPLOADS_PER_ADDRESS", value_name = "UPLOADS", default_value_t = 56,
        value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub max_uploads_per_address: u32,

    /// The same to one project
    #[arg(long, env = "MAX_UPLOADS_PER_PROJECT", value_name = "UPLOADS", default_value_t = 16,
        value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub max_uploads_per_project: u32,

    /// The same of one party
    #[arg(long, env = "MAX_UPLOADS_PER_PARTY", value_name = "UPLOADS", default_value_t = 4,
        value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub max_uploads_per_party: u32,

    /// Projects created over REST that there may be. 0, here and for the next five: any number
    #[arg(long, env = "MAX_PROJECTS", value_name = "PROJECTS", default_value_t = 5_000)]
    pub max_projects: u64,

    /// Of those, projects created from one address
    #[arg(long, env = "MAX_PROJECTS_PER_ADDRESS", value_name = "PROJECTS", default_value_t = 1_000)]
    pub max_projects_per_address: u64,

    /// Runs created over REST that there may be
    #[arg(long, env = "MAX_RUNS", value_name = "RUNS", default_value_t = 10_000)]
    pub max_runs: u64,

    /// Of those, runs of one project
    #[arg(long, env = "MAX_RUNS_PER_PROJECT", value_name = "RUNS", default_value_t = 500)]
    pub max_runs_per_project: u64,

    /// Bytes that schemas, names and notes of all of them may have
    #[arg(long, env = "MAX_TEXT_BYTES", value_name = "BYTES", default_value_t = 64 << 20)]
    pub max_text_bytes: u64,

    /// Of those, bytes from one address
    #[arg(long, env = "MAX_TEXT_BYTES_PER_ADDRESS", value_name = "BYTES", default_value_t = 16 << 20)]
    pub max_text_bytes_per_address: u64,

    /// Connections that may be open at once. Those above wait
    #[arg(long, env = "MAX_CONNECTIONS", value_name = "CONNECTIONS", default_value_t = 2_000,
        value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub max_connections: u32,

    /// Let anybody list the ids of all projects (GET /projects), as the original does. Otherwise a caller sees those that its
    /// token is for
    #[arg(long, env = "LIST_ALL_PROJECTS")]
    pub list_all_projects: bool,

    /// For how many seconds a project that is created over REST is kept, with all its data and runs, where its client asks
    /// for nothing else (retention_seconds). 0: until it is deleted
    #[arg(long, env = "PROJECT_SECONDS", value_name = "SECONDS", default_value_t = 0,
        value_parser = clap::value_parser!(i64).range(0..))]
    pub project_seconds: i64,

    /// The longest that a client may ask for. 0: any, and for ever
    #[arg(long, env = "LONGEST_PROJECT_SECONDS", value_name = "SECONDS", default_value_t = 0,
        value_parser = clap::value_parser!(i64).range(0..))]
    pub longest_project_seconds: i64,

    /// For how many seconds after its end a run that is created over REST is kept, with its result, where its client asks
    /// for nothing else (ttl_seconds). 0: as long as its project
    #[arg(long, env = "RUN_SECONDS", value_name = "SECONDS", default_value_t = 0,
        value_parser = clap::value_parser!(i64).range(0..))]
    pub run_seconds: i64,

    /// Requests that may wait for something to change (?wait=…) at once. Those above are answered 503
    #[arg(long, env = "MAX_WAITING", value_name = "REQUESTS", default_value_t = 1000,
        value_parser = clap::value_parser!(u32).range(0..=100_000))]
    pub max_waiting: u32,

    /// The same of one client: the holders of one token
    #[arg(long, env = "MAX_WAITING_PER_CLIENT", value_name = "REQUESTS", default_value_t = 10,
        value_parser = clap::value_parser!(u32).range(0..=100_000))]
    pub max_waiting_per_client: u32,

    /// Addresses that projects may name as webhooks, with commas between them: each allows itself and what is below it
    #[arg(long, env = "WEBHOOK_URLS", value_name = "URLS", value_delimiter = ',')]
    pub webhook_urls: Vec<String>,

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

    /// Who may create projects.
    #[command(flatten)]
    pub creation: CreationArgs,

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
    /// How long what clients create is kept. What is shorter than the resources allow counts as that.
    pub fn lifetimes(&self) -> Lifetimes {
        let some = |seconds: i64| (seconds > 0).then_some(seconds.max(60));
        Lifetimes {
            project: some(self.project_seconds),
            longest_project: some(self.longest_project_seconds),
            run: some(self.run_seconds),
        }
    }

    /// What a request may not exceed.
    pub fn limits(&self) -> Limits {
        Limits {
            min_encoding_bytes: self.min_encoding_bytes,
            max_encoding_bytes: self.max_encoding_bytes,
            max_upload_bytes: self.max_upload_bytes,
            read_timeout: Duration::from_secs(self.read_timeout_seconds),
            upload_expiry: Duration::from_secs(self.upload_expiry_seconds),
            rates: Rates { requests: NonZeroU32::new(self.requests_per_second), burst: self.request_burst },
            uploads: Shares {
                all: self.max_uploads as usize,
                address: self.max_uploads_per_address as usize,
                project: self.max_uploads_per_project as usize,
                party: self.max_uploads_per_party as usize,
            },
            quotas: Quotas {
                projects: self.max_projects,
                projects_per_address: self.max_projects_per_address,
                runs: self.max_runs,
                runs_per_project: self.max_runs_per_project,
                bytes: self.max_text_bytes,
                bytes_per_address: self.max_text_bytes_per_address,
            },
            waiting: MostWaiting {
                in_all: self.max_waiting as usize,
                of_client: self.max_waiting_per_client as usize,
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
