//! Removes what nobody will ever come back for: the objects and the parts of objects that a REST pod leaves in the
//! store when it is killed in the middle of an upload, and those that a party put there and never announced.
//!
//! It falls to the operator, which may list and delete objects, and is one. Only what lies below a project of its own
//! namespace is looked at: another installation may use the same bucket.

use std::collections::BTreeSet;
use std::time::{Duration, SystemTime};

use clap::Args;
use crds::LinkageProject;
use futures::TryStreamExt;
use kube::ResourceExt;
use kube::api::ListParams;
use scorer::store::ObjectInfo;
use tracing::{info, warn};

use crate::context::{Context, Error};

/// Projects that are asked for at a time.
const PAGE: u32 = 100;
/// Characters of the id that the REST service gives an upload.
const UPLOAD_ID_LENGTH: usize = 48;

/// When leftovers are removed.
#[derive(Args, Clone, Copy, Debug)]
#[command(next_help_heading = "Leftovers of uploads")]
pub struct SweepArgs {
    /// How old leftovers of uploads must be to be removed: older than the longest upload can be.
    #[arg(long, env = "SWEEP_AGE_SECONDS", value_name = "SECONDS", default_value_t = 172_800)]
    pub sweep_age_seconds: u64,

    /// How often they are looked for.
    #[arg(long, env = "SWEEP_INTERVAL_SECONDS", value_name = "SECONDS", default_value_t = 3600,
        value_parser = clap::value_parser!(u64).range(1..))]
    pub sweep_interval_seconds: u64,
}

/// Looks for leftovers again and again.
pub async fn keep_sweeping(context: &Context, args: SweepArgs) {
    let mut ticks = tokio::time::interval(Duration::from_secs(args.sweep_interval_seconds));
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let age = Duration::from_secs(args.sweep_age_seconds);
        let Some(before) = SystemTime::now().checked_sub(age) else { continue };
        if let Err(error) = sweep(context, before).await {
            warn!(%error, "leftovers of uploads could not be looked for; they will be later");
        }
    }
}

/// Removes the leftovers of all projects that were written last before a time.
async fn sweep(context: &Context, before: SystemTime) -> Result<(), Error> {
    let mut page = ListParams::default().limit(PAGE);
    loop {
        let projects = context.api::<LinkageProject>().list(&page).await?;
        let next = projects.metadata.continue_.filter(|token| !token.is_empty());
        for project in &projects.items {
            sweep_project(context, project, before).await?;
        }
        match next {
            Some(token) => page = page.continue_token(&token),
            None => return Ok(()),
        }
    }
}

async fn sweep_project(context: &Context, project: &LinkageProject, before: SystemTime) -> Result<(), Error> {
    let Some(uid) = project.uid() else { return Ok(()) };
    if project.metadata.deletion_timestamp.is_some() {
        return Ok(()); // all of it goes anyway
    }
    let prefix = format!("projects/{uid}/");
    let aborted = context.store.abort_unfinished(&prefix, before).await?;
    let objects: Vec<ObjectInfo> = context.store.list(&prefix).try_collect().await?;
    if objects.is_empty() && aborted == 0 {
        return Ok(());
    }
    // read only now: what was claimed while the store was listed is not a leftover
    let Some(project) = context.api::<LinkageProject>().get_opt(&project.name_any()).await? else {
        return Ok(());
    };
    if project.uid().as_deref() != Some(uid.as_str()) {
        return Ok(());
    }
    let leftovers = leftovers(&project, &prefix, &objects, before);
    for key in &leftovers {
        context.store.delete(key).await?;
    }
    if aborted > 0 || !leftovers.is_empty() {
        info!(
            project = project.name_any(),
            objects = leftovers.len(),
            aborted,
            "removed leftovers of uploads"
        );
        metrics::counter!("linkage_operator_leftovers_removed_total")
            .increment(aborted + leftovers.len() as u64);
    }
    Ok(())
}

