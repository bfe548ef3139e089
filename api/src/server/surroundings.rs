//! Whether what the service needs answers: the store, and Kubernetes. It is found out in the background, so that who asks
//! for what cannot be had is told at once, and all else is answered as ever.

use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use metrics::gauge;
use scorer::store::StoreError;
use tokio::time::timeout;

use crate::App;
use crate::error::Error;

/// How often it is found out.
pub const PAUSE: Duration = Duration::from_secs(5);
/// For how long a service that starts waits for its store at most, and how often it looks.
const START_PATIENCE: Duration = Duration::from_secs(30);
const START_PAUSE: Duration = Duration::from_millis(500);
/// No answer within this time counts as none.
const PATIENCE: Duration = Duration::from_secs(10);

/// What was last seen of all that the service needs.
#[derive(Debug, Default)]
pub struct Surroundings(Mutex<Seen>);

#[derive(Clone, Debug, Default)]
struct Seen {
    store: State,
    kubernetes: State,
}

/// What was last seen of one of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum State {
    /// It answers, as far as is known.
    #[default]
    Answers,
    /// It does not answer, and may do so again by itself: why.
    Away(String),
    /// It refuses, and somebody has to put that right: why.
    Refuses(String),
}

impl Surroundings {
    /// Asks both once.
    pub async fn look(&self, app: &App) {
        let (store, kubernetes) =
            tokio::join!(timeout(PATIENCE, app.store.check()), timeout(PATIENCE, app.cluster.check()));
        self.store_answered(store.unwrap_or_else(|_| Err(silent_store())));
        let kubernetes = kubernetes.unwrap_or_else(|_| Err(Error::Unavailable("no answer".into())));
        self.note("kubernetes", |seen| &mut seen.kubernetes, kubernetes_state(kubernetes));
    }

    /// Notes what the store has answered to a check.
    pub fn store_answered(&self, answer: Result<(), StoreError>) {
        let state = match answer {
            Ok(()) => State::Answers,
            Err(error) if error.is_transient() => State::Away(error.to_string()),
            Err(error) => State::Refuses(error.to_string()),
        };
        self.note("store", |seen| &mut seen.store, state);
    }

    /// Lets through what needs the store.
    ///
    /// # Errors
    /// [`Error::StoreAway`] when the store did not answer a moment ago.
    pub fn store_is_needed(&self) -> Result<(), Error> {
        match &self.seen().store {
            State::Away(why) => Err(Error::StoreAway(why.clone())),
            State::Answers | State::Refuses(_) => Ok(()),
        }
    }

    /// What the store gives, or has begun to give; not waited for for long.
    ///
    /// # Errors
    /// [`Error::StoreAway`] when it does not answer; else those of what is asked.
    pub async fn of_store<T>(&self, asked: impl Future<Output = Result<T, StoreError>>) -> Result<T, Error> {
        self.store_is_needed()?;
        Ok(timeout(PATIENCE, asked).await.unwrap_or_else(|_| Err(silent_store()))?)
    }

    /// Waits until the store answers, but not for long: a service that starts beside its store is ready when uploads can be
    /// taken in, and one whose store is away is reachable all the same.
    pub async fn wait_at_start(&self, app: &App) {
        let waiting = async {
            loop {
                self.look(app).await;
                if self.seen().store == State::Answers {
                    return;
                }
                tokio::time::sleep(START_PAUSE).await;
            }
        };
        // what it has found is told by the checks
        let _ = timeout(START_PATIENCE, waiting).await;
    }

    /// Whether all answer, and what is to be said of each.
    pub fn told(&self) -> (bool, String) {
        let Seen { store, kubernetes } = self.seen().clone();
        let all = [&store, &kubernetes].into_iter().all(|state| *state == State::Answers);
        (all, format!("store: {store}\nkubernetes: {kubernetes}\n"))
    }

    fn note(&self, name: &'static str, place: impl Fn(&mut Seen) -> &mut State, state: State) {
        let answers = state == State::Answers;
        gauge!("linkage_api_dependency_up", "dependency" => name).set(if answers { 1.0 } else { 0.0 });
        let mut seen = self.seen();
        let before = std::mem::replace(place(&mut seen), state.clone());
        drop(seen);
        if answers != (before == State::Answers) {
            if answers {
                tracing::info!(dependency = name, "answers again");
            } else {
                tracing::warn!(dependency = name, %state, "does not answer; what does not need it goes on");
            }
        }
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn silent_store() -> StoreError {
    let why = format!("no answer within {} seconds", PATIENCE.as_secs());
    StoreError::Unavailable { what: "a check".into(), why }
}

fn kubernetes_state(answer: Result<(), Error>) -> State {
    match answer {
        Ok(()) => State::Answers,
        Err(Error::Unavailable(why)) => State::Away(why),
        Err(error) => State::Refuses(error.to_string()),
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Answers => f.write_str("answers"),
            Self::Away(why) => write!(f, "away: {why}"),
            Self::Refuses(why) => write!(f, "refuses: {why}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn away() -> StoreError {
        StoreError::Unavailable { what: "a check".into(), why: "connection refused".into() }
    }

    #[test]
    fn what_needs_the_store_waits_only_while_it_is_away() {
        let surroundings = Surroundings::default();
        assert!(surroundings.store_is_needed().is_ok(), "nothing is known yet");
        surroundings.store_answered(Err(away()));
        assert!(matches!(surroundings.store_is_needed(), Err(Error::StoreAway(_))));
        // trying again would not help: each request gets the store's own refusal
        surroundings.store_answered(Err(StoreError::Denied { what: "a check".into() }));
        assert!(surroundings.store_is_needed().is_ok());
        surroundings.store_answered(Ok(()));
        assert!(surroundings.store_is_needed().is_ok());
    }

    #[test]
    fn it_is_told_what_does_not_answer() {
        let surroundings = Surroundings::default();
        assert_eq!(surroundings.told(), (true, "store: answers\nkubernetes: answers\n".into()));
        surroundings.store_answered(Err(away()));
        let (all, told) = surroundings.told();
        assert!(!all && told.contains("store: away") && told.contains("kubernetes: answers"), "{told}");
    }
}
