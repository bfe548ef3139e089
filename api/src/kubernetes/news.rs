//! Wakes those who wait for news of a resource.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

/// Who waits for news, by the resource's name. A name is kept only while somebody waits, or until the next news.
#[derive(Default)]
pub struct News(Mutex<HashMap<String, watch::Sender<()>>>);

impl News {
    /// Tells when there are news of the resource of that name, from now on.
    pub fn of(&self, name: &str) -> watch::Receiver<()> {
        self.names().entry(name.to_owned()).or_insert_with(|| watch::Sender::new(())).subscribe()
    }

    /// There are news of the resource of that name.
    pub fn tell(&self, name: &str) {
        let mut names = self.names();
        if names.get(name).is_some_and(|waiting| waiting.send(()).is_err()) {
            names.remove(name); // nobody waits
        }
    }

    /// There may be news of all resources.
    pub fn tell_all(&self) {
        self.names().retain(|_, waiting| waiting.send(()).is_ok());
    }

    fn names(&self) -> MutexGuard<'_, HashMap<String, watch::Sender<()>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn those_who_wait_for_a_name_are_told_and_nobody_else_is() {
        let news = News::default();
        let (mut first, mut second, other) = (news.of("a"), news.of("a"), news.of("b"));
        news.tell("a");
        assert!(
            first.has_changed().unwrap() && second.has_changed().unwrap() && !other.has_changed().unwrap()
        );
        first.mark_unchanged();
        second.mark_unchanged();
        news.tell_all();
        assert!(
            first.has_changed().unwrap() && second.has_changed().unwrap() && other.has_changed().unwrap()
        );
    }

    #[test]
    fn names_that_nobody_waits_for_are_forgotten() {
        let news = News::default();
        for name in ["a", "b", "c"] {
            drop(news.of(name));
        }
        news.tell("a");
        assert_eq!(news.names().len(), 2);
        let _waits = news.of("c");
        news.tell_all();
        assert_eq!(news.names().len(), 1);
    }
}