/// Which of a project's objects nobody will come back for.
fn leftovers<'o>(
    project: &LinkageProject,
    prefix: &str,
    objects: &'o [ObjectInfo],
    before: SystemTime,
) -> Vec<&'o str> {
    let parties = project.status.iter().flat_map(|status| &status.parties);
    let kept: BTreeSet<&str> = parties
        .flat_map(|party| [party.encodings.as_deref(), party.blocks.as_deref()])
        .flatten()
        .filter_map(folder)
        .collect();
    let is_leftover = |object: &&ObjectInfo| {
        let key = object.key.as_str();
        let old = object.modified.is_some_and(|modified| modified < before);
        let transient = key.strip_prefix(prefix).is_some_and(is_upload);
        old && transient && folder(key).is_some_and(|folder| !kept.contains(folder))
    };
    objects.iter().filter(is_leftover).map(|object| object.key.as_str()).collect()
}

/// Whether a key within a project is of an upload: what the REST service writes, or what a party itself has put there.
/// What Jobs have made of source objects is not: it is looked after with the project.
fn is_upload(key: &str) -> bool {
    let segments: Vec<&str> = key.split('/').collect();
    match segments.as_slice() {
        ["uploads", ..] => true,
        ["parties", _, upload, _] => {
            upload.len() == UPLOAD_ID_LENGTH && upload.bytes().all(|byte| byte.is_ascii_hexdigit())
        }
        _ => false,
    }
}

fn folder(key: &str) -> Option<&str> {
    key.rsplit_once('/').map(|(folder, _)| folder)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    const DAY: Duration = Duration::from_secs(86_400);

    fn object(key: &str, age: Duration) -> ObjectInfo {
        ObjectInfo {
            key: key.into(),
            bytes: 1,
            etag: String::new(),
            modified: Some(SystemTime::now() - age),
            metadata: BTreeMap::new(),
        }
    }

    fn found(contributed: &str, objects: &[ObjectInfo]) -> Vec<String> {
        let project = serde_json::from_value(serde_json::json!({
            "apiVersion": "pprl.dev/v1alpha1", "kind": "LinkageProject",
            "metadata": {"name": "p", "uid": "u"},
            "spec": {"resultType": "Groups", "parties": [{"name": "a"}, {"name": "b"}]},
            "status": {"parties": [{"name": "a", "state": "Contributed", "encodings": contributed}]}
        }))
        .unwrap();
        let before = SystemTime::now() - DAY;
        leftovers(&project, "projects/u/", objects, before).into_iter().map(str::to_owned).collect()
    }

    #[test]
    fn what_counts_is_kept_and_what_was_left_goes() {
        let upload = |digit: &str| format!("projects/u/parties/0/{}/encodings", digit.repeat(48));
        let (kept, left) = (upload("a"), upload("b"));
        let blocks = kept.replace("encodings", "blocks");
        let objects = [
            object(&kept, 9 * DAY),
            object(&blocks, 9 * DAY),
            object(&left, 2 * DAY),
            object("projects/u/uploads/1/0/encodings.json", 2 * DAY),
        ];
        assert_eq!(found(&kept, &objects), [left, "projects/u/uploads/1/0/encodings.json".to_owned()]);
    }

    #[test]
    fn what_is_young_or_not_of_an_upload_is_kept() {
        let young = format!("projects/u/parties/0/{}/encodings", "c".repeat(48));
        let mut timeless = object(&young, 9 * DAY);
        timeless.modified = None;
        let objects = [
            object(&young, DAY / 2),
            timeless,
            object("projects/u/uploads/1/0/encodings.json", DAY / 2),
            object("projects/u/parties/0/source-1234/encodings", 9 * DAY),
            object("projects/u/parties/0/source-1234/contribution.json", 9 * DAY),
            object("projects/u/other", 9 * DAY),
            object("projects/u/parties/encodings", 9 * DAY),
        ];
        assert_eq!(found("none", &objects), Vec::<String>::new());
    }
}
