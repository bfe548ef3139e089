//! Removes what nobody will ever come back for: what a REST pod leaves in the store when it is killed in the middle of an
//! upload, what a party put there and never announced, and the folders of projects and runs that are gone.
//!
//! The operator does this, as it may list and delete objects. It goes through the store, not through the cluster: a resource
//! that went without its finalizer, or a pod that wrote once more after the purge, leaves no trace in the cluster.
//! Folders of other installations are left alone; their names tell.

use std::collections::BTreeSet;
use std::time::{Duration, SystemTime};

use clap::Args;
use crds::folders::{PROJECTS, RUNS};
use crds::{LinkageProject, LinkageRun};
use futures::TryStreamExt;
use kube::api::ListParams;
use kube::{Resource, ResourceExt};
use scorer::store::ObjectInfo;
use serde::de::DeserializeOwned;
use tracing::{info, warn};

use crate::context::Context;
use crate::error::Error;

/// Resources that are asked for at a time.
const PAGE: u32 = 500;
/// Characters of the id that the REST service gives an upload.
const UPLOAD_ID_LENGTH: usize = 48;

/// When leftovers are removed.
#[derive(Args, Clone, Copy, Debug)]
#[command(next_help_heading = "Leftovers in the store")]
pub struct SweepArgs {
    /// How old leftovers of uploads must be to be removed: older than the longest upload can be.
    #[arg(long, env = "SWEEP_AGE_SECONDS", value_name = "SECONDS", default_value_t = 172_800)]
    pub sweep_age_seconds: u64,

    /// How old the objects of a project or run that is gone must be to be removed.
    #[arg(long, env = "SWEEP_ORPHAN_AGE_SECONDS", value_name = "SECONDS", default_value_t = 3600)]
    pub sweep_orphan_age_seconds: u64,

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
        let ago = |seconds| SystemTime::now().checked_sub(Duration::from_secs(seconds));
        let (Some(uploads), Some(orphans)) =
            (ago(args.sweep_age_seconds), ago(args.sweep_orphan_age_seconds))
        else {
            continue;
        };
        let swept = async {
            sweep_uploads(context, uploads).await?;
            sweep_orphans(context, orphans).await
        };
        match swept.await {
            Ok(()) => metrics::counter!("linkage_operator_sweeps_total", "outcome" => "done").increment(1),
            Err(error) => {
                metrics::counter!("linkage_operator_sweeps_total", "outcome" => "failed").increment(1);
                warn!(%error, "leftovers in the store could not be looked for; they will be later");
            }
        }
    }
}

/// Removes the folders of projects and runs that are gone, when all that is in them was written before a time.
///
/// # Errors
/// Fails when Kubernetes or the store refuse or do not answer.
pub async fn sweep_orphans(context: &Context, before: SystemTime) -> Result<(), Error> {
    sweep_kind::<LinkageProject>(context, PROJECTS, before).await?;
    sweep_kind::<LinkageRun>(context, RUNS, before).await
}

async fn sweep_kind<K>(context: &Context, root: &str, before: SystemTime) -> Result<(), Error>
where
    K: Resource<Scope = kube::core::NamespaceResourceScope, DynamicType = ()>
        + Clone
        + std::fmt::Debug
        + DeserializeOwned,
{
    let names: Vec<String> = context.store.folders(root).try_collect().await?;
    let ours: Vec<(&str, &str)> =
        names.iter().filter_map(|name| Some((name.as_str(), context.installation.uid(name)?))).collect();
    if ours.is_empty() {
        return Ok(());
    }
    // asked after the store was: whatever is there belongs to something that was made before
    let living = living::<K>(context).await?;
    for (name, uid) in ours.into_iter().filter(|(_, uid)| !living.contains(*uid)) {
        let folder = format!("{root}{name}/");
        let objects: Vec<ObjectInfo> = context.store.list(&folder).try_collect().await?;
        if objects.iter().any(|object| object.modified.is_none_or(|modified| modified >= before)) {
            continue; // somebody may still be writing
        }
        let deleted = context.store.delete_prefix(&folder).await?;
        info!(uid, folder, objects = deleted.objects, "removed what a resource that is gone has left");
        metrics::counter!("linkage_operator_orphans_removed_total").increment(deleted.objects);
    }
    Ok(())
}

/// The uids of all resources of a kind, by Kubernetes' own word: what is deleted for a mistake is gone.
async fn living<K>(context: &Context) -> Result<BTreeSet<String>, Error>
where
    K: Resource<Scope = kube::core::NamespaceResourceScope, DynamicType = ()>
        + Clone
        + std::fmt::Debug
        + DeserializeOwned,
{
    let mut page = ListParams::default().limit(PAGE);
    let mut uids = BTreeSet::new();
    loop {
        let resources = context.api::<K>().list_metadata(&page).await?;
        uids.extend(resources.items.iter().filter_map(ResourceExt::uid));
        match resources.metadata.continue_.filter(|token| !token.is_empty()) {
            Some(token) => page = page.continue_token(&token),
            None => return Ok(uids),
        }
    }
}

