use super::*;
use crate::pods::{PodFailure, PodPhase, PodView};
use crate::settings::JobSettings;
use crds::folders::Installation;
use crds::tokens::MasterKey;
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
        stored_shards: None,
        has_other_jobs: false,
        no_pods: None,
        summary: Summary::NotRead,
        earlier: None,
        at_work: Duration::ZERO,
        now: Timestamp::from_second(1000).unwrap(),
    }
}

/// As the chart has them, but that a shard has at most 250,000 comparisons.
pub(in crate::run) fn settings() -> JobSettings {
    serde_yaml::from_str(
        "{image: i, serviceAccountName: s, store: {url: 's3://b'}, resources: {limits: {memory: 2Gi}}, \
         comparisonsPerShard: 1000000}",
    )
    .unwrap()
}

/// What the operator decides with these settings.
pub(in crate::run) fn decided_with(view: &RunView, settings: &JobSettings) -> Decision {
    let installation = Installation::of(&MasterKey::new(&[7; 32]).unwrap(), "linkage");
    decide(view, &|project, status| order::pin(&view.run, project, status, settings, &installation)).unwrap()
}

pub(in crate::run) fn decided(view: &RunView) -> Decision {
    decided_with(view, &settings())
}

/// A view of a run that has started, cut into this number of shards.
pub(in crate::run) fn started(view: RunView, shards: u32) -> RunView {
    let fresh = RunView {
        score: None,
        solve: None,
        pods: Vec::new(),
        summary: Summary::NotRead,
        at_work: Duration::ZERO,
        finished_shards: 0,
        ..view.clone()
    };
    let settings = JobSettings { comparisons_per_shard: 1_000_000 / u64::from(shards), ..settings() };
    next(view, &decided_with(&fresh, &settings))
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
        version: 2,
        work: String::new(),
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
    PodView { component: component.into(), phase, progress, ..PodView::default() }
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
    let running = decided(&RunView { score: Some(JobState::Active), ..suspended.clone() });
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
    let with = |pods| started(RunView { score: Some(JobState::Active), pods, ..view() }, 1);
    let half = decided(&with(vec![pod("score", PodPhase::Running, Some(scoring(500_000)))]));
    let progress = half.status.progress.clone().unwrap();
    assert_eq!((progress.comparisons, progress.total_comparisons), (500_000, 1_000_000));
    assert_eq!(progress.percent, "50%");
    assert_eq!((half.status.pairs, half.status.stage), (Some(7), Some(RunStage::Scoring)));
    // the pod is killed, and a new one starts over
    let again = decided(&next(with(vec![pod("score", PodPhase::Pending(None), None)]), &half));
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
    let decision = decided(&started(view, 4));
    assert_eq!(decision.status.progress.unwrap().comparisons, 750_001);
    assert_eq!(decision.status.message.as_deref(), Some("3 of 4 shards are done"));
}

#[test]
fn several_shards_are_solved_by_a_second_job() {
    let scored = started(RunView { score: Some(JobState::Complete), finished_shards: 4, ..view() }, 4);
    let decision = decided(&scored);
    assert_eq!((decision.action, decision.status.stage), (Action::CreateSolveJob, Some(RunStage::Solving)));
    let solving = RunView { solve: Some(JobState::Active), ..scored };
    // whether its pod is there yet or not
    let decision = decided(&solving);
    assert_eq!((decision.action, reason(&decision)), (Action::None, "Solving"));
}

#[test]
fn a_single_pod_that_has_ended_has_solved() {
    for (finished_shards, pods) in [(1, Vec::new()), (0, vec![pod("score", PodPhase::Succeeded, None)])] {
        let ended = started(RunView { score: Some(JobState::Active), finished_shards, pods, ..view() }, 1);
        let decision = decided(&ended);
        assert_eq!((decision.action, reason(&decision)), (Action::None, "Solving"));
    }
}

#[test]
fn the_shards_of_a_run_stay_what_they_were() {
    let later = decided_with(&started(view(), 4), &JobSettings { comparisons_per_shard: 1, ..settings() });
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
    let view = started(view, 1);
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
    let decision = decided(&started(view, 1));
    assert_eq!((decision.action, reason(&decision)), (Action::None, "StoreUnavailable"));
    assert!(decision.look_again <= Duration::from_secs(10));
}

