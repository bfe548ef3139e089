//! The REST service: a drop-in replacement for the Anonlink Entity Service's REST API.
//!
//! Projects and runs are resources in the Kubernetes API, encodings and results are objects in the store, tokens
//! are computed: the service itself keeps no state, so that any number of replicas can be started and killed at
//! any time. It knows the two resources and the store; it must never know Jobs, pods or Secrets, nor look into
//! what it stores, beyond the checks that `scorer::ingest` makes while the data passes.
//!
//! Where to start reading: [`router`] lists the endpoints, and [`endpoints`] holds them by resource; [`access`] decides who
//! may do what; [`limits`] bounds what a request and a client may take; [`kubernetes`] keeps the resources; [`content`] reads
//! and writes the formats; [`server`] has the connections; [`error`] has every answer that is not a success.

pub mod access;
pub mod content;
pub mod document;
pub mod endpoints;
pub mod error;
pub mod kubernetes;
pub mod limits;
pub mod router;
pub mod server;
pub mod settings;

use std::time::Duration;

use crds::folders::Installation;
use scorer::store::Store;
use tokio_util::task::TaskTracker;

use access::auth::Judge;
use access::grants::Grants;
use access::identity::Identities;
use endpoints::service::StatusCache;
use kubernetes::cluster::Cluster;
use limits::fullness::Fullness;
use limits::throttle::{Rates, Throttle};

/// What all requests share.
pub struct App {
    /// Projects and runs.
    pub cluster: Cluster,
    /// Encodings and results.
    pub store: Store,
    /// Names the folders of projects in the store.
    pub installation: Installation,
    /// Hands out temporary credentials of the store, where that is switched on.
    pub grants: Option<Grants>,
    /// Who may do what.
    pub judge: Judge,
    /// Who the cluster's own users are, where they may read.
    pub identities: Option<Identities>,
    /// What a request may not exceed.
    pub limits: Limits,
    /// How many requests and uploads there may be.
    pub throttle: Throttle,
    /// Whether the store was full a moment ago.
    pub fullness: Fullness,
    /// Uploads in progress: they go on, to a clean end, when their connection breaks.
    pub uploads: TaskTracker,
    /// The last answer to `/status`.
    pub status: StatusCache,
}

/// What a request may not exceed.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Least bytes of an encoding.
    pub min_encoding_bytes: u32,
    /// Most bytes of an encoding.
    pub max_encoding_bytes: u32,
    /// Most bytes of an upload.
    pub max_upload_bytes: u64,
    /// For how long a body may stand still.
    pub read_timeout: Duration,
    /// How many requests and uploads there may be.
    pub rates: Rates,
}

impl App {
    /// What requests share, at the start.
    pub fn new(
        cluster: Cluster,
        store: Store,
        judge: Judge,
        installation: Installation,
        limits: Limits,
    ) -> Self {
        let (uploads, status) = (TaskTracker::new(), StatusCache::default());
        let throttle = Throttle::new(limits.rates);
        Self {
            cluster,
            store,
            installation,
            grants: None,
            judge,
            identities: None,
            limits,
            throttle,
            fullness: Fullness::default(),
            uploads,
            status,
        }
    }
}