/// Removes the leftovers of uploads that were written last before a time.
async fn sweep_uploads(context: &Context, before: SystemTime) -> Result<(), Error> {
    for root in [PROJECTS, RUNS] {
        // those of projects and runs that are gone, too: parts of objects lie in no folder that could be listed
        let aborted = context.store.abort_unfinished(&context.installation.all_below(root), before).await?;
        if aborted > 0 {
            info!(root, aborted, "removed the parts of objects that were never finished");
            metrics::counter!("linkage_operator_leftovers_removed_total").increment(aborted);
        }
    }
    for project in context.caches.projects.state() {
        sweep_project(context, &project, before).await?;
    }
    Ok(())
}

async fn sweep_project(context: &Context, project: &LinkageProject, before: SystemTime) -> Result<(), Error> {
    let Some(uid) = project.uid() else { return Ok(()) };
    if project.metadata.deletion_timestamp.is_some() {
        return Ok(()); // all of it goes anyway
    }
    let prefix = context.installation.project(&uid);
    let objects: Vec<ObjectInfo> = context.store.list(&prefix).try_collect().await?;
    if objects.is_empty() {
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
    if !leftovers.is_empty() {
        info!(project = project.name_any(), objects = leftovers.len(), "removed leftovers of uploads");
        metrics::counter!("linkage_operator_leftovers_removed_total").increment(leftovers.len() as u64);
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
        .flat_map(|party| {
            let announced = party.announced.as_ref();
            let announced = [
                announced.map(|objects| objects.encodings.as_str()),
                announced.and_then(|objects| objects.blocks.as_deref()),
            ];
            [party.encodings.as_deref(), party.blocks.as_deref()].into_iter().chain(announced)
        })
        .flatten()
        .filter_map(folder)
        .collect();
    let is_old = |object: &ObjectInfo| object.modified.is_some_and(|modified| modified < before);
    // a resumable upload that still goes on began long ago, perhaps
    let going_on: BTreeSet<&str> = objects
        .iter()
        .filter(|object| !is_old(object))
        .filter_map(|object| resumable_upload(object.key.strip_prefix(prefix)?))
        .collect();
    let is_leftover = |object: &&ObjectInfo| {
        let key = object.key.as_str();
        let Some(within) = key.strip_prefix(prefix) else { return false };
        let goes_on = resumable_upload(within).is_some_and(|upload| going_on.contains(upload));
        is_old(object)
            && is_upload(within)
            && !goes_on
            && folder(key).is_some_and(|folder| !kept.contains(folder))
    };
    objects.iter().filter(is_leftover).map(|object| object.key.as_str()).collect()
}

/// Whether a key within a project is of an upload: what the REST service writes, or what a party itself has put there.
/// What Jobs have made of source objects is not: it is looked after with the project.
fn is_upload(key: &str) -> bool {
    let segments: Vec<&str> = key.split('/').collect();
    match segments.as_slice() {
        ["uploads" | "resumable", ..] => true,
        ["parties", _, upload, _] => {
            upload.len() == UPLOAD_ID_LENGTH && upload.bytes().all(|byte| byte.is_ascii_hexdigit())
        }
        _ => false,
    }
}

/// The folder of a resumable upload that a key within a project is of, while the upload is not ended.
fn resumable_upload(key: &str) -> Option<&str> {
    let rest = key.strip_prefix("resumable/")?;
    let (_, rest) = rest.split_once("/unfinished/")?;
    let (id, _) = rest.split_once('/')?;
    key.get(..key.len() - rest.len() + id.len())
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
            "status": {"parties": [{"name": "a", "state": "Contributed", "encodings": contributed},
                {"name": "b", "announced": {"encodings": "projects/u/uploads/1/1/announced.json"}}]}
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
    fn a_resumable_upload_goes_as_a_whole_when_nothing_came_for_long() {
        let of = |id: &str, name: &str, age| {
            object(&format!("projects/u/resumable/0/unfinished/{}/{name}", id.repeat(48)), age)
        };
        let objects = [
            of("a", "description.json", 9 * DAY),
            of("a", "pieces/ffff-0", 9 * DAY),
            of("a", "pieces/fffe-1", DAY / 2),
            of("b", "description.json", 9 * DAY),
            of("b", "pieces/ffff-0", 2 * DAY),
            object("projects/u/resumable/0/outcomes/c.json", 2 * DAY),
            object("projects/u/resumable/0/outcomes/d.json", DAY / 2),
        ];
        let gone: Vec<_> = [3, 4, 5].into_iter().map(|index: usize| objects[index].key.clone()).collect();
        assert_eq!(found("none", &objects), gone);
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
            object("projects/u/uploads/1/1/announced.json", 9 * DAY),
            object("projects/u/parties/0/source-1234/encodings", 9 * DAY),
            object("projects/u/parties/0/source-1234/contribution.json", 9 * DAY),
            object("projects/u/other", 9 * DAY),
            object("projects/u/parties/encodings", 9 * DAY),
        ];
        assert_eq!(found("none", &objects), Vec::<String>::new());
    }
}
