//! How far a run is, in the words of the REST contract: a pure function of the two resources.
//!
//! The operator only ever moves a run's stage and progress forward; nothing here goes back on it.

use crds::conditions::PendingReason;
use crds::{LinkageProject, LinkageRun, LinkageRunStatus, ResultType, RunProgress, RunStage};
use kube::Resource;
use serde::Serialize;
use utoipa::ToSchema;

use crate::access::auth::ReadRight;
use crate::content::text::time;
use crate::endpoints::projects;
use crate::limits::lifetimes;

/// What keeps a run from going on, whatever its parties do: the operator's message tells it, and the way out.
const TROUBLE: [PendingReason; 6] = [
    PendingReason::StoreUnavailable,
    PendingReason::StoreFull,
    PendingReason::KubernetesRefused,
    PendingReason::KubernetesUnavailable,
    PendingReason::NameTaken,
    PendingReason::OperatorError,
];

/// What a run waits for, other than parties and its turn.
const OTHERS: [PendingReason; 3] =
    [PendingReason::RunNotFound, PendingReason::WaitingForRun, PendingReason::Suspended];

/// Of a run that has all it needs.
const NOT_BEGUN: &str = "all parties have contributed; the operator has not begun this run yet";

/// What a party is told of a run that has failed.
const FAILED: &str = "the run has failed; whoever holds the project's result token can see why";

/// What a run is doing, or how it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum RunState {
    /// Some party has not contributed yet.
    Created,
    /// Its pods have not started yet.
    Queued,
    /// Records are being compared, or the result is being written.
    Running,
    /// The result is there.
    Completed,
    /// It will never complete; or the data of some party cannot be linked, until that party contributes again.
    Error,
}

/// How far a run is.
#[derive(Debug, Serialize, ToSchema)]
pub struct RunStatus {
    state: RunState,
    /// How many stages there are: 2 for similarity scores, else 3.
    #[schema(minimum = 2, maximum = 3)]
    stages: u8,
    current_stage: Stage,
    /// When it was created: ISO 8601, UTC.
    #[schema(value_type = String, format = DateTime)]
    time_added: Option<String>,
    /// When its work began; null before.
    #[schema(required, format = DateTime)]
    time_started: Option<String>,
    /// When it became complete.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, format = DateTime)]
    time_completed: Option<String>,
    /// When a run that has ended is deleted by itself, with its result. Absent: never, or it has not ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, format = DateTime)]
    time_expires: Option<String>,
    /// Comparisons that it took, when it is complete. Not told to the holder of a receipt token.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, minimum = 0)]
    total_number_comparisons: Option<i64>,
    /// Why it ended in error, or what it waits for. The holder of a receipt token is not told of trouble in the
    /// installation.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    message: Option<String>,
}

/// One stage of a run.
#[derive(Debug, PartialEq, Serialize, ToSchema)]
pub struct Stage {
    #[schema(minimum = 1, maximum = 3)]
    number: u8,
    /// `waiting for CLKs`, `compute similarity scores` or `compute output`.
    #[schema(pattern = "^(waiting for CLKs|compute similarity scores|compute output)$")]
    description: &'static str,
    /// How far the stage is; absent where nothing is counted, and to the holder of a receipt token from stage 2 on.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    progress: Option<StageProgress>,
}

/// How far a stage is.
#[derive(Debug, PartialEq, Serialize, ToSchema)]
pub struct StageProgress {
    /// How many there are so far.
    #[schema(minimum = 0)]
    absolute: i64,
    /// From 0 to 1.
    #[schema(minimum = 0, maximum = 1)]
    relative: f64,
    /// What is counted.
    description: &'static str,
}

/// A run's state.
pub fn state(run: &LinkageRun) -> RunState {
    match stage(run) {
        RunStage::WaitingForParties => RunState::Created,
        RunStage::Queued => RunState::Queued,
        RunStage::Scoring | RunStage::Solving => RunState::Running,
        RunStage::Complete => RunState::Completed,
        RunStage::Failed => RunState::Error,
    }
}

