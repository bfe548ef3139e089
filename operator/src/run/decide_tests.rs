use super::*;
use crate::pods::{PodFailure, PodPhase, PodView};
use crds::LinkageRun;
use k8s_openapi::jiff::Timestamp;
use scorer::progress::{Progress, Stage};
use scorer::summary::{Failure, FailureReason, ResultObject};
use serde_json::json;

pub(in crate::run) fn run(spec: serde_json::Value) -> LinkageRun {
    let mut merged = json!({"projectRef": {"name": "hospitals"}, "threshold": 0.8});
    merged.as_object_mut().unwrap().extend(spec.as_object().unwrap().clone());
    serde_json::from_value(json!({
        "apiVersion": "pprl.dev/v1alpha1", "kind": "LinkageRun",
        "metadata": {"name": "first", "uid": "1", "generation": 1}, "spec": merged
    }))
    .unwrap()
}

pub(in crate::run) fn project(states: [&str; 2]) -> LinkageProject {
    let [a, b] = states;
    serde_json::from_value(json!({
        "apiVersion": "pprl.dev/v1alpha1", "kind": "LinkageProject", "metadata": {"name": "hospitals", "uid": "2"},
        "spec": {"resultType": "Groups", "parties": [{"name": "a"}, {"name": "b"}]},
        "status": {"parties": [
            {"name": "a", "state": a, "records": 1000, "message": if a == "Rejected" { Some("no good") } else { None }},
            {"name": "b", "state": b, "records": 1000},
        ]},
    }))
    .unwrap()
}

pub(in crate::run) fn view() -> RunView {
    RunView {
        run: run(json!({})),
        project: Some(project(["Contributed", "Contributed"])),
        score: None,
        finished_shards: 0,
        solve: None,
        pods: Vec::new(),
        summary: Summary::NotRead,
        earlier: None,
        now: Timestamp::from_second(1000).unwrap(),
    }
}

pub(in crate::run) fn decided(view: &RunView) -> Decision {
    decide(view, |_| 1)
}

/// The view of the next reconciliation, after this decision's status was written.
pub(in crate::run) fn next(mut view: RunView, decision: &Decision) -> RunView {
    view.run.status = Some(decision.status.clone());
    view
}

pub(in crate::run) fn reason(decision: &Decision) -> &str {
    decision.status.reason.as_deref().unwrap()
}

pub(in crate::run) fn summary() -> RunSummary {
    RunSummary {
        version: 1,
        records: vec![1000, 1000],
        comparisons: 1_000_000,
        pairs: 948,
        groups: Some(948),
        scoring_seconds: 0.1,
        solving_seconds: 0.1,
        solving: None,
        results: vec![ResultObject {
            name: "groups".into(),
            format: crds::ResultFormat::Csv,
            key: "runs/1/result/groups.csv".into(),
            bytes: 10,
            blake3: "ab".into(),
        }],
        scores: None,
    }
}

pub(in crate::run) fn pod(component: &str, phase: PodPhase, progress: Option<Progress>) -> PodView {
    PodView { component: component.into(), phase, progress }
}

#[test]
fn waits_for_a_project_that_is_not_there() {
    let decision = decided(&RunView { project: None, ..view() });
    assert_eq!((decision.action, reason(&decision)), (Action::None, "ProjectNotFound"));
    assert_eq!(decision.status.stage, Some(RunStage::WaitingForParties));
}

#[test]
fn waits_for_parties_and_names_them() {
    let decision = decided(&RunView { project: Some(project(["Contributed", "Waiting"])), ..view() });
    assert_eq!((decision.action, reason(&decision)), (Action::None, "WaitingForParties"));
    assert!(decision.status.message.unwrap().ends_with("the data of: b"));
}

#[test]
fn tells_which_party_was_rejected_and_waits_for_better_data() {
    let decision = decided(&RunView { project: Some(project(["Rejected", "Waiting"])), ..view() });
    assert_eq!((decision.action, reason(&decision)), (Action::None, "PartyRejected"));
    assert_eq!(decision.status.message.as_deref(), Some("party a: no good"));
    assert!(!is_true(&decision.status.conditions, FAILED));
}

