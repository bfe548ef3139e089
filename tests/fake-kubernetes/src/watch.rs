//! A watch: a stream of what changes.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use futures::Stream;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::answer::shown;
use crate::call::Call;
use crate::objects::Change;
use crate::refusal::Refusal;
use crate::selector::Selection;
use crate::{Shared, State};

/// How long a watch lasts whose client does not say.
const USUAL_SECONDS: u64 = 1800;

struct Watch {
    shared: Arc<Shared>,
    news: tokio::sync::watch::Receiver<()>,
    selection: Selection,
    metadata_only: bool,
    bookmarks: bool,
    epoch: u64,
    ends: Instant,
    /// All up to this version is in `lines`.
    seen: u64,
    lines: VecDeque<String>,
    over: bool,
}

/// Answers a watch from the version that the call names, or else from what there is.
pub(crate) fn begin(shared: &Arc<Shared>, call: &Call) -> Result<Body, Refusal> {
    let number = |name: &str| call.query.get(name).and_then(|text| text.parse::<u64>().ok());
    let state = shared.state();
    let mut watch = Watch {
        shared: shared.clone(),
        news: shared.news.subscribe(),
        selection: Selection::of(call)?,
        metadata_only: call.metadata_only,
        bookmarks: call.asks("allowWatchBookmarks"),
        epoch: state.epoch,
        ends: Instant::now() + Duration::from_secs(number("timeoutSeconds").unwrap_or(USUAL_SECONDS)),
        seen: number("resourceVersion").unwrap_or(0),
        lines: VecDeque::new(),
        over: false,
    };
    if watch.seen == 0 || call.asks("sendInitialEvents") {
        watch.tell_what_there_is(&state, &call.resource);
        if call.asks("sendInitialEvents") {
            watch.bookmark(json!({"k8s.io/initial-events-end": "true"}));
        }
    }
    drop(state);
    Ok(Body::from_stream(watch.into_stream()))
}

impl Watch {
    fn into_stream(self) -> impl Stream<Item = Result<String, Infallible>> {
        futures::stream::unfold(self, |mut watch| async {
            let line = watch.next().await?;
            Some((Ok(line), watch))
        })
    }

    async fn next(&mut self) -> Option<String> {
        loop {
            if let Some(line) = self.lines.pop_front() {
                return Some(line);
            }
            if self.over {
                return None;
            }
            self.news.mark_unchanged();
            self.catch_up();
            if !self.lines.is_empty() || self.over {
                continue;
            }
            tokio::select! {
                _ = self.news.changed() => {}
                () = tokio::time::sleep_until(self.ends) => {
                    self.over = true;
                    if self.bookmarks {
                        self.bookmark(json!({}));
                    }
                }
            }
        }
    }

    fn tell_what_there_is(&mut self, state: &State, resource: &crate::call::Resource) {
        for (key, object) in state.objects.all(resource) {
            if self.selection.contains(key, object) {
                self.tell("ADDED", object);
            }
        }
        self.seen = state.objects.version();
    }

    fn catch_up(&mut self) {
        let shared = self.shared.clone();
        let state = shared.state();
        if state.epoch != self.epoch {
            self.over = true;
            return;
        }
        let Some(changes) = state.objects.since(self.seen) else {
            let message = format!("too old resource version: {} ({})", self.seen, state.objects.version());
            let refusal = Refusal::new(410, "Expired", &message);
            self.lines.push_back(format!("{}\n", json!({"type": "ERROR", "object": refusal.body()})));
            self.over = true;
            return;
        };
        for change in changes {
            if let Some(what) = self.kind_of(change) {
                self.tell(what, &change.after);
            }
        }
        self.seen = state.objects.version();
    }

    /// What a change is to this watch: what comes to fit its selectors is added, what ceases to is deleted.
    fn kind_of(&self, change: &Change) -> Option<&'static str> {
        let fits = |object: &Value| self.selection.contains(&change.key, object);
        let fitted = change.before.as_ref().is_some_and(fits);
        match (fitted, !change.gone && fits(&change.after)) {
            (false, true) => Some("ADDED"),
            (true, true) => Some("MODIFIED"),
            (true, false) => Some("DELETED"),
            (false, false) => None,
        }
    }

    fn tell(&mut self, what: &str, object: &Value) {
        let object = shown(object, self.metadata_only);
        self.lines.push_back(format!("{}\n", json!({"type": what, "object": object})));
    }

    fn bookmark(&mut self, annotations: Value) {
        let object = json!({"apiVersion": "v1", "kind": "Bookmark",
            "metadata": {"resourceVersion": self.seen.to_string(), "annotations": annotations}});
        self.lines.push_back(format!("{}\n", json!({"type": "BOOKMARK", "object": object})));
    }
}