#[test]
fn a_summary_that_vanished_is_no_result() {
    let view = RunView { score: Some(JobState::Complete), summary: Summary::Absent, ..view() };
    let decision = decided(&started(view, 1));
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
    let decision = decided(&started(view, 1));
    assert_eq!((reason(&decision), decision.status.stage), ("InvalidInput", Some(RunStage::Failed)));
    assert_eq!(decision.status.message.as_deref(), Some("wrong checksum"));
    assert!(is_true(&decision.status.conditions, FAILED) && !is_true(&decision.status.conditions, COMPLETE));
}

#[test]
fn a_deadline_ends_the_run_and_its_pods() {
    let limited =
        |spec: serde_json::Value| RunView { run: run(spec), score: Some(JobState::Active), ..view() };
    let at_work =
        |seconds, spec| RunView { at_work: Duration::from_secs(seconds), ..started(limited(spec), 1) };
    let minute = || json!({"activeDeadlineSeconds": 60});
    let early = decided(&at_work(59, minute()));
    assert_eq!((early.action, early.status.active_seconds), (Action::None, Some(59)));
    let late = decided(&at_work(60, minute()));
    assert_eq!((late.action, reason(&late)), (Action::DeleteJobs, "DeadlineExceeded"));
    let longest = json!({"activeDeadlineSeconds": i64::MAX});
    assert_eq!(decided(&at_work(1 << 40, longest)).action, Action::None);
}

#[test]
fn a_deadline_counts_work_alone() {
    let spec = json!({"activeDeadlineSeconds": 60});
    let later = |view| RunView { now: Timestamp::from_second(1_000_000).unwrap(), ..view };
    // queued for long, or waiting for parties
    let queued = started(RunView { run: run(spec.clone()), score: Some(JobState::Queued), ..view() }, 1);
    assert_eq!(reason(&decided(&later(queued))), "Queued");
    let waiting = RunView { run: run(spec), project: Some(project(["Waiting", "Contributed"])), ..view() };
    assert_eq!(reason(&decided(&later(waiting))), "WaitingForParties");
    // suspended for long, after some work
    let mut asleep =
        started(RunView { run: run(json!({"activeDeadlineSeconds": 60, "suspend": true})), ..view() }, 1);
    asleep.at_work = Duration::from_secs(60);
    assert_eq!(reason(&decided(&later(asleep))), "Suspended");
}

#[test]
fn a_result_that_is_there_counts_though_the_deadline_has_passed() {
    let view = RunView {
        run: run(json!({"activeDeadlineSeconds": 60})),
        summary: Summary::Present(summary()),
        ..view()
    };
    let view = RunView { at_work: Duration::from_secs(1000), ..started(view, 1) };
    assert_eq!(reason(&decided(&view)), "Complete");
}

#[test]
fn a_finished_run_is_deleted_when_its_time_is_over() {
    let with_ttl = |seconds: i64| RunView { run: run(json!({"ttlSecondsAfterFinished": seconds})), ..view() };
    let complete = |ttl| {
        let done = RunView {
            summary: Summary::Present(summary()),
            score: Some(JobState::Complete),
            ..with_ttl(ttl)
        };
        decided(&started(done, 1))
    };
    let at = |ttl, second| {
        let view = RunView { now: Timestamp::from_second(second).unwrap(), ..with_ttl(ttl) };
        decided(&next(view, &complete(ttl)))
    };
    assert_eq!((at(100, 1040).action, at(100, 1040).look_again), (Action::None, Duration::from_secs(60)));
    assert_eq!(at(100, 1100).action, Action::DeleteRun);
    assert_eq!(at(i64::MAX, 1100).action, Action::None);
    assert!(at(i64::MAX, 1100).look_again <= RESYNC);
    // the clock that wrote the end was an hour ahead of ours
    assert_eq!(at(100, -2600).action, Action::None);
}

#[test]
fn what_the_spec_says_after_the_end_is_observed() {
    let complete = decided(&started(RunView { summary: Summary::Present(summary()), ..view() }, 1));
    let mut changed = next(view(), &complete);
    changed.run.metadata.generation = Some(5);
    let decision = decided(&changed);
    assert_eq!(decision.status.observed_generation, Some(5));
    assert!(decision.status.conditions.iter().all(|condition| condition.observed_generation == Some(5)));
    assert_eq!(decision.status.message, complete.status.message);
}