#[test]
fn starts_when_all_have_contributed() {
    let decision = decided(&view());
    assert_eq!((decision.action, reason(&decision)), (Action::CreateScoreJob, "Queued"));
    assert_eq!(decision.status.shards, Some(1));
    assert!(decision.status.start_time.is_some());
}

#[test]
fn a_suspended_run_starts_nothing_and_stops_what_runs() {
    let suspended = RunView { run: run(json!({"suspend": true})), ..view() };
    let idle = decided(&suspended);
    assert_eq!((idle.action, reason(&idle)), (Action::None, "Suspended"));
    assert!(is_true(&idle.status.conditions, SUSPENDED));
    let running = decided(&RunView { score: Some(JobState::Active), ..suspended });
    assert_eq!(running.action, Action::DeleteJobs);
    assert!(!is_true(&running.status.conditions, SUSPENDED));
    let resumed = decided(&next(view(), &idle));
    assert_eq!(resumed.action, Action::CreateScoreJob);
    assert!(!is_true(&resumed.status.conditions, SUSPENDED));
}

#[test]
fn progress_never_goes_back() {
    let scoring =
        |comparisons| Progress { stage: Stage::Scoring, comparisons, pairs: 7, ..Progress::default() };
    let with = |pods| RunView { score: Some(JobState::Active), pods, ..view() };
    let half = decided(&with(vec![pod("score", PodPhase::Running, Some(scoring(500_000)))]));
    let progress = half.status.progress.clone().unwrap();
    assert_eq!((progress.comparisons, progress.total_comparisons), (500_000, 1_000_000));
    assert_eq!(progress.percent, "50%");
    assert_eq!((half.status.pairs, half.status.stage), (Some(7), Some(RunStage::Scoring)));
    // the pod is killed, and a new one starts over
    let again = decided(&next(with(vec![pod("score", PodPhase::Pending, None)]), &half));
    assert_eq!(again.status.progress, half.status.progress);
    assert_eq!((again.status.pairs, again.status.stage), (Some(7), Some(RunStage::Scoring)));
}

#[test]
fn finished_shards_count_as_their_share() {
    let running = Progress { stage: Stage::Scoring, comparisons: 1, ..Progress::default() };
    let view = RunView {
        score: Some(JobState::Active),
        finished_shards: 3,
        pods: vec![pod("score", PodPhase::Running, Some(running))],
        ..view()
    };
    let decision = decide(&view, |_| 4);
    assert_eq!(decision.status.progress.unwrap().comparisons, 750_001);
    assert_eq!(decision.status.message.as_deref(), Some("3 of 4 shards are done"));
}

#[test]
fn several_shards_are_solved_by_a_second_job() {
    let scored = RunView { score: Some(JobState::Complete), finished_shards: 4, ..view() };
    let decision = decide(&scored, |_| 4);
    assert_eq!((decision.action, decision.status.stage), (Action::CreateSolveJob, Some(RunStage::Solving)));
    let solving = RunView { solve: Some(JobState::Active), ..scored };
    // whether its pod is there yet or not
    let decision = decide(&solving, |_| 4);
    assert_eq!((decision.action, reason(&decision)), (Action::None, "Solving"));
}

#[test]
fn a_single_pod_that_has_ended_has_solved() {
    for (finished_shards, pods) in [(1, Vec::new()), (0, vec![pod("score", PodPhase::Succeeded, None)])] {
        let ended = RunView { score: Some(JobState::Active), finished_shards, pods, ..view() };
        let decision = decided(&ended);
        assert_eq!((decision.action, reason(&decision)), (Action::None, "Solving"));
    }
}

#[test]
fn the_shards_of_a_run_stay_what_they_were() {
    let first = decide(&view(), |_| 4);
    let later = decide(&next(view(), &first), |_| 9);
    assert_eq!(later.status.shards, Some(4));
}

