//! Waits for a store that is away, overloaded or full: for those whose work is costly to do again.

use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use super::StoreError;

/// The first pause; each is twice as long as the one before, up to the longest: so long after the store's return the work
/// goes on at the latest.
const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(15);
/// For so long it is waited for what waiting may mend, but hardly does: a store refuses while its own keys are exchanged. New
/// keys of ours reach a pod when it is started again, which is why it must not wait for hours.
const BRIEFLY: Duration = Duration::from_secs(120);
/// While it waits, it says so once in a while.
const LOG_EVERY: Duration = Duration::from_secs(60);

/// For how long each request waits for the store. All clones tell together whether any waits.
#[derive(Clone, Debug)]
pub(super) struct Patience {
    limit: Duration,
    waits: Arc<Mutex<Waits>>,
}

/// Requests that wait at this moment.
#[derive(Debug, Default)]
struct Waits {
    requests: usize,
    since: Option<(Instant, SystemTime)>,
    /// What is wrong, and what is waited for.
    trouble: Option<(String, &'static str)>,
    logged: Option<Instant>,
}

impl Waits {
    /// For how long there has been waiting.
    fn seconds(&self) -> u64 {
        self.since.map_or(0, |(since, _)| since.elapsed().as_secs())
    }
}

/// For how long an error is waited for.
enum Hope {
    /// As long as there is patience.
    Long,
    Brief,
    None,
}

fn hope(error: &StoreError) -> Hope {
    match error {
        StoreError::Unavailable { .. } | StoreError::Full { .. } => Hope::Long,
        StoreError::Denied { .. } | StoreError::Truncated { .. } => Hope::Brief,
        _ => Hope::None,
    }
}

impl Patience {
    pub fn new(limit: Duration) -> Self {
        Self { limit, waits: Arc::default() }
    }

    /// Sends a request again and again, until the store answers or patience is at its end. Then the last error is the answer.
    pub async fn wait<T, F, Fut>(&self, mut request: F) -> Result<T, StoreError>
    where
        F: FnMut() -> Fut,
        Fut: Future<Output = Result<T, StoreError>>,
    {
        let mut error = match request().await {
            Ok(answer) => return Ok(answer),
            Err(error) if matches!(hope(&error), Hope::None) => return Err(error),
            Err(error) => error,
        };
        let waiting = Waiting::begin(self);
        let (mut pause, mut brief_since) = (FIRST_PAUSE, None);
        loop {
            let left = match hope(&error) {
                Hope::Long => {
                    brief_since = None;
                    self.limit.saturating_sub(waiting.since.elapsed())
                }
                Hope::Brief => {
                    let since = *brief_since.get_or_insert_with(Instant::now);
                    self.limit.min(BRIEFLY).saturating_sub(since.elapsed())
                }
                Hope::None => Duration::ZERO,
            };
            if left.is_zero() {
                return Err(error);
            }
            waiting.tell(&error);
            // not all at the same moment
            let jittered = pause.mul_f64(0.5 + rand::random::<f64>() / 2.0);
            tokio::time::sleep(jittered.min(left)).await;
            pause = (2 * pause).min(LONGEST_PAUSE);
            error = match request().await {
                Ok(answer) => return Ok(answer),
                Err(error) => error,
            };
        }
    }

    /// What is waited for, and since when; None when nothing is. It stays the same for as long as the same is waited for:
    /// whoever writes it down does so once.
    pub fn waiting(&self) -> Option<String> {
        let waits = lock(&self.waits);
        let (trouble, until) = waits.trouble.as_ref()?;
        let since = time_of_day(waits.since?.1);
        Some(format!("{trouble}; the pod waits since {since} and goes on when {until}"))
    }
}

/// One request that waits, until it is dropped.
struct Waiting {
    waits: Arc<Mutex<Waits>>,
    since: Instant,
}

impl Waiting {
    fn begin(patience: &Patience) -> Self {
        let since = Instant::now();
        let mut waits = lock(&patience.waits);
        waits.requests += 1;
        waits.since.get_or_insert((since, SystemTime::now()));
        Self { waits: Arc::clone(&patience.waits), since }
    }

