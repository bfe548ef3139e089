//! What Kubernetes has told of one kind of resource, kept up to date by a watch: reading it costs the API server
//! nothing.
//!
//! It answers only while it is as new as can be told: once all is listed, when the watch has not failed of late, and
//! not about a resource that this replica has just written itself, as that may not have come back yet. Otherwise it
//! has no answer, and Kubernetes itself is to be asked.

use std::collections::HashMap;
use std::fmt::Debug;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::{Stream, StreamExt};
use kube::runtime::reflector::{self, Lookup, ObjectRef};
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Api, Resource, ResourceExt};
use serde::de::DeserializeOwned;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::kubernetes::news::News;

/// Seconds after which a watch is started anew: when its connection is dead, that is noticed soon after.
const WATCH_SECONDS: u32 = 20;
/// Resources that are listed at a time: some may be as large as Kubernetes allows it, and a page is in memory as a whole.
const PAGE: u32 = 25;
/// For how long a watch that failed is not believed: longer than the longest pause before it is tried again, so that
/// it has either failed once more by then, or is in place.
const DISTRUST: Duration = Duration::from_secs(45);
/// For how long Kubernetes itself is asked about what this replica has written.
const WRITTEN: Duration = Duration::from_secs(5);

/// All resources of a kind in a namespace.
pub struct Watched<K: Lookup<DynamicType = ()> + Clone + 'static> {
    resources: reflector::Store<K>,
    namespace: String,
    state: Mutex<State>,
    news: News,
}

#[derive(Default)]
struct State {
    listed: bool,
    failed: Option<Instant>,
    written: HashMap<String, Instant>,
}

