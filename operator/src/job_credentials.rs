//! Credentials of the object store for one Job: they open what the Job reads and writes, and nothing else, for an hour or so.
//! The store's token service hands them out, where there is one; they lie in a Secret that the Job owns, and are renewed
//! there while the Job lasts. The kubelet brings what is new into the pods.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use crds::labels;
use k8s_openapi::ByteString;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use k8s_openapi::jiff::{SignedDuration, Timestamp};
use kube::api::PostParams;
use kube::{Resource, ResourceExt};
use scorer::store::{Permission, TemporaryCredentials, TokenService};
use tracing::{debug, info};

use crate::caches::{SecretMetadata, is_owned, named};
use crate::context::Context;
use crate::error::Error;
use crate::times;

/// The volume of a Job's pods in which the credentials are.
pub const VOLUME: &str = "store-credentials";
/// Where the volume is mounted.
pub const FOLDER: &str = "/etc/linkage/store";
/// The key in the Secret, and the name of the file.
pub const FILE: &str = "credentials.json";

/// Annotation of the Secret: when to renew it.
const RENEW: &str = "pprl.dev/renew-credentials";
/// So old is a Job at least whose Secret is missed: one that was just made may not be in the caches yet.
const PATIENCE_SECONDS: i64 = 10;

/// What a Job needs of the store.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Access {
    /// Objects that it reads.
    pub objects: BTreeSet<String>,
    /// Folders that it reads, ending in `/`.
    pub folders: BTreeSet<String>,
    /// The folder that it writes, and reads again, ending in `/`.
    pub output: String,
}

/// Where the credentials of Jobs come from.
#[derive(Default)]
pub struct JobCredentials {
    service: Option<TokenService>,
    /// When to ask again for those that could not be renewed, by Secret.
    pauses: Mutex<HashMap<String, Instant>>,
}

impl JobCredentials {
    /// From the store's token service; none without one: then Jobs use the credentials that the settings name.
    pub fn new(service: Option<TokenService>) -> Self {
        Self { service, pauses: Mutex::default() }
    }

    fn pauses(&self, secret: &str) -> bool {
        let pauses = self.pauses.lock().unwrap_or_else(PoisonError::into_inner);
        pauses.get(secret).is_some_and(|until| Instant::now() < *until)
    }

    fn pause(&self, secret: &str, until: Option<Instant>) {
        let mut pauses = self.pauses.lock().unwrap_or_else(PoisonError::into_inner);
        // what is left of Jobs that have gone
        pauses.retain(|_, until| Instant::now() < *until);
        until.map(|until| pauses.insert(secret.to_owned(), until));
    }
}

/// Credentials that no Secret holds yet.
pub struct Granted {
    /// The name of the Secret-to-be.
    pub secret: String,
    credentials: TemporaryCredentials,
}

/// Credentials for a Job that is about to be made; none where the store has no token service.
///
/// # Errors
/// Fails when the token service does not answer, or refuses.
pub async fn grant(context: &Context, job: &str, access: &Access) -> Result<Option<Granted>, Error> {
    // of a name that nobody knows before: another object of that name cannot be in the way
    let secret = format!("{job}-{:08x}", rand::random::<u32>());
    let credentials = ask(context, job, access).await?;
    Ok(credentials.map(|credentials| Granted { secret, credentials }))
}

/// Writes the credentials into the Secret that the Job's pods wait for.
///
/// # Errors
/// Fails when Kubernetes refuses.
pub async fn hand_over(context: &Context, job: &Job, granted: Granted) -> Result<(), Error> {
    let Granted { secret: name, credentials } = granted;
    create(context, job, &name, &credentials).await
}

/// Renews the credentials of a Job that has not ended, when it is time, and replaces a Secret that is gone.
///
/// # Errors
/// Fails when the token service or Kubernetes do not answer, or refuse.
pub async fn keep(context: &Context, job: &Job, access: &Access, now: Timestamp) -> Result<(), Error> {
    let Some(name) = secret_of(job) else { return Ok(()) };
    let known = named(&context.caches.secrets, &context.namespace, name);
    let is_due = match &known {
        Some(known) => renewal(known).is_none_or(|renewal| renewal <= now),
        None => job
            .creation_timestamp()
            .is_none_or(|created| times::left(created.0, PATIENCE_SECONDS, now).is_zero()),
    };
    if !is_due || context.job_credentials.pauses(name) {
        return Ok(());
    }
    let renewed = renew(context, job, name, known.as_deref(), access).await;
    let attempts = format!("credentials of Job {}", job.name_any());
    match &renewed {
        Ok(()) => context.retries.succeeded(&attempts),
        Err(_) => {
            let pause = context.retries.failed(&attempts);
            context.job_credentials.pause(name, Instant::now().checked_add(pause));
        }
    }
    renewed
}