    fn tell(&self, error: &StoreError) {
        let mut waits = lock(&self.waits);
        waits.trouble = Some(trouble(error));
        if waits.logged.is_none_or(|logged| logged.elapsed() >= LOG_EVERY) {
            waits.logged = Some(Instant::now());
            let seconds = waits.seconds();
            tracing::warn!(%error, seconds, "waiting for the object store");
        }
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        let mut waits = lock(&self.waits);
        waits.requests -= 1;
        if waits.requests == 0 {
            let seconds = waits.seconds();
            tracing::info!(seconds, "no longer waiting for the object store");
            *waits = Waits::default();
        }
    }
}

fn lock(waits: &Mutex<Waits>) -> MutexGuard<'_, Waits> {
    waits.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What is wrong, and what is waited for.
fn trouble(error: &StoreError) -> (String, &'static str) {
    match error {
        StoreError::Unavailable { why, .. } => {
            // of a request that got no answer, the innermost cause tells most
            let cause = if why.starts_with("dispatch failure") { why.rsplit(": ").next() } else { None };
            (format!("the object store is not available ({})", cause.unwrap_or(why)), "it answers")
        }
        StoreError::Full { .. } => {
            ("the object store has no space left: make room or enlarge its volume".into(), "there is room")
        }
        StoreError::Denied { what } => {
            (format!("the object store refuses {what}: check its credentials"), "it permits that")
        }
        error => (error.to_string(), "it gives the whole object"),
    }
}

/// Patience ends within a day, so that the time of day is enough.
fn time_of_day(time: SystemTime) -> String {
    let seconds = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs() % 86_400;
    format!("{:02}:{:02}:{:02} UTC", seconds / 3600, seconds / 60 % 60, seconds % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn away() -> StoreError {
        let why = "dispatch failure: io error: tcp connect error: Connection refused (os error 111)".into();
        StoreError::Unavailable { what: "reading \"a\"".into(), why }
    }

    #[tokio::test]
    async fn it_waits_for_what_passes_and_says_so_meanwhile() {
        let patience = Patience::new(Duration::from_secs(600));
        let mut attempts = 0;
        let done = patience.wait(|| {
            attempts += 1;
            let (attempt, seen) = (attempts, patience.waiting());
            async move {
                match attempt {
                    1 => Err(away()),
                    2 => Err(StoreError::Full { what: "\"a\"".into() }),
                    _ => Ok(seen),
                }
            }
        });
        let seen = done.await.unwrap().unwrap();
        assert!(seen.contains("no space left") && seen.contains("the pod waits since "), "{seen}");
        assert_eq!((attempts, patience.waiting()), (3, None));
    }

    #[tokio::test]
    async fn its_patience_ends_and_what_does_not_pass_is_told_at_once() {
        let short = Patience::new(Duration::from_millis(300));
        let (start, mut attempts) = (Instant::now(), 0);
        let ended: Result<(), _> = short
            .wait(|| {
                attempts += 1;
                async { Err(away()) }
            })
            .await;
        assert!(matches!(ended, Err(StoreError::Unavailable { .. })) && attempts > 1);
        assert!(start.elapsed() >= Duration::from_millis(300));
        let long = Patience::new(Duration::from_secs(600));
        for lasting in [
            StoreError::NotFound { key: "a".into() },
            StoreError::Rejected { what: "a".into(), why: "b".into() },
            StoreError::UploadLost { key: "a".into() },
        ] {
            let mut lasting = Some(lasting);
            assert!(long.wait(|| std::future::ready(Err::<(), _>(lasting.take().unwrap()))).await.is_err());
        }
        assert_eq!(long.waiting(), None);
    }

    #[test]
    fn the_sentence_is_for_people() {
        let patience = Patience::new(Duration::from_secs(600));
        let waiting = Waiting::begin(&patience);
        assert_eq!(patience.waiting(), None);
        waiting.tell(&away());
        let at = SystemTime::UNIX_EPOCH + Duration::from_secs(86_400 * 20_000 + 7_265);
        lock(&patience.waits).since = Some((Instant::now(), at));
        let told = patience.waiting().unwrap();
        let expected = "the object store is not available (Connection refused (os error 111)); the pod waits since 02:01:05 \
                        UTC and goes on when it answers";
        assert_eq!(told, expected);
    }

    #[test]
    fn the_sentence_stays_the_same_while_the_same_is_waited_for() {
        let patience = Patience::new(Duration::from_secs(600));
        let first = Waiting::begin(&patience);
        first.tell(&away());
        lock(&patience.waits).since =
            Some((Instant::now(), SystemTime::UNIX_EPOCH + Duration::from_secs(86_399)));
        let told = patience.waiting();
        let second = Waiting::begin(&patience);
        second.tell(&away());
        assert!(told.as_ref().is_some_and(|told| told.contains("since 23:59:59 UTC")), "{told:?}");
        assert_eq!(patience.waiting(), told);
    }
}
