//! The Secret that hands out the tokens of a project made with kubectl.

use std::collections::BTreeMap;

use crds::tokens::{Role, TokenScope};
use crds::{LinkageProject, ResultType, labels};
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::{Patch, PatchParams};
use kube::{Resource, ResourceExt};

use crate::context::{Context, Error, FIELD_MANAGER};

/// Applies the Secret and gives its name. A project created over REST gets none: the answer that created it handed
/// the tokens out, and a Secret would only let more people read them.
pub async fn apply(project: &LinkageProject, context: &Context) -> Result<Option<String>, Error> {
    if project.labels().get(labels::MANAGED_BY).is_some_and(|manager| manager == labels::API) {
        return Ok(None);
    }
    let name = format!("{}-tokens", project.name_any());
    let secret = Secret {
        metadata: ObjectMeta {
            name: Some(name.clone()),
            owner_references: project.controller_owner_ref(&()).map(|owner| vec![owner]),
            labels: Some(
                [
                    (labels::MANAGED_BY.into(), labels::OPERATOR.into()),
                    (labels::PROJECT.into(), project.name_any()),
                ]
                .into(),
            ),
            ..ObjectMeta::default()
        },
        string_data: Some(tokens(project, context)),
        type_: Some("Opaque".into()),
        ..Secret::default()
    };
    let parameters = PatchParams::apply(FIELD_MANAGER).force();
    context.api::<Secret>().patch(&name, &parameters, &Patch::Apply(&secret)).await?;
    Ok(Some(name))
}

/// The tokens by key: `result`, `update-<party>`, and for permutations `receipt-<party>`.
fn tokens(project: &LinkageProject, context: &Context) -> BTreeMap<String, String> {
    let uid = project.uid().unwrap_or_default();
    let scope = TokenScope { project_uid: &uid, generation: project.spec.token_generation };
    let token = |role| context.master_key.token(scope, role);
    let mut tokens = BTreeMap::from([("result".to_owned(), token(Role::Result))]);
    for party in &project.spec.parties {
        tokens.insert(format!("update-{}", party.name), token(Role::Update(&party.name)));
        if project.spec.result_type == ResultType::Permutations {
            tokens.insert(format!("receipt-{}", party.name), token(Role::Receipt(&party.name)));
        }
    }
    tokens
}