/// Whether a run works on the parties' data, or has.
pub fn has_begun(run: &LinkageRun) -> bool {
    let status = run.status.as_ref();
    status.is_some_and(|status| status.pinned.is_some() || status.start_time.is_some())
}

/// A run's state as its project has it: one that waits for data shows an error while that of some party cannot be linked,
/// and is `created` once more when the party has contributed again.
pub fn state_in(project: &LinkageProject, run: &LinkageRun) -> RunState {
    match state(run) {
        RunState::Created if projects::rejection(project).is_some() => RunState::Error,
        state => state,
    }
}

/// How far a run is. The right decides what is told; the project tells how many parties have contributed.
pub fn describe(project: &LinkageProject, run: &LinkageRun, right: &ReadRight) -> RunStatus {
    let nothing = LinkageRunStatus::default();
    let status = run.status.as_ref().unwrap_or(&nothing);
    let state = state_in(project, run);
    let completed = state == RunState::Completed;
    let comparisons = || status.progress.as_ref().map_or(0, |progress| progress.total_comparisons);
    RunStatus {
        state,
        stages: stages(project),
        current_stage: current_stage(project, run, status, right),
        time_added: run.meta().creation_timestamp.as_ref().map(time),
        time_started: status.start_time.as_ref().map(time),
        time_completed: status.completion_time.as_ref().filter(|_| completed).map(time),
        // it is the product of the parties' sizes
        total_number_comparisons: (completed && !is_party(right)).then(comparisons),
        time_expires: time_expires(run, status),
        message: message(project, status, state, right),
    }
}

fn time_expires(run: &LinkageRun, status: &LinkageRunStatus) -> Option<String> {
    let seconds = run.spec.ttl_seconds_after_finished?;
    lifetimes::after(status.completion_time.as_ref()?, seconds).as_ref().map(time)
}

fn message(
    project: &LinkageProject,
    status: &LinkageRunStatus,
    state: RunState,
    right: &ReadRight,
) -> Option<String> {
    let party = is_party(right);
    let has_failed = status.stage == Some(RunStage::Failed);
    match state {
        RunState::Error if !has_failed => projects::rejection_for(project, right),
        // the operator's words may tell of another party's data
        RunState::Error if party => Some(FAILED.into()),
        RunState::Error => Some(status.message.clone().unwrap_or_else(|| "the run has failed".into())),
        RunState::Completed => None,
        _ if party => None,
        _ if is_for(status, &TROUBLE) => status.message.clone(),
        RunState::Created => waits(project, status),
        RunState::Queued | RunState::Running => None,
    }
}

/// Why a run has not begun although nobody's data is missing.
fn waits(project: &LinkageProject, status: &LinkageRunStatus) -> Option<String> {
    if is_for(status, &OTHERS) {
        return status.message.clone();
    }
    let complete = projects::contributed(project) == project.spec.parties.len();
    complete.then(|| NOT_BEGUN.into())
}

fn is_for(status: &LinkageRunStatus, reasons: &[PendingReason]) -> bool {
    reasons.iter().any(|reason| status.reason.as_deref() == Some(reason.as_str()))
}

fn stage(run: &LinkageRun) -> RunStage {
    run.status.as_ref().and_then(|status| status.stage).unwrap_or(RunStage::WaitingForParties)
}

fn stages(project: &LinkageProject) -> u8 {
    if project.spec.result_type == ResultType::SimilarityScores { 2 } else { 3 }
}

/// A stage without what would tell a party how much the other one has.
fn current_stage(
    project: &LinkageProject,
    run: &LinkageRun,
    status: &LinkageRunStatus,
    right: &ReadRight,
) -> Stage {
    let stage = stage_reached(project, run, status);
    let counts_parties = stage.number == 1 && project.spec.parties.len() == 2;
    if is_party(right) && !counts_parties { Stage { progress: None, ..stage } } else { stage }
}

fn is_party(right: &ReadRight) -> bool {
    matches!(right, ReadRight::Receipt(_))
}