#[test]
fn completes_as_soon_as_the_summary_is_there() {
    let view = RunView {
        score: Some(JobState::Active),
        pods: vec![pod("score", PodPhase::Succeeded, None)],
        summary: Summary::Present(summary()),
        ..view()
    };
    let decision = decided(&view);
    assert!(is_true(&decision.status.conditions, COMPLETE));
    assert_eq!(decision.status.stage, Some(RunStage::Complete));
    assert_eq!((decision.status.pairs, decision.status.groups), (Some(948), Some(948)));
    assert_eq!(decision.status.results[0].key, "runs/1/result/groups.csv");
    assert_eq!(decision.status.results[0].format, crds::ResultFormat::Csv);
    assert_eq!(decision.status.progress.as_ref().unwrap().percent, "100%");
    // and is not touched again
    let later = decided(&next(RunView { now: Timestamp::from_second(2000).unwrap(), ..view }, &decision));
    assert_eq!((later.action, later.status), (Action::None, decision.status));
}

#[test]
fn a_run_whose_scores_would_give_permutations_away_fails() {
    let mut view = RunView { run: run(json!({"additionalResults": ["SimilarityScores"]})), ..view() };
    assert_eq!(decided(&view).action, Action::CreateScoreJob);
    view.project.as_mut().unwrap().spec.result_type = crds::ResultType::Permutations;
    let decision = decided(&view);
    assert!(is_true(&decision.status.conditions, FAILED));
    assert!(decision.status.message.unwrap().contains("additionalResults"));
}

#[test]
fn a_store_that_is_away_is_waited_for() {
    let view = RunView {
        score: Some(JobState::Complete),
        summary: Summary::Unavailable("connection refused".into()),
        ..view()
    };
    let decision = decided(&view);
    assert_eq!((decision.action, reason(&decision)), (Action::None, "StoreUnavailable"));
    assert!(decision.look_again <= Duration::from_secs(10));
}

#[test]
fn a_summary_that_vanished_is_no_result() {
    let view = RunView { score: Some(JobState::Complete), summary: Summary::Absent, ..view() };
    let decision = decided(&view);
    assert_eq!(reason(&decision), "JobFailed");
    assert!(is_true(&decision.status.conditions, FAILED));
}

#[test]
fn bad_input_fails_the_run_with_the_pods_own_words() {
    let failure = Failure { reason: FailureReason::CorruptObject, message: "wrong checksum".into() };
    let view = RunView {
        score: Some(JobState::Failed("PodFailurePolicy".into())),
        pods: vec![pod("score", PodPhase::Failed(PodFailure::Told(failure)), None)],
        ..view()
    };
    let decision = decided(&view);
    assert_eq!((reason(&decision), decision.status.stage), ("InvalidInput", Some(RunStage::Failed)));
    assert_eq!(decision.status.message.as_deref(), Some("wrong checksum"));
    assert!(is_true(&decision.status.conditions, FAILED) && !is_true(&decision.status.conditions, COMPLETE));
}

#[test]
fn a_deadline_ends_the_run_and_its_pods() {
    let started = decided(&RunView { run: run(json!({"activeDeadlineSeconds": 60})), ..view() });
    let running =
        RunView { run: run(json!({"activeDeadlineSeconds": 60})), score: Some(JobState::Active), ..view() };
    let early = RunView { now: Timestamp::from_second(1059).unwrap(), ..next(running.clone(), &started) };
    assert_eq!(decided(&early).action, Action::None);
    let late = RunView { now: Timestamp::from_second(1060).unwrap(), ..next(running, &started) };
    let decision = decided(&late);
    assert_eq!((decision.action, reason(&decision)), (Action::DeleteJobs, "DeadlineExceeded"));
}