#[test]
fn a_failed_run_is_not_suspended() {
    let suspended = decided(&started(RunView { run: run(json!({"suspend": true})), ..view() }, 1));
    assert!(is_true(&suspended.status.conditions, SUSPENDED));
    let failed = RunView { score: Some(JobState::Failed("x".into())), ..next(view(), &suspended) };
    let decision = decided(&next(failed, &decided(&started(view(), 1))));
    assert!(is_true(&decision.status.conditions, FAILED));
    assert!(!is_true(&decision.status.conditions, SUSPENDED));
}

#[test]
fn a_run_links_what_it_began_with() {
    let begun = decided(&view());
    let work = begun.status.pinned.clone().unwrap();
    assert_eq!(work.parties(), ["a", "b"]);
    // whatever becomes of its project and its spec
    let mut changed = next(view(), &begun);
    changed.run.spec.threshold = 0.1;
    let project = changed.project.as_mut().unwrap();
    project.spec.parties.reverse();
    project.status.as_mut().unwrap().parties[0].encodings = Some("other".into());
    let later = decided(&changed);
    assert_eq!((later.action, later.status.pinned.as_ref()), (Action::CreateScoreJob, Some(&work)));
    changed.project = None;
    assert_eq!(decided(&changed).status.pinned, Some(work));
}

#[test]
fn shards_that_are_in_the_store_are_not_scored_anew_when_their_job_is_gone() {
    let gone =
        |stored| RunView { stored_shards: Some(stored), summary: Summary::Absent, ..started(view(), 4) };
    assert_eq!(decided(&gone(4)).action, Action::CreateSolveJob);
    assert_eq!(decided(&gone(3)).action, Action::CreateScoreJob);
    // and a result that is there is the run's, Job or no Job
    let done = RunView { summary: Summary::Present(summary()), ..started(view(), 4) };
    assert_eq!(reason(&decided(&done)), "Complete");
}

#[test]
fn a_store_that_was_away_for_too_long_fails_nothing() {
    let told = Failure { reason: FailureReason::StoreUnavailable, message: "store away".into() };
    let view = RunView {
        score: Some(JobState::Failed("BackoffLimitExceeded".into())),
        pods: vec![pod("score", PodPhase::Failed(PodFailure::Told(told)), None)],
        ..view()
    };
    let decision = decided(&started(view, 4));
    // the Job is made anew; finished shards are in the store
    assert_eq!((decision.action, reason(&decision)), (Action::DeleteJobs, "StoreUnavailable"));
    assert!(!is_true(&decision.status.conditions, FAILED));
}

#[test]
fn pods_that_wait_say_why() {
    let waiting = |phase| {
        let pods = vec![pod("score", phase, None)];
        decided(&started(RunView { score: Some(JobState::Active), pods, ..view() }, 1))
    };
    let why = "no node fits the pod: 0/2 nodes are available: 2 Insufficient memory.";
    let decision = waiting(PodPhase::Pending(Some(why.into())));
    assert_eq!((reason(&decision), decision.status.stage), ("Queued", Some(RunStage::Queued)));
    assert!(decision.status.message.unwrap().contains(why));
    assert!(decision.warning.unwrap().contains(why));
    assert_eq!(waiting(PodPhase::Pending(None)).warning, None);
}

#[test]
fn a_job_without_pods_says_why() {
    let no_pods = Some("pods \"first-score-0-x\" is forbidden: exceeded quota: few".to_owned());
    let decision = decided(&started(RunView { score: Some(JobState::Active), no_pods, ..view() }, 1));
    assert!(decision.status.message.unwrap().contains("exceeded quota: few"));
}

#[test]
fn a_job_that_is_held_back_names_its_queue() {
    let run = run(json!({"scheduling": {"queueName": "night"}}));
    let decision = decided(&started(RunView { run, score: Some(JobState::Queued), ..view() }, 1));
    assert_eq!(reason(&decision), "Queued");
    assert!(decision.status.message.unwrap().contains("queue night"));
}