async fn renew(
    context: &Context,
    job: &Job,
    name: &str,
    known: Option<&SecretMetadata>,
    access: &Access,
) -> Result<(), Error> {
    let Some(credentials) = ask(context, &job.name_any(), access).await? else { return Ok(()) };
    match known {
        Some(known) => replace(context, job, known, &credentials).await,
        None => create(context, job, name, &credentials).await,
    }
}

/// The Secret with a Job's own credentials, if it has any.
fn secret_of(job: &Job) -> Option<&str> {
    let volumes = job.spec.as_ref()?.template.spec.as_ref()?.volumes.as_ref()?;
    let volume = volumes.iter().find(|volume| volume.name == VOLUME)?;
    volume.secret.as_ref()?.secret_name.as_deref()
}

async fn ask(context: &Context, job: &str, access: &Access) -> Result<Option<TemporaryCredentials>, Error> {
    let Some(service) = &context.job_credentials.service else { return Ok(None) };
    Ok(Some(service.grant(&permissions(access), job).await?))
}

fn permissions(access: &Access) -> Vec<Permission<'_>> {
    let Access { objects, folders, output } = access;
    // without the right to list, a store says of an object that is not there that it is forbidden
    let mut permissions = vec![
        Permission::List,
        Permission::GetBelow(output),
        Permission::PutBelow(output),
        Permission::DeleteBelow(output),
    ];
    permissions.extend(folders.iter().map(|folder| Permission::GetBelow(folder)));
    permissions.extend(objects.iter().map(|object| Permission::Get(object)));
    permissions
}

async fn create(
    context: &Context,
    job: &Job,
    name: &str,
    credentials: &TemporaryCredentials,
) -> Result<(), Error> {
    let api = context.api::<Secret>();
    match api.create(&PostParams::default(), &secret(job, name, credentials, Timestamp::now())?).await {
        Ok(_) => {
            debug!(job = job.name_any(), secret = name, "handed out credentials of the store");
            Ok(())
        }
        Err(kube::Error::Api(status)) if status.code == 409 => {
            let there = api.get_opt(name).await?;
            match there {
                Some(there) if !is_owned(&there, &job.uid().unwrap_or_default()) => {
                    Err(Error::NameTaken(format!(
                        "the Secret {name} in this namespace belongs to somebody else, and the pods of the Job {} read their \
                         credentials of the object store from a Secret of that name; delete it, and the operator makes it \
                         anew",
                        job.name_any()
                    )))
                }
                _ => Ok(()),
            }
        }
        Err(error) => Err(Error::refused(format!("create the Secret {name}"))(error)),
    }
}

async fn replace(
    context: &Context,
    job: &Job,
    known: &SecretMetadata,
    credentials: &TemporaryCredentials,
) -> Result<(), Error> {
    let name = known.name_any();
    let mut renewed = secret(job, &name, credentials, Timestamp::now())?;
    // of the version that was read: it may be another's meanwhile
    renewed.metadata.resource_version = known.resource_version();
    let replaced = context.api::<Secret>().replace(&name, &PostParams::default(), &renewed).await;
    match replaced {
        // it was renewed or deleted a moment ago
        Err(kube::Error::Api(status)) if matches!(status.code, 404 | 409) => Ok(()),
        replaced => {
            replaced.map_err(Error::refused(format!("write credentials into the Secret {name}")))?;
            info!(job = job.name_any(), secret = name, "renewed the credentials of the store");
            Ok(())
        }
    }
}

fn secret(
    job: &Job,
    name: &str,
    credentials: &TemporaryCredentials,
    now: Timestamp,
) -> Result<Secret, serde_json::Error> {
    let own = |label: &str| job.labels().get(label).map(|value| (label.to_owned(), value.clone()));
    let labels =
        [labels::MANAGED_BY, labels::PROJECT, labels::RUN, labels::OWNER_UID].into_iter().filter_map(own);
    Ok(Secret {
        metadata: ObjectMeta {
            name: Some(name.into()),
            owner_references: job.controller_owner_ref(&()).map(|owner| vec![owner]),
            labels: Some(labels.collect()),
            annotations: Some([(RENEW.into(), half_way(&credentials.expiration, now).to_string())].into()),
            ..ObjectMeta::default()
        },
        data: Some([(FILE.into(), ByteString(serde_json::to_vec(credentials)?))].into()),
        type_: Some("Opaque".into()),
        ..Secret::default()
    })
}

/// When half of the time is over for which credentials are good.
fn half_way(expiration: &str, now: Timestamp) -> Timestamp {
    let Ok(expiration) = expiration.parse::<Timestamp>() else { return now };
    let left: SignedDuration = expiration.duration_since(now).max(SignedDuration::ZERO);
    now.checked_add(left / 2).unwrap_or(now)
}

fn renewal(secret: &SecretMetadata) -> Option<Timestamp> {
    secret.annotations().get(RENEW)?.parse().ok()
}

#[cfg(test)]
#[path = "job_credentials_tests.rs"]
mod tests;