impl<K> Watched<K>
where
    K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned + Send + Sync + 'static,
{
    /// Starts watching, for as long as the program runs.
    /// Of each resource it keeps what `forget` leaves.
    pub fn start(api: Api<K>, namespace: &str, forget: fn(&mut K)) -> Arc<Self> {
        let config = watcher::Config::default().timeout(WATCH_SECONDS).page_size(PAGE);
        Self::follow(watcher(api, config).default_backoff(), namespace, forget)
    }

    fn follow<S>(events: S, namespace: &str, forget: fn(&mut K)) -> Arc<Self>
    where
        S: Stream<Item = Result<watcher::Event<K>, watcher::Error>> + Send + 'static,
    {
        let (resources, writer) = reflector::store();
        let watched = Arc::new(Self {
            resources,
            namespace: namespace.into(),
            state: Mutex::default(),
            news: News::default(),
        });
        let noted = watched.clone();
        // who manages which field is of no use here, and may be most of a resource
        let events = events
            .modify(move |resource| {
                resource.managed_fields_mut().clear();
                forget(resource);
            })
            .reflect(writer);
        tokio::spawn(events.for_each(move |event| {
            noted.note(event.as_ref());
            std::future::ready(())
        }));
        watched
    }

    fn note(&self, event: Result<&watcher::Event<K>, &watcher::Error>) {
        let mut state = self.state();
        match event {
            Ok(watcher::Event::Init) => state.listed = false,
            Ok(watcher::Event::InitDone) => {
                state.listed = true;
                self.news.tell_all();
            }
            Ok(watcher::Event::InitApply(_)) => {}
            Ok(watcher::Event::Apply(resource) | watcher::Event::Delete(resource)) => {
                self.news.tell(&resource.name_any());
            }
            Err(error) => {
                tracing::warn!(%error, kind = %K::kind(&()), "the watch broke off");
                state.failed = Some(Instant::now());
            }
        }
    }

    /// The resource of that name. None when there is none yet, or when it cannot be told.
    pub fn get(&self, name: &str) -> Option<Arc<K>> {
        let state = self.state();
        if !state.is_believed() || state.is_written(name) {
            return None;
        }
        drop(state);
        self.resources.get(&ObjectRef::new(name).within(&self.namespace))
    }

    /// The resource of that name as it was told last, whether or not that is believed. None when there is none, or all are
    /// being listed anew.
    pub fn told(&self, name: &str) -> Option<Arc<K>> {
        let listed = self.state().listed;
        self.resources.get(&ObjectRef::new(name).within(&self.namespace)).filter(|_| listed)
    }

    /// Tells when there are news of the resource of that name, from now on.
    pub fn news_of(&self, name: &str) -> watch::Receiver<()> {
        self.news.of(name)
    }

    /// All resources, in no order. None when that cannot be told.
    pub fn all(&self) -> Option<Vec<Arc<K>>> {
        let state = self.state();
        let names = state.written.keys();
        if !state.is_believed() || names.into_iter().any(|name| state.is_written(name)) {
            return None;
        }
        drop(state);
        Some(self.resources.state())
    }

    /// All resources as far as they are known, which may be a moment behind. None before all were listed for the first time.
    pub fn known(&self) -> Option<Vec<Arc<K>>> {
        self.state().listed.then(|| self.resources.state())
    }

    /// This replica has just written the resource of that name, or is about to.
    pub fn wrote(&self, name: &str) {
        let mut state = self.state();
        state.written.retain(|_, when| when.elapsed() < WRITTEN);
        state.written.insert(name.to_owned(), Instant::now());
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn is_believed(&self) -> bool {
        self.listed && self.failed.is_none_or(|when| when.elapsed() > DISTRUST)
    }

    fn is_written(&self, name: &str) -> bool {
        self.written.get(name).is_some_and(|when| when.elapsed() < WRITTEN)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crds::LinkageRun;
    use futures::channel::mpsc::{UnboundedSender, unbounded};
    use serde_json::json;
    use watcher::Event;

    type Told = Result<Event<LinkageRun>, watcher::Error>;

    fn run(name: &str, threshold: f64) -> LinkageRun {
        serde_json::from_value(json!({
            "apiVersion": "pprl.dev/v1alpha1", "kind": "LinkageRun",
            "metadata": {"name": name, "namespace": "ns", "managedFields": [{"manager": "m"}]},
            "spec": {"projectRef": {"name": "p"}, "threshold": threshold}
        }))
        .unwrap()
    }

    fn watched() -> (UnboundedSender<Told>, Arc<Watched<LinkageRun>>) {
        let (sender, events) = unbounded();
        (sender, Watched::follow(events, "ns", LinkageRun::forget_texts))
    }

    async fn tell(events: &UnboundedSender<Told>, told: impl IntoIterator<Item = Told>) {
        for event in told {
            events.unbounded_send(event).unwrap();
        }
        for _ in 0..20 {
            tokio::task::yield_now().await;
        }
    }

    fn listed() -> [Told; 3] {
        [Ok(Event::Init), Ok(Event::InitApply(run("a", 0.5))), Ok(Event::InitDone)]
    }

    #[tokio::test(start_paused = true)]
    async fn it_answers_once_all_is_listed_and_follows_changes() {
        let (events, watched) = watched();
        tell(&events, [Ok(Event::Init), Ok(Event::InitApply(run("a", 0.5)))]).await;
        assert!(watched.get("a").is_none() && watched.all().is_none());
        tell(&events, [Ok(Event::InitDone)]).await;
        assert_eq!(watched.get("a").unwrap().spec.threshold, 0.5);
        assert!(watched.get("a").unwrap().managed_fields().is_empty());
        tell(&events, [Ok(Event::Apply(run("a", 0.6))), Ok(Event::Apply(run("b", 0.7)))]).await;
        assert_eq!(watched.get("a").unwrap().spec.threshold, 0.6);
        assert_eq!(watched.all().unwrap().len(), 2);
        tell(&events, [Ok(Event::Delete(run("a", 0.6)))]).await;
        assert!(watched.get("a").is_none());
        // listed anew, as after a long break: what was known is not believed meanwhile
        tell(&events, [Ok(Event::Init)]).await;
        assert!(watched.get("b").is_none() && watched.all().is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn no_text_that_a_client_chose_is_kept() {
        let (sender, events) = unbounded();
        let watched: Arc<Watched<crds::LinkageProject>> =
            Watched::follow(events, "ns", crds::LinkageProject::forget_texts);
        let large = "x".repeat(900_000);
        let project = |name: &str| {
            let project = json!({
                "apiVersion": "pprl.dev/v1alpha1", "kind": "LinkageProject",
                "metadata": {"name": name, "namespace": "ns"},
                "spec": {"resultType": "Groups", "parties": [{"name": "a"}, {"name": "b"}], "title": large,
                    "notes": large, "encoding": {"bits": 1024, "schema": {"large": large}}}
            });
            serde_json::from_value(project).unwrap()
        };
        sender.unbounded_send(Ok(Event::Init)).unwrap();
        for n in 0..60 {
            sender.unbounded_send(Ok(Event::InitApply(project(&format!("p{n}"))))).unwrap();
        }
        sender.unbounded_send(Ok(Event::InitDone)).unwrap();
        sender.unbounded_send(Ok(Event::Apply(project("late")))).unwrap();
        while watched.get("late").is_none() {
            tokio::task::yield_now().await;
        }
        let kept = watched.all().unwrap();
        assert_eq!(kept.len(), 61);
        for project in kept {
            assert!(serde_json::to_string(&*project).unwrap().len() < 1_000);
            assert_eq!(project.spec.encoding.as_ref().unwrap().bits, Some(1024));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_watch_that_failed_is_not_believed_for_a_while() {
        let (events, watched) = watched();
        tell(&events, listed()).await;
        tell(&events, [Err(watcher::Error::NoResourceVersion)]).await;
        assert!(watched.get("a").is_none() && watched.all().is_none());
        tokio::time::advance(DISTRUST + Duration::from_secs(1)).await;
        assert!(watched.get("a").is_some() && watched.all().is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_written_here_is_asked_for_anew() {
        let (events, watched) = watched();
        tell(&events, listed()).await;
        tell(&events, [Ok(Event::Apply(run("b", 0.7)))]).await;
        watched.wrote("a");
        assert!(watched.get("a").is_none() && watched.all().is_none());
        assert!(watched.get("b").is_some());
        tokio::time::advance(WRITTEN).await;
        assert!(watched.get("a").is_some() && watched.all().is_some());
    }
}