#[test]
fn pods_on_a_node_that_does_not_answer_are_told() {
    let lost = PodView { lost_on: Some("n1".into()), ..pod("score", PodPhase::Running, None) };
    let view = RunView { score: Some(JobState::Active), pods: vec![lost.clone(), lost], ..view() };
    let decision = decided(&started(view, 4));
    assert!(decision.warning.unwrap().contains("2 pods are on a node that does not answer (n1)"));
}

#[test]
fn pods_that_are_tried_again_say_what_was_wrong() {
    let told = Failure { reason: FailureReason::Internal, message: "disk full".into() };
    let failed = pod("score", PodPhase::Failed(PodFailure::Told(told)), None);
    let view = RunView { score: Some(JobState::Active), pods: vec![failed], ..view() };
    let message = decided(&started(view, 1)).status.message.unwrap();
    assert!(
        message.ends_with("1 pod has failed and is tried again, the last one failed so: disk full"),
        "{message}"
    );
}

#[test]
fn a_pod_that_waits_for_the_store_says_so() {
    let waiting =
        Progress { stage: Stage::Scoring, waiting: Some("the store is away".into()), ..Progress::default() };
    let pods = vec![pod("score", PodPhase::Running, Some(waiting))];
    let decision = decided(&started(RunView { score: Some(JobState::Active), pods, ..view() }, 1));
    assert!(decision.warning.unwrap().contains("the store is away"));
}

#[test]
fn reasons_never_go_back() {
    let at = |stage| {
        let report = Progress { stage, ..Progress::default() };
        RunView {
            score: Some(JobState::Active),
            pods: vec![pod("score", PodPhase::Running, Some(report))],
            ..view()
        }
    };
    let solving = decided(&started(at(Stage::Solving), 1));
    assert_eq!(reason(&solving), "Solving");
    // its pod was killed; the next one reads what the first one has scored
    let again = decided(&next(at(Stage::Loading), &solving));
    assert_eq!((reason(&again), again.status.stage), ("Solving", Some(RunStage::Solving)));
}

#[test]
fn trouble_is_told_without_moving_the_run_and_never_after_its_end() {
    let begun = decided(&view());
    let running = next(view(), &begun);
    let trouble = Trouble { kind: TroubleKind::KubernetesRefused, message: "exceeded quota".into() };
    let status = troubled(&running.run, &trouble, running.now).unwrap();
    assert_eq!((status.reason.as_deref(), status.stage), (Some("KubernetesRefused"), begun.status.stage));
    assert_eq!(status.message.as_deref(), Some("exceeded quota"));
    // told once
    let mut told = running.run.clone();
    told.status = Some(status.clone());
    assert_eq!(troubled(&told, &trouble, running.now), Some(status));
    let complete = decided(&started(RunView { summary: Summary::Present(summary()), ..view() }, 1));
    assert_eq!(troubled(&next(view(), &complete).run, &trouble, running.now), None);
}

#[test]
fn only_what_people_see_is_written_while_a_run_makes_progress() {
    let with = |comparisons| {
        let report = Progress { stage: Stage::Scoring, comparisons, ..Progress::default() };
        let pods = vec![pod("score", PodPhase::Running, Some(report))];
        decided(&started(RunView { score: Some(JobState::Active), pods, ..view() }, 1)).status
    };
    let (some, little_more, more) = (with(500_000), with(500_001), with(510_000));
    assert!(is_only_progress(&some, &little_more) && !is_worth_writing(&some, &little_more));
    assert!(is_only_progress(&some, &more) && is_worth_writing(&some, &more));
    let queued = decided(&started(RunView { score: Some(JobState::Active), ..view() }, 1)).status;
    assert!(!is_only_progress(&queued, &some), "a new stage is written at once");
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
    let message = decided(&started(view, 1)).status.message.unwrap();
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
        decided(&started(RunView { score: Some(JobState::Complete), summary, ..view() }, 1)).status
    };
    let status = with(solving);
    let told = status.solving.unwrap();
    assert_eq!((told.components, told.greedy_components, told.greedy_pairs), (900, 2, 44_000));
    let message = status.message.unwrap();
    assert!(message.ends_with("2 of the components, with 2600 records and 44000 pairs"), "{message}");
    let nothing = with(Solving { greedy_components: 0, ..solving });
    assert_eq!(nothing.message.as_deref(), Some("948 pairs at or above 0.8"));
}
