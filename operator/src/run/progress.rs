//! How far a run is, from what its pods and its Job say.

use crds::conditions::PendingReason;
use crds::{Blocking, LinkageProject, LinkageRunStatus, RunProgress, RunStage};
use scorer::progress::Stage;

use super::view::RunView;
use crate::pods::{PodPhase, PodView};

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
pub fn update(
    view: &RunView,
    project: &LinkageProject,
    shards: u32,
    status: &mut LinkageRunStatus,
) -> (RunStage, PendingReason, String) {
    let reports = || view.pods.iter().filter_map(|pod| pod.progress.as_ref());
    let total = match project.spec.blocking {
        Blocking::None => all_comparisons(&super::records(project)),
        Blocking::ByBlockId => reports()
            .map(|report| report.total_comparisons)
            .fold(0u64, u64::saturating_add)
            .max(known_total(status)),
    };
    // shards are of equal size, so a finished one counts as its share
    let finished = u128::from(total) * u128::from(view.finished_shards.min(shards)) / u128::from(shards);
    let running: u128 = reports().map(|report| u128::from(report.comparisons)).sum();
    let done = u64::try_from(finished + running).unwrap_or(u64::MAX).min(total).max(known_done(status));
    if total > 0 {
        status.progress = Some(shown(done, total));
    }
    let pairs = reports().map(|report| report.pairs).fold(0u64, u64::saturating_add);
    if pairs > 0 {
        status.pairs = status.pairs.max(i64::try_from(pairs).ok());
    }

    // A single shard's pod solves, too. When it has ended, it reports nothing any more, and its summary is yet to be read.
    let has_solved = shards == 1
        && (view.finished_shards > 0 || view.pods.iter().any(|pod| pod.phase == PodPhase::Succeeded));
    let is_solving =
        view.solve.is_some() || has_solved || reports().any(|report| report.stage == Stage::Solving);
    let is_started =
        view.pods.iter().any(|pod| !matches!(pod.phase, PodPhase::Pending)) || view.finished_shards > 0;
    if is_solving {
        (
            RunStage::Solving,
            PendingReason::Solving,
            format!("the pairs are being solved and the result written{}", mask_note(&view.pods)),
        )
    } else if is_started {
        let failed = view.pods.iter().filter(|pod| matches!(pod.phase, PodPhase::Failed(_))).count();
        let mut message = format!("{} of {shards} shards are done", view.finished_shards.min(shards));
        if failed > 0 {
            message += &format!("; {failed} pods have failed and are tried again");
        }
        (RunStage::Scoring, PendingReason::Scoring, message)
    } else {
        (RunStage::Queued, PendingReason::Queued, "waiting for the pods to start".into())
    }
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
    let percent = u128::from(done) * 100 / u128::from(total.max(1));
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
}