#[test]
fn a_finished_run_is_deleted_when_its_time_is_over() {
    let with_ttl = || RunView { run: run(json!({"ttlSecondsAfterFinished": 100})), ..view() };
    let complete = decided(&RunView {
        summary: Summary::Present(summary()),
        score: Some(JobState::Complete),
        ..with_ttl()
    });
    let at = |second| {
        let view = RunView { now: Timestamp::from_second(second).unwrap(), ..with_ttl() };
        decided(&next(view, &complete))
    };
    assert_eq!((at(1040).action, at(1040).look_again), (Action::None, Duration::from_secs(60)));
    assert_eq!(at(1100).action, Action::DeleteRun);
}

#[test]
fn a_key_that_cannot_be_used_fails_the_run() {
    let mut project = project(["Waiting", "Waiting"]);
    let n = "A".repeat(171) + &"_".repeat(170) + "w";
    project.spec.paillier_public_key =
        serde_json::from_value(json!({"kty": "DAJ", "alg": "PAI-GN1", "modulus": n})).unwrap();
    let decision = decided(&RunView { project: Some(project), ..view() });
    assert_eq!((decision.action, reason(&decision)), (Action::None, "InvalidInput"));
    let message = decision.status.message.unwrap();
    assert!(message.contains("it must have at least 2048"), "{message}");
}

#[test]
fn the_message_tells_how_far_encrypting_is() {
    let encrypting =
        Progress { stage: Stage::Solving, mask_encrypted: 64, mask_total: 1000, ..Progress::default() };
    let view = RunView {
        score: Some(JobState::Active),
        pods: vec![pod("score", PodPhase::Running, Some(encrypting))],
        ..view()
    };
    let message = decided(&view).status.message.unwrap();
    assert!(message.ends_with("; 64 of 1000 elements of the mask are encrypted"), "{message}");
}

#[test]
fn a_solver_that_makes_no_sense_for_the_project_fails_the_run() {
    let mut scores = project(["Waiting", "Waiting"]);
    scores.spec.result_type = crds::ResultType::SimilarityScores;
    let view = RunView { run: run(json!({"solver": {}})), project: Some(scores), ..view() };
    let decision = decided(&view);
    assert_eq!((decision.action, reason(&decision)), (Action::None, "InvalidInput"));
    let message = decision.status.message.unwrap();
    assert!(message.contains("spec.solver") && message.contains("SimilarityScores"), "{message}");
}

#[test]
fn the_plan_tells_how_groups_are_formed() {
    use scorer::solve::Solver;
    for (solver, planned) in [
        (json!(null), None),
        (json!({}), Some(Solver::default())),
        (json!({"mergeThreshold": 0.5, "oneToOne": false}), Some(Solver::greedy(Some(0.5), Some(false)))),
        (json!({"algorithm": "Optimal"}), Some(Solver::optimal(None))),
        (json!({"algorithm": "Optimal", "maxComponentRecords": 7}), Some(Solver::optimal(Some(7)))),
    ] {
        let run = run(json!({"solver": solver}));
        assert_eq!(order::plan(&run, &project(["Contributed", "Contributed"]), 1, 1 << 30).solver, planned);
    }
}

#[test]
fn what_was_too_large_to_be_solved_optimally_is_told() {
    let solving = Solving {
        components: 900,
        largest_component_records: 1500,
        greedy_components: 2,
        greedy_records: 2600,
        greedy_pairs: 44_000,
    };
    let with = |solving| {
        let summary = Summary::Present(RunSummary { solving: Some(solving), ..summary() });
        decided(&RunView { score: Some(JobState::Complete), summary, ..view() }).status
    };
    let status = with(solving);
    let told = status.solving.unwrap();
    assert_eq!((told.components, told.greedy_components, told.greedy_pairs), (900, 2, 44_000));
    let message = status.message.unwrap();
    assert!(message.ends_with("2 of the components, with 2600 records and 44000 pairs"), "{message}");
    let nothing = with(Solving { greedy_components: 0, ..solving });
    assert_eq!(nothing.message.as_deref(), Some("948 pairs at or above 0.8"));
}
