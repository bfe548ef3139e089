//! How far a run is, from what its pods and its Job say.

use crds::conditions::PendingReason;
use crds::{LinkageRunStatus, RunProgress, RunStage};
use scorer::progress::Stage;

use super::failure;
use super::pinned::Pinned;
use super::view::RunView;
use crate::jobs::JobState;
use crate::pods::{PodPhase, PodView};

/// What is told of a run whose Job is there.
#[derive(Clone, Debug, PartialEq)]
pub struct Told {
    /// At which stage the run is.
    pub stage: RunStage,
    /// The reason.
    pub reason: PendingReason,
    /// A sentence for people.
    pub message: String,
    /// What somebody should look at: it is in the message, too.
    pub warning: Option<String>,
}

/// Pairs of records of different parties: what a run without blocking compares.
pub fn all_comparisons(records: &[u64]) -> u64 {
    let mut before = 0u128;
    let mut pairs = 0u128;
    for &records in records {
        pairs += before * u128::from(records);
        before += u128::from(records);
    }
    u64::try_from(pairs).unwrap_or(u64::MAX)
}

/// Updates progress and pairs in the status, never downwards, and says at which stage the run is.
pub fn update(view: &RunView, pinned: &Pinned, status: &mut LinkageRunStatus) -> Told {
    count(view, pinned, status);
    let shards = pinned.shards.max(1);
    let reports = || view.pods.iter().filter_map(|pod| pod.progress.as_ref());
    // A single shard's pod solves, too. When it has ended, it reports nothing any more, and its summary is yet to be read.
    let has_solved = shards == 1
        && (view.finished_shards > 0 || view.pods.iter().any(|pod| pod.phase == PodPhase::Succeeded));
    let is_solving =
        view.solve.is_some() || has_solved || reports().any(|report| report.stage == Stage::Solving);
    let is_started =
        view.pods.iter().any(|pod| !matches!(pod.phase, PodPhase::Pending(_))) || view.finished_shards > 0;
    let (stage, reason, message) = if is_solving {
        let message = format!("the pairs are being solved and the result written{}", mask_note(&view.pods));
        (RunStage::Solving, PendingReason::Solving, message)
    } else if is_started {
        let message = format!("{} of {shards} shards are done", view.finished_shards.min(shards));
        (RunStage::Scoring, PendingReason::Scoring, message)
    } else {
        (RunStage::Queued, PendingReason::Queued, queued(view, shards))
    };
    with_trouble(Told { stage, reason, message, warning: None }, view)
}

fn count(view: &RunView, pinned: &Pinned, status: &mut LinkageRunStatus) {
    let reports = || view.pods.iter().filter_map(|pod| pod.progress.as_ref());
    let shards = pinned.shards.max(1);
    let total = match pinned.blocking {
        false => all_comparisons(&pinned.records()),
        true => reports()
            .map(|report| report.total_comparisons)
            .fold(0u64, u64::saturating_add)
            .max(known_total(status)),
    };
    // shards are of equal size, so a finished one counts as its share
    let finished = u128::from(total) * u128::from(view.finished_shards.min(shards)) / u128::from(shards);
    let running: u128 = reports().map(|report| u128::from(report.comparisons)).sum();
    let done = u64::try_from(finished + running).unwrap_or(u64::MAX).max(known_done(status)).min(total);
    if total > 0 {
        status.progress = Some(shown(done, total));
    }
    let pairs = reports().map(|report| report.pairs).fold(0u64, u64::saturating_add);
    if pairs > 0 {
        status.pairs = status.pairs.max(i64::try_from(pairs).ok());
    }
}

/// The progress of a run that begins; none with blocking, where only the pods can tell how much is to be compared.
pub fn at_start(pinned: &Pinned) -> Option<RunProgress> {
    let total = all_comparisons(&pinned.records());
    (!pinned.blocking && total > 0).then(|| shown(0, total))
}

/// What a run waits for whose Job is made.
pub fn waiting_for_pods(shards: u32) -> String {
    format!("waiting for {shards} pod{} to start", if shards == 1 { "" } else { "s" })
}

/// What a run waits for whose pods have not started.
fn queued(view: &RunView, shards: u32) -> String {
    let is_held = [&view.score, &view.solve].into_iter().flatten().any(|state| *state == JobState::Queued);
    let queue = view.run.spec.scheduling.as_ref().and_then(|scheduling| scheduling.queue_name.as_deref());
    match (is_held, queue) {
        (true, Some(queue)) => format!(
            "the Job is suspended and waits for queue {queue} to admit it; check with: kubectl get localqueue {queue}"
        ),
        (true, None) => "the Job is suspended, and somebody else has to resume it".into(),
        _ => waiting_for_pods(shards),
    }
}