fn stage_reached(project: &LinkageProject, run: &LinkageRun, status: &LinkageRunStatus) -> Stage {
    match stage(run) {
        RunStage::WaitingForParties => waiting(project),
        RunStage::Queued | RunStage::Scoring => comparing(status),
        RunStage::Solving | RunStage::Complete => last(project, status),
        // a failed run stays at the stage at which it failed
        RunStage::Failed => match &status.progress {
            None if status.start_time.is_none() => waiting(project),
            Some(progress) if progress.comparisons > 0 && is_whole(progress) => last(project, status),
            _ => comparing(status),
        },
    }
}

fn waiting(project: &LinkageProject) -> Stage {
    let (absolute, all) = (projects::contributed(project), project.spec.parties.len());
    let progress = StageProgress {
        absolute: i64::try_from(absolute).unwrap_or(i64::MAX),
        relative: absolute as f64 / all.max(1) as f64,
        description: "number of parties already contributed",
    };
    Stage { number: 1, description: "waiting for CLKs", progress: Some(progress) }
}

fn comparing(status: &LinkageRunStatus) -> Stage {
    let begun = status.progress.as_ref().filter(|progress| progress.comparisons > 0);
    let progress = begun.map(|progress| StageProgress {
        absolute: progress.comparisons,
        relative: share(progress),
        description: "number of already computed similarity scores",
    });
    Stage { number: 2, description: "compute similarity scores", progress }
}

fn last(project: &LinkageProject, status: &LinkageRunStatus) -> Stage {
    if stages(project) == 2 {
        return comparing(status);
    }
    Stage { number: 3, description: "compute output", progress: None }
}

fn share(progress: &RunProgress) -> f64 {
    if is_whole(progress) {
        return 1.0;
    }
    progress.comparisons as f64 / progress.total_comparisons as f64
}

