//! The Secret that hands out the tokens of a project made with kubectl.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, PoisonError};

use crds::tokens::{Role, TokenScope};
use crds::{LinkageProject, ResultType, labels};
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::PostParams;
use kube::{Resource, ResourceExt};
use sha2::{Digest, Sha256};
use tracing::info;

use crate::caches::{SecretMetadata, is_owned, named};
use crate::context::Context;
use crate::error::Error;

/// Annotation: tells which tokens the Secret holds, and nothing of the tokens themselves.
const DIGEST: &str = "pprl.dev/tokens";

/// The versions of Secrets, by uid, that are known to hold the right tokens.
#[derive(Default)]
pub struct CheckedSecrets(Mutex<HashMap<String, String>>);

impl CheckedSecrets {
    fn is_checked(&self, uid: &str, version: &str) -> bool {
        let checked = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // what was there before this operator started is taken for right by its annotation alone
        checked.get(uid).is_none_or(|known| known == version)
    }

    fn note(&self, secret: &impl ResourceExt) {
        let mut checked = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        checked.insert(secret.uid().unwrap_or_default(), secret.resource_version().unwrap_or_default());
    }
}

/// Makes sure that the Secret is there and gives its name. A project created over REST gets none: the answer that created
/// it handed the tokens out, and a Secret would only let more people read them.
///
/// # Errors
/// Fails when Kubernetes refuses, or the Secret of that name is somebody else's: that one is left alone.
pub async fn apply(project: &LinkageProject, context: &Context) -> Result<Option<String>, Error> {
    if project.labels().get(labels::MANAGED_BY).is_some_and(|manager| manager == labels::API) {
        return Ok(None);
    }
    let name = format!("{}-tokens", project.name_any());
    let wanted = secret(&name, project, context);
    let known = named(&context.caches.secrets, &context.namespace, &name);
    if !known.is_some_and(|known| is_as_wanted(&known, &wanted, project, context)) {
        write(&name, wanted, project, context).await?;
    }
    Ok(Some(name))
}

/// Whether the watch says that the Secret is as it should be.
fn is_as_wanted(
    known: &SecretMetadata,
    wanted: &Secret,
    project: &LinkageProject,
    context: &Context,
) -> bool {
    let uid = project.uid().unwrap_or_default();
    known.metadata.deletion_timestamp.is_none()
        && is_owned(known, &uid)
        && known.annotations().get(DIGEST) == wanted.annotations().get(DIGEST)
        && context
            .checked_secrets
            .is_checked(&known.uid().unwrap_or_default(), &known.resource_version().unwrap_or_default())
}

async fn write(name: &str, wanted: Secret, project: &LinkageProject, context: &Context) -> Result<(), Error> {
    let api = context.api::<Secret>();
    let written = match api.get_opt(name).await? {
        None => {
            let created = api.create(&PostParams::default(), &wanted).await;
            created.map_err(Error::refused(format!("create the Secret {name}")))?
        }
        Some(there) => {
            judge(name, &there, project)?;
            if there.data == wanted.data
                && there.annotations().get(DIGEST) == wanted.annotations().get(DIGEST)
            {
                context.checked_secrets.note(&there);
                return Ok(());
            }
            // of the version that was read: it may have become somebody else's meanwhile
            let metadata = ObjectMeta { resource_version: there.resource_version(), ..wanted.metadata };
            let replaced = Secret { metadata, ..wanted };
            let replaced = api.replace(name, &PostParams::default(), &replaced).await;
            replaced.map_err(Error::refused(format!("write the tokens into the Secret {name}")))?
        }
    };
    context.checked_secrets.note(&written);
    info!(project = project.name_any(), secret = name, "wrote the tokens");
    Ok(())
}

fn judge(name: &str, there: &Secret, project: &LinkageProject) -> Result<(), Error> {
    let project_name = project.name_any();
    if there.metadata.deletion_timestamp.is_some() {
        return Err(Error::StillDeleting(format!("Secret {name}")));
    }
    if !is_owned(there, &project.uid().unwrap_or_default()) {
        return Err(Error::NameTaken(format!(
            "the Secret {name} in this namespace is not this project's, and the tokens of project {project_name} need a \
             Secret of that name; delete or rename it, or create the project under another name. The operator leaves the \
             Secret alone, and looks again every minute"
        )));
    }
    if there.immutable == Some(true) {
        return Err(Error::NameTaken(format!(
            "the Secret {name} is immutable and does not hold the tokens of now; delete it, and the operator makes it anew"
        )));
    }
    Ok(())
}

fn secret(name: &str, project: &LinkageProject, context: &Context) -> Secret {
    let tokens = tokens(project, context);
    let digest = hex::encode(Sha256::digest(
        tokens.iter().map(|(key, token)| format!("{key}\n{token}\n")).collect::<String>(),
    ));
    Secret {
        metadata: ObjectMeta {
            name: Some(name.into()),
            owner_references: project.controller_owner_ref(&()).map(|owner| vec![owner]),
            annotations: Some([(DIGEST.into(), digest)].into()),
            labels: Some(
                [
                    (labels::MANAGED_BY.into(), labels::OPERATOR.into()),
                    (labels::PROJECT.into(), project.name_any()),
                ]
                .into(),
            ),
            ..ObjectMeta::default()
        },
        data: Some(tokens.into_iter().map(|(key, token)| (key, ByteString(token.into_bytes()))).collect()),
        type_: Some("Opaque".into()),
        ..Secret::default()
    }
}

/// The tokens by key: `result`, `update-<party>`, for permutations `receipt-<party>`, and with a webhook
/// `webhook-secret`.
fn tokens(project: &LinkageProject, context: &Context) -> BTreeMap<String, String> {
    let token = |role| context.master_key.token(TokenScope::of(project, role), role);
    let mut tokens = BTreeMap::from([("result".to_owned(), token(Role::Result))]);
    for party in &project.spec.parties {
        tokens.insert(format!("update-{}", party.name), token(Role::Update(&party.name)));
        if project.spec.result_type == ResultType::Permutations {
            tokens.insert(format!("receipt-{}", party.name), token(Role::Receipt(&party.name)));
        }
    }
    if project.spec.webhook.is_some() {
        tokens.insert(
            "webhook-secret".to_owned(),
            context.master_key.webhook_secret(TokenScope::of(project, Role::Result)),
        );
    }
    tokens
}