/// Adds to the message what keeps pods from starting or going on.
pub fn with_trouble(told: Told, view: &RunView) -> Told {
    let trouble = no_pods(view)
        .or_else(|| lost(&view.pods))
        .or_else(|| waits(&view.pods))
        .or_else(|| waits_for_store(&view.pods))
        .or_else(|| failed(&view.pods));
    let Some(trouble) = trouble else { return told };
    Told { message: format!("{}; {trouble}", told.message), warning: Some(trouble), ..told }
}

fn no_pods(view: &RunView) -> Option<String> {
    view.no_pods.as_ref().map(|why| format!("Kubernetes does not let the Job make its pods: {why}"))
}

fn lost(pods: &[PodView]) -> Option<String> {
    let nodes: std::collections::BTreeSet<&str> =
        pods.iter().filter_map(|pod| pod.lost_on.as_deref()).collect();
    let count = pods.iter().filter(|pod| pod.lost_on.is_some()).count();
    let nodes: Vec<&str> = nodes.into_iter().collect();
    (count > 0).then(|| {
        format!(
            "{} on a node that does not answer ({}), and replaced if that stays so",
            number(count, "pod is", "pods are"),
            nodes.join(", ")
        )
    })
}

fn waits(pods: &[PodView]) -> Option<String> {
    let reasons: Vec<&str> = pods
        .iter()
        .filter_map(|pod| match &pod.phase {
            PodPhase::Pending(Some(why)) => Some(why.as_str()),
            _ => None,
        })
        .collect();
    let first = reasons.first()?;
    Some(format!("{}: {first}", number(reasons.len(), "pod waits", "pods wait")))
}

fn waits_for_store(pods: &[PodView]) -> Option<String> {
    let waiting: Vec<&str> =
        pods.iter().filter_map(|pod| pod.progress.as_ref()?.waiting.as_deref()).collect();
    let first = waiting.first()?;
    Some(format!("{}: {first}", number(waiting.len(), "pod waits", "pods wait")))
}

fn failed(pods: &[PodView]) -> Option<String> {
    let failures = failure::failures(pods);
    let last = failures.last()?;
    let number = number(failures.len(), "pod has failed and is", "pods have failed and are");
    Some(format!("{number} tried again, the last one failed so: {last}"))
}

fn number(count: usize, one: &str, many: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
}

/// How far encrypting the mask is, for the message; empty where that is not done.
pub fn mask_note(pods: &[PodView]) -> String {
    let reports = pods.iter().filter_map(|pod| pod.progress.as_ref());
    let Some(report) = reports.max_by_key(|report| report.mask_encrypted) else { return String::new() };
    if report.mask_total == 0 {
        return String::new();
    }
    format!("; {} of {} elements of the mask are encrypted", report.mask_encrypted, report.mask_total)
}

/// The progress of a complete run.
pub fn finished(comparisons: u64) -> RunProgress {
    RunProgress { percent: "100%".into(), ..shown(comparisons, comparisons) }
}

fn shown(done: u64, total: u64) -> RunProgress {
    let count = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
    // rounded down, so that 100 % means done
    let percent = u128::from(done.min(total)) * 100 / u128::from(total.max(1));
    RunProgress { comparisons: count(done), total_comparisons: count(total), percent: format!("{percent}%") }
}

fn known_done(status: &LinkageRunStatus) -> u64 {
    status.progress.as_ref().map_or(0, |progress| u64::try_from(progress.comparisons).unwrap_or(0))
}

fn known_total(status: &LinkageRunStatus) -> u64 {
    status.progress.as_ref().map_or(0, |progress| u64::try_from(progress.total_comparisons).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_of_records_of_different_parties() {
        assert_eq!(all_comparisons(&[]), 0);
        assert_eq!(all_comparisons(&[5]), 0);
        assert_eq!(all_comparisons(&[5, 7]), 35);
        assert_eq!(all_comparisons(&[2, 3, 4]), 2 * 3 + 2 * 4 + 3 * 4);
        assert_eq!(all_comparisons(&[u64::MAX, u64::MAX]), u64::MAX);
    }

    #[test]
    fn progress_never_exceeds_a_hundred_percent() {
        assert_eq!(shown(7, 5).percent, "100%");
        assert_eq!(shown(0, 0).percent, "0%");
    }
}
