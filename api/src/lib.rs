//! The REST service: a drop-in replacement for the Anonlink Entity Service's REST API.
//!
//! Projects and runs are resources in the Kubernetes API, encodings and results are objects in the store, tokens
//! are computed: the service itself keeps no state, so that any number of replicas can be started and killed at
//! any time. It knows the two resources and the store; it must never know Jobs, pods or Secrets, nor look into
//! what it stores, beyond the checks that `scorer::ingest` makes while the data passes.
//!
//! Where to start reading: [`router`] lists the endpoints. Each room holds one kind of code:
//!
//! - [`endpoints`]: what clients call, a module for each resource.
//! - [`access`]: who may do what. [`access::allowed`] is in the signature of each handler that asks for a token.
//! - [`limits`]: what a request, a client, and all of them together may take.
//! - [`kubernetes`]: projects and runs in the Kubernetes API.
//! - [`resumable`]: uploads that go on after a broken connection, by the tus protocol.
//! - [`content`]: how formats, ranges, names and times are read and written.
//! - [`server`]: connections, and what holds for every request.
//! - [`document`]: the contract as an OpenAPI document.
//! - [`error`]: every answer that is not a success, and [`problem`] the kinds of these.

pub mod access;
pub mod content;
pub mod document;
pub mod endpoints;
pub mod error;
pub mod kubernetes;
pub mod limits;
pub mod problem;
pub mod resumable;
pub mod router;
pub mod server;
pub mod settings;

use std::sync::Arc;
use std::time::Duration;

use crds::folders::Installation;
use crds::webhook::AllowedUrls;
use scorer::store::Store;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use access::auth::Judge;
use access::creation::Creation;
use access::grants::Grants;
use access::identity::Identities;
use endpoints::service::StatusCache;
use kubernetes::cluster::Cluster;
use limits::addresses::Proxies;
use limits::fullness::Fullness;
use limits::lifetimes::Lifetimes;
use limits::places::{Places, Shares};
use limits::quotas::{Ledger, Quotas};
use limits::throttle::{Rates, Throttle};
use limits::underway::Underway;
use limits::waiting::{MostWaiting, Waiting};
use server::surroundings::Surroundings;

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
    /// Who may create projects.
    pub creation: Creation,
    /// Whether anybody may learn the ids of all projects.
    pub lists_all_projects: bool,
    /// One search for the projects of a token at a time: it takes processor time.
    pub searches: tokio::sync::Mutex<()>,
    /// Who the cluster's own users are, where they may read.
    pub identities: Option<Identities>,
    /// What a request may not exceed.
    pub limits: Limits,
    /// Memory that documents share.
    pub documents: limits::documents::Documents,
    /// Whose word about a client's address counts.
    pub proxies: Proxies,
    /// How long what clients create is kept.
    pub lifetimes: Lifetimes,
    /// How many requests there may be.
    pub throttle: Throttle,
    /// Whether the store and Kubernetes answer.
    pub surroundings: Surroundings,
    /// How many uploads there may be.
    pub places: Arc<Places>,
    /// How much there may be of what clients create.
    pub ledger: Ledger,
    /// Whether the store was full a moment ago.
    pub fullness: Fullness,
    /// Which party has an upload under way.
    pub underway: Underway,
    /// Uploads in progress: they go on, to a clean end, when their connection breaks.
    pub uploads: TaskTracker,
    /// The last answer to `/status`.
    pub status: StatusCache,
    /// Requests that wait for something to change.
    pub waiting: Arc<Waiting>,
    /// Cancelled when the service is asked to stop: then nobody waits any more.
    pub stopping: CancellationToken,
    /// Which webhooks projects may have.
    pub webhook_urls: AllowedUrls,
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
    /// After how long without new bytes a resumable upload expires.
    pub upload_expiry: Duration,
    /// How many requests there may be.
    pub rates: Rates,
    /// How many uploads there may be.
    pub uploads: Shares,
    /// How much there may be of what clients create.
    pub quotas: Quotas,
    /// How many requests may wait for something to change.
    pub waiting: MostWaiting,
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
        let (throttle, places) = (Throttle::new(limits.rates), Places::new(limits.uploads));
        let waiting = Waiting::new(limits.waiting);
        Self {
            cluster,
            store,
            installation,
            grants: None,
            ledger: Ledger::new(limits.quotas, judge.key().clone()),
            judge,
            creation: Creation::Anyone,
            lists_all_projects: false,
            searches: tokio::sync::Mutex::default(),
            identities: None,
            limits,
            documents: limits::documents::Documents::default(),
            proxies: Proxies::default(),
            lifetimes: Lifetimes::default(),
            throttle,
            surroundings: Surroundings::default(),
            places,
            fullness: Fullness::default(),
            underway: Underway::default(),
            uploads,
            status,
            waiting,
            stopping: CancellationToken::new(),
            webhook_urls: AllowedUrls::default(),
        }
    }
}
