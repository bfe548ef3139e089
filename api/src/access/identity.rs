//! The cluster's own users and their programs: who reads with a Kubernetes token (`Authorization: Bearer …`) instead of
//! a project's may read what the cluster's RBAC lets them read of the two resources. They can change nothing here: for
//! that there is the Kubernetes API.

use std::time::Duration;

use k8s_openapi::api::authentication::v1::{TokenReview, TokenReviewSpec, UserInfo};
use k8s_openapi::api::authorization::v1::{ResourceAttributes, SubjectAccessReview, SubjectAccessReviewSpec};
use kube::api::PostParams;
use kube::{Api, Client};

use crate::error::Error;

/// Before the token of a Kubernetes identity.
const SCHEME: &str = "Bearer ";
/// No answer within this time counts as none.
const PATIENCE: Duration = Duration::from_secs(10);

/// Asks Kubernetes who somebody is, and what they may do.
pub struct Identities {
    tokens: Api<TokenReview>,
    access: Api<SubjectAccessReview>,
    namespace: String,
}

/// Somebody whom Kubernetes knows.
#[derive(Clone, Debug, PartialEq)]
pub struct Identity(UserInfo);

/// What is to be read: `get`, or `list` where no one is named.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reading<'a> {
    /// A project, by its name.
    Project(&'a str),
    /// The runs of a project, or one of them by its name.
    Runs(Option<&'a str>),
    /// The ids of all projects.
    Projects,
    /// To create a project, which is more than reading.
    CreateProject,
    /// The result of a run: `linkageruns/result`, a subresource that only access is decided by.
    RunResult(&'a str),
}

/// The Kubernetes token in a header, if it holds one.
pub fn kubernetes_token(authorization: &str) -> Option<&str> {
    let scheme = authorization.get(..SCHEME.len())?;
    scheme.eq_ignore_ascii_case(SCHEME).then(|| authorization[SCHEME.len()..].trim())
}

impl Identities {
    /// Access to the resources of a namespace.
    pub fn new(client: Client, namespace: &str) -> Self {
        Self { tokens: Api::all(client.clone()), access: Api::all(client), namespace: namespace.into() }
    }

    /// Who holds a token.
    ///
    /// # Errors
    /// [`Error::Forbidden`] when Kubernetes does not know it; [`Error::Unavailable`] when it does not answer.
    pub async fn of(&self, token: &str) -> Result<Identity, Error> {
        self.review(token, None).await
    }

    /// Who holds a token that was made for this audience.
    ///
    /// # Errors
    /// As [`Identities::of`]; [`Error::Forbidden`] also when it is for others.
    pub async fn of_audience(&self, token: &str, audience: &str) -> Result<Identity, Error> {
        self.review(token, Some(audience)).await
    }

    async fn review(&self, token: &str, audience: Option<&str>) -> Result<Identity, Error> {
        let audiences = audience.map(|audience| vec![audience.to_owned()]);
        let spec = TokenReviewSpec { token: Some(token.into()), audiences };
        let review = TokenReview { spec, ..TokenReview::default() };
        let status = answer(self.tokens.create(&PostParams::default(), &review)).await?.status;
        let status = status.filter(|status| status.authenticated == Some(true)).ok_or(Error::Forbidden)?;
        // an authenticator that knows no audiences names none, and its word is for the API server alone
        let named = |audience: &str| status.audiences.iter().flatten().any(|named| named == audience);
        if audience.is_some_and(|audience| !named(audience)) {
            return Err(Error::Forbidden);
        }
        status.user.map(Identity).ok_or(Error::Forbidden)
    }

    /// Lets somebody read something, if they may.
    ///
    /// # Errors
    /// [`Error::Forbidden`] when they may not; [`Error::Unavailable`] when Kubernetes does not answer.
    pub async fn allow(&self, identity: &Identity, reading: Reading<'_>) -> Result<(), Error> {
        let review = SubjectAccessReview { spec: self.question(identity, reading), ..Default::default() };
        let status = answer(self.access.create(&PostParams::default(), &review)).await?.status;
        if status.is_some_and(|status| status.allowed && status.denied != Some(true)) {
            Ok(())
        } else {
            Err(Error::Forbidden)
        }
    }

    fn question(&self, Identity(user): &Identity, reading: Reading<'_>) -> SubjectAccessReviewSpec {
        let (verb, resource, subresource, name) = match reading {
            Reading::Project(name) => ("get", "linkageprojects", None, Some(name)),
            Reading::Projects => ("list", "linkageprojects", None, None),
            Reading::CreateProject => ("create", "linkageprojects", None, None),
            Reading::Runs(None) => ("list", "linkageruns", None, None),
            Reading::Runs(Some(name)) => ("get", "linkageruns", None, Some(name)),
            Reading::RunResult(name) => ("get", "linkageruns", Some("result"), Some(name)),
        };
        let attributes = ResourceAttributes {
            group: Some("pprl.dev".into()),
            version: Some("v1alpha1".into()),
            namespace: Some(self.namespace.clone()),
            verb: Some(verb.into()),
            resource: Some(resource.into()),
            subresource: subresource.map(Into::into),
            name: name.map(Into::into),
            ..ResourceAttributes::default()
        };
        SubjectAccessReviewSpec {
            user: user.username.clone(),
            uid: user.uid.clone(),
            groups: user.groups.clone(),
            extra: user.extra.clone(),
            resource_attributes: Some(attributes),
            ..SubjectAccessReviewSpec::default()
        }
    }
}

impl Identity {
    /// The name by which Kubernetes knows them, such as `system:serviceaccount:research:analysis`.
    pub fn name(&self) -> &str {
        self.0.username.as_deref().unwrap_or_default()
    }
}

async fn answer<T>(request: impl Future<Output = Result<T, kube::Error>>) -> Result<T, Error> {
    match tokio::time::timeout(PATIENCE, request).await {
        Ok(Ok(answer)) => Ok(answer),
        // the message could quote the request, in which the token is
        Ok(Err(kube::Error::Api(status))) if status.code == 403 => {
            Err(Error::Internal("the service may not ask Kubernetes who its users are".into()))
        }
        Ok(Err(kube::Error::Api(status))) if matches!(status.code, 400 | 413 | 422) => Err(Error::Forbidden),
        Ok(Err(_)) | Err(_) => Err(Error::Unavailable("Kubernetes does not tell who its users are".into())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kubernetes_token_is_told_from_a_projects() {
        assert_eq!(kubernetes_token("Bearer abc.def"), Some("abc.def"));
        assert_eq!(kubernetes_token("bearer  abc "), Some("abc"));
        for other in ["", "Bearer", "Basic abc", "0123456789abcdef", "ä", "Bearerä abc"] {
            assert_eq!(kubernetes_token(other), None, "{other}");
        }
    }
}