fn is_whole(progress: &RunProgress) -> bool {
    progress.comparisons >= progress.total_comparisons
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn project(result_type: &str, contributed: usize) -> LinkageProject {
        let party = |index: usize| {
            let state = if index < contributed { "Contributed" } else { "Waiting" };
            json!({"name": format!("p{index}"), "state": state})
        };
        serde_json::from_value(json!({
            "apiVersion": "pprl.dev/v1alpha1", "kind": "LinkageProject",
            "metadata": {"name": "p"},
            "spec": {"resultType": result_type, "parties": [{"name": "p0"}, {"name": "p1"}]},
            "status": {"parties": [party(0), party(1)]}
        }))
        .unwrap()
    }

    fn run(status: Value) -> LinkageRun {
        serde_json::from_value(json!({
            "apiVersion": "pprl.dev/v1alpha1", "kind": "LinkageRun",
            "metadata": {"name": "r", "creationTimestamp": "2030-01-02T03:04:05Z"},
            "spec": {"projectRef": {"name": "p"}, "threshold": 0.8},
            "status": status
        }))
        .unwrap()
    }

    fn described(result_type: &str, status: Value) -> Value {
        serde_json::to_value(describe(&project(result_type, 2), &run(status), &ReadRight::Result)).unwrap()
    }

    fn progress(comparisons: i64, total: i64) -> Value {
        json!({"comparisons": comparisons, "totalComparisons": total, "percent": ""})
    }

    #[test]
    fn a_run_that_waits_counts_the_parties() {
        for status in [json!(null), json!({}), json!({"stage": "WaitingForParties"})] {
            let described = describe(&project("Groups", 1), &run(status), &ReadRight::Result);
            let described = serde_json::to_value(described).unwrap();
            let expected = json!({
                "state": "created", "stages": 3, "time_added": "2030-01-02T03:04:05.000000+00:00", "time_started": null,
                "current_stage": {"number": 1, "description": "waiting for CLKs", "progress": {
                    "absolute": 1, "relative": 0.5, "description": "number of parties already contributed"
                }}
            });
            assert_eq!(described, expected);
        }
    }

    #[test]
    fn a_queued_run_is_at_stage_two_without_progress() {
        for comparing in [json!(null), progress(0, 100)] {
            let described = described("Groups", json!({"stage": "Queued", "progress": comparing}));
            assert_eq!(described["state"], "queued");
            let expected = json!({"number": 2, "description": "compute similarity scores"});
            assert_eq!(described["current_stage"], expected);
            assert_eq!(described["time_started"], json!(null));
        }
    }

    #[test]
    fn a_running_run_shows_its_comparisons() {
        let status = json!({
            "stage": "Scoring", "progress": progress(25, 100), "startTime": "2030-01-02T03:04:06Z"
        });
        let described = described("Permutations", status);
        assert_eq!((&described["state"], &described["stages"]), (&json!("running"), &json!(3)));
        assert_eq!(described["time_started"], "2030-01-02T03:04:06.000000+00:00");
        let expected = json!({"number": 2, "description": "compute similarity scores", "progress": {
            "absolute": 25, "relative": 0.25, "description": "number of already computed similarity scores"
        }});
        assert_eq!(described["current_stage"], expected);
    }

    #[test]
    fn a_share_is_never_above_one() {
        for (comparisons, total) in [(101, 100), (5, 0), (100, 100)] {
            let described =
                described("Groups", json!({"stage": "Scoring", "progress": progress(comparisons, total)}));
            assert_eq!(described["current_stage"]["progress"]["relative"], 1.0);
        }
    }

    #[test]
    fn a_complete_run_tells_when_and_how_much() {
        let status = json!({
            "stage": "Complete", "progress": progress(100, 100), "startTime": "2030-01-02T03:04:06Z",
            "completionTime": "2030-01-02T03:04:09Z"
        });
        let groups = described("Groups", status.clone());
        assert_eq!(
            (&groups["state"], &groups["total_number_comparisons"]),
            (&json!("completed"), &json!(100))
        );
        assert_eq!(groups["time_completed"], "2030-01-02T03:04:09.000000+00:00");
        assert_eq!(groups["current_stage"], json!({"number": 3, "description": "compute output"}));
        assert_eq!(groups.get("message"), None);
        let scores = described("SimilarityScores", status);
        assert_eq!((&scores["stages"], &scores["current_stage"]["number"]), (&json!(2), &json!(2)));
    }

    #[test]
    fn a_run_that_has_ended_tells_when_it_is_deleted() {
        let told = |ttl: Value, status: Value| {
            let mut run = run(status);
            run.spec.ttl_seconds_after_finished = ttl.as_i64();
            let described = describe(&project("Groups", 2), &run, &ReadRight::Result);
            described.time_expires.map(|time| time[..19].to_owned())
        };
        let ended = |stage: &str| json!({"stage": stage, "completionTime": "2030-01-02T03:04:09Z"});
        for stage in ["Complete", "Failed"] {
            assert_eq!(told(json!(60), ended(stage)).unwrap(), "2030-01-02T03:05:09");
            assert_eq!(told(json!(null), ended(stage)), None);
        }
        assert_eq!(told(json!(60), json!({"stage": "Scoring"})), None);
    }

    #[test]
    fn a_failed_run_says_why_and_stays_at_its_stage() {
        let failed = |progress: Value, start: Value| {
            described(
                "Groups",
                json!({"stage": "Failed", "message": "out of memory", "progress": progress, "startTime": start}),
            )
        };
        let started = json!("2030-01-02T03:04:06Z");
        let before = failed(json!(null), json!(null));
        assert_eq!((&before["state"], &before["message"]), (&json!("error"), &json!("out of memory")));
        assert_eq!(before["current_stage"]["number"], 1);
        assert_eq!(failed(json!(null), started.clone())["current_stage"]["number"], 2);
        assert_eq!(failed(progress(5, 10), started.clone())["current_stage"]["number"], 2);
        assert_eq!(failed(progress(10, 10), started)["current_stage"]["number"], 3);
        assert_eq!(before.get("time_completed"), None);
    }

    #[test]
    fn a_run_that_waits_for_a_rejected_party_shows_an_error_until_that_is_repaired() {
        let mut project = project("Groups", 1);
        let party = &mut project.status.as_mut().unwrap().parties[1];
        (party.state, party.message) = (crds::PartyState::Rejected, Some("wrong size".into()));
        for right in [ReadRight::Result, ReadRight::Receipt("p1".into())] {
            let described = serde_json::to_value(describe(&project, &run(json!({})), &right)).unwrap();
            let told = (&described["state"], &described["message"]);
            assert_eq!(told, (&json!("error"), &json!("wrong size")));
            // once it has begun, it works on what was there then
            let begun = describe(&project, &run(json!({"stage": "Scoring"})), &right);
            assert_eq!((begun.state, begun.message), (RunState::Running, None));
        }
        let party = &mut project.status.as_mut().unwrap().parties[1];
        (party.state, party.message) = (crds::PartyState::Waiting, None);
        let repaired = describe(&project, &run(json!({})), &ReadRight::Result);
        assert_eq!((repaired.state, repaired.message), (RunState::Created, None));
    }

    #[test]
    fn a_party_learns_nothing_of_how_much_the_other_has() {
        for (stage, state) in [
            ("Queued", "queued"),
            ("Scoring", "running"),
            ("Solving", "running"),
            ("Complete", "completed"),
            ("Failed", "error"),
        ] {
            let status = json!({"stage": stage, "progress": progress(987_654, 987_654), "startTime": "2030-01-02T03:04:06Z",
                "completionTime": "2030-01-02T03:04:09Z", "message": "p1 has 987654 records"});
            for result_type in ["Permutations", "Groups"] {
                let right = ReadRight::Receipt("p0".into());
                let told = describe(&project(result_type, 2), &run(status.clone()), &right);
                let told = serde_json::to_value(told).unwrap();
                assert_eq!(told["state"], state);
                assert!(!told.to_string().contains("987"), "{told}");
            }
        }
        let mut rejected = project("Permutations", 1);
        let party = &mut rejected.status.as_mut().unwrap().parties[1];
        (party.state, party.message) = (crds::PartyState::Rejected, Some("record 987 is too short".into()));
        let told = describe(&rejected, &run(json!({})), &ReadRight::Receipt("p0".into()));
        assert!(!told.message.unwrap().contains("987"));
    }

    #[test]
    fn a_party_is_not_told_what_is_wrong_with_anothers_data() {
        let mut project = project("Groups", 1);
        let party = &mut project.status.as_mut().unwrap().parties[1];
        (party.state, party.message) = (crds::PartyState::Rejected, Some("record 987 is too short".into()));
        let told = describe(&project, &run(json!({})), &ReadRight::Receipt("p0".into())).message.unwrap();
        assert!(told.contains("another party") && !told.contains("987"), "{told}");
    }

    #[test]
    fn trouble_is_told_in_the_operators_words_but_not_to_a_party() {
        for (stage, state) in [("WaitingForParties", "created"), ("Queued", "queued"), ("Scoring", "running")]
        {
            for reason in TROUBLE {
                let status = json!({"stage": stage, "reason": reason.as_str(), "message": "quota exceeded"});
                let told = described("Permutations", status.clone());
                assert_eq!((&told["state"], &told["message"]), (&json!(state), &json!("quota exceeded")));
                let party = ReadRight::Receipt("p0".into());
                let told = describe(&project("Permutations", 2), &run(status), &party);
                assert_eq!(told.message, None, "{reason}");
            }
        }
        for reason in ["Queued", "Scoring"] {
            let told = described("Groups", json!({"stage": reason, "reason": reason, "message": "2 pods"}));
            assert_eq!(told.get("message"), None);
        }
    }

    #[test]
    fn a_run_that_has_all_it_needs_says_that_it_has_not_begun() {
        let waiting =
            json!({"stage": "WaitingForParties", "reason": "WaitingForParties", "message": "b is missing"});
        for status in [json!(null), json!({}), waiting.clone()] {
            let told = described("Groups", status);
            assert_eq!((&told["state"], &told["message"]), (&json!("created"), &json!(NOT_BEGUN)));
        }
        let told = describe(&project("Groups", 1), &run(waiting), &ReadRight::Result);
        assert_eq!(told.message, None);
        for reason in OTHERS {
            let status =
                json!({"stage": "WaitingForParties", "reason": reason.as_str(), "message": "it waits"});
            assert_eq!(described("Groups", status)["message"], "it waits");
        }
        let nothing_told = describe(&project("Groups", 2), &run(json!({})), &ReadRight::Receipt("p0".into()));
        assert_eq!(nothing_told.message, None);
    }
}
