//! The REST service: a drop-in replacement for the Anonlink Entity Service's REST API.
//!
//! Projects and runs are resources in the Kubernetes API, encodings and results are objects in the store, tokens
//! are computed: the service itself keeps no state, so that any number of replicas can be started and killed at
//! any time. It knows the two resources and the store; it must never know Jobs, pods or Secrets, nor look into
//! what it stores, beyond the checks that `scorer::ingest` makes while the data passes.
//!
//! Where to start reading: [`router`] lists the endpoints, one module per resource holds them; [`auth`] decides
//! who may do what; [`error`] has every answer that is not a success; [`uploads`] is the way of the data in.

pub mod audit;
pub mod auth;
pub mod body;
pub mod claims;
pub mod cluster;
pub mod cors;
pub mod document;
pub mod error;
pub mod external;
pub mod formats;
mod from_run;
pub mod fullness;
pub mod grants;
pub mod health;
pub mod histogram;
pub mod identity;
pub mod mask_key;
pub mod outputs;
pub mod page;
pub mod paths;
pub mod projects;
pub mod ranges;
pub mod results;
pub mod router;
pub mod run_status;
pub mod runs;
pub mod serve;
pub mod service;
pub mod settings;
pub mod solver;
pub mod telemetry;
pub mod text;
pub mod throttle;
pub mod tls;
pub mod traces;
pub mod unpack;
pub mod unread;
pub mod uploads;
pub mod watched;

use std::time::Duration;

use crds::folders::Installation;
use scorer::store::Store;
use tokio_util::task::TaskTracker;

use auth::Judge;
use cluster::Cluster;
use fullness::Fullness;
use grants::Grants;
use identity::Identities;
use service::StatusCache;
use throttle::{Rates, Throttle};

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
