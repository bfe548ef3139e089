//! The Kubernetes API in memory, for unit tests of controllers.
//!
//! A test makes objects as somebody else would, hands [`FakeKubernetes::client`] to the code under test, and looks at
//! what the code made of them and which requests it took. [`Fault`]s tell how the API server misbehaves.
//!
//! It keeps to what the real API server does with resource versions, generations, the status subresource, finalizers,
//! preconditions, owner references and watches. It checks no schema, plays no controller but the garbage collector, and
//! knows no field managers: an apply patch creates or merges, and never removes a field.

mod answer;
mod call;
mod fault;
mod objects;
mod refusal;
mod selector;
mod watch;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use kube::Client;
use serde_json::Value;

pub use call::{Request, Verb};
pub use fault::Fault;
pub use refusal::Refusal;

use call::Resource;
use objects::Objects;

/// How long [`FakeKubernetes::until`] waits for what a test expects.
const PATIENCE: Duration = Duration::from_secs(20);

/// A handle on the API; clones share what is in it.
#[derive(Clone)]
pub struct FakeKubernetes {
    namespace: String,
    shared: Arc<Shared>,
}

/// What all handles and all watches share.
struct Shared {
    state: Mutex<State>,
    /// Told of each change and each request.
    news: tokio::sync::watch::Sender<()>,
}

struct State {
    objects: Objects,
    faults: Vec<Fault>,
    requests: Vec<Request>,
    /// Rises when all open watches end.
    epoch: u64,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does something with the state and tells whoever waits.
    fn with<T>(&self, work: impl FnOnce(&mut State) -> T) -> T {
        let result = work(&mut self.state());
        self.news.send_replace(());
        result
    }
}

impl FakeKubernetes {
    /// An API with one namespace, and nothing in it.
    pub fn new(namespace: &str) -> Self {
        let mut objects = Objects::default();
        objects.add_namespace(namespace);
        let state = State { objects, faults: Vec::new(), requests: Vec::new(), epoch: 0 };
        let shared = Shared { state: Mutex::new(state), news: tokio::sync::watch::Sender::new(()) };
        Self { namespace: namespace.into(), shared: Arc::new(shared) }
    }

    /// A client of this API. To be called within a Tokio runtime.
    pub fn client(&self) -> Client {
        let shared = self.shared.clone();
        let service = tower::service_fn(move |request| answer::answer(shared.clone(), request));
        Client::new(service, self.namespace.clone())
    }

    /// Creates an object as somebody else, its status included, and gives it as it then is.
    pub fn create(&self, plural: &str, object: Value) -> Value {
        let resource = self.resource(plural);
        self.shared
            .with(|state| state.objects.create(&resource, object, true))
            .unwrap_or_else(|refusal| panic!("{plural} cannot be created: {}", refusal.message()))
    }

    /// An object as it is now.
    pub fn get(&self, plural: &str, name: &str) -> Option<Value> {
        self.shared.state().objects.get(&self.resource(plural).key(name)).cloned()
    }

    /// All objects of a kind, by name.
    pub fn all(&self, plural: &str) -> Vec<Value> {
        self.shared.state().objects.all(&self.resource(plural)).map(|(_, object)| object.clone()).collect()
    }

    /// Changes anything of an object as somebody else, and gives it as it then is. Its resource version always rises.
    pub fn change(&self, plural: &str, name: &str, change: impl FnOnce(&mut Value)) -> Value {
        let key = self.resource(plural).key(name);
        self.shared
            .with(|state| state.objects.change(key, change))
            .unwrap_or_else(|| panic!("there is no {plural}/{name} to change"))
    }

    /// Deletes an object as somebody else, and what it owns. With finalizers it stays, marked as deleted.
    pub fn delete(&self, plural: &str, name: &str) {
        let resource = self.resource(plural);
        let options = serde_json::json!({"propagationPolicy": "Background"});
        self.shared
            .with(|state| state.objects.delete(&resource, name, &options))
            .unwrap_or_else(|refusal| panic!("{plural}/{name} cannot be deleted: {}", refusal.message()));
    }

    /// All Events, of either API group.
    pub fn events(&self) -> Vec<Value> {
        self.all("events")
    }

    /// The requests of clients so far, those that were refused included; what the test does by this handle is none.
    pub fn requests(&self) -> Vec<Request> {
        self.shared.state().requests.clone()
    }

    /// Forgets the requests so far.
    pub fn clear_requests(&self) {
        self.shared.state().requests.clear();
    }

    /// Adds a fault. Of several that fit a request, the one added first counts.
    pub fn fail(&self, fault: Fault) {
        let ends_watches = fault.ends_watches();
        self.shared.with(|state| state.faults.push(fault));
        if ends_watches {
            self.end_watches();
        }
    }

    /// Removes all faults. Requests that hang already never get an answer.
    pub fn heal(&self) {
        self.shared.state().faults.clear();
    }

    /// Ends all open watches, as an API server does now and then; clients begin new ones.
    pub fn end_watches(&self) {
        self.shared.with(|state| state.epoch += 1);
    }

    /// Forgets what happened so far: whoever watches from before is told that its resource version has expired.
    pub fn forget_history(&self) {
        self.shared.with(|state| state.objects.forget_history());
    }

    /// Waits until what a test looks for is there; looks anew at each change and each request.
    ///
    /// # Panics
    /// After 20 s, with `what` was waited for.
    pub async fn until<T>(&self, what: &str, look: impl Fn(&Self) -> Option<T>) -> T {
        let mut news = self.shared.news.subscribe();
        let seen = async {
            loop {
                news.mark_unchanged();
                if let Some(found) = look(self) {
                    return found;
                }
                if news.changed().await.is_err() {
                    std::future::pending::<()>().await;
                }
            }
        };
        let seen = tokio::time::timeout(PATIENCE, seen).await;
        seen.unwrap_or_else(|_| panic!("waited {PATIENCE:?} for: {what}; requests: {:#?}", self.requests()))
    }

    /// By plural alone: the group only matters for what refusals say.
    fn resource(&self, plural: &str) -> Resource {
        Resource { group: String::new(), namespace: self.namespace.clone(), plural: plural.into() }
    }
}
