//! Tokens of projects, and what each is good for. What is judged here is computed from the master key; nothing is
//! looked up. [`super::allowed`] asks these questions for every endpoint.

use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use crds::tokens::{self, MasterKey, Role, TokenScope};
use crds::{LinkageProject, ResultType};
use k8s_openapi::jiff::Timestamp;

use super::audit::Actor;
use super::caller;
use super::identity::Identity;
use crate::error::Error;

/// The token that a request carries. It never shows in debug output.
#[derive(Clone)]
pub struct Token(String);

/// Who may read.
#[derive(Clone, Debug, PartialEq)]
pub enum ReadRight {
    /// The holder of the result token.
    Result,
    /// The holder of the receipt token of a party, by the party's name: positions may change, what is in a result does not.
    Receipt(String),
    /// A user of the cluster: what the holder of the result token may read.
    User(Identity),
}

impl ReadRight {
    /// Who it is, for the audit log.
    pub fn actor(&self) -> Actor<'_> {
        match self {
            Self::Result => Actor::ResultToken,
            Self::Receipt(party) => Actor::ReceiptToken(party),
            Self::User(identity) => Actor::User(identity.name()),
        }
    }
}

/// Judges tokens of projects.
#[derive(Clone, Debug)]
pub struct Judge {
    key: MasterKey,
}

impl Judge {
    /// Judges by the installation's master key.
    pub fn new(key: MasterKey) -> Self {
        Self { key }
    }

    /// The installation's master key.
    pub fn key(&self) -> &MasterKey {
        &self.key
    }

    /// The token for a role in a project.
    pub fn token(&self, project: &LinkageProject, role: Role<'_>) -> String {
        self.key.token(TokenScope::of(project, role), role)
    }

    /// Whether this is the result token.
    pub fn is_owner(&self, project: &LinkageProject, token: &Token) -> bool {
        self.is(project, token, Role::Result)
    }

    /// Whether this was the result token until all tokens were replaced last.
    pub fn was_owner(&self, project: &LinkageProject, token: &Token) -> bool {
        let scope = TokenScope::of(project, Role::Result);
        let former = TokenScope { generation: scope.generation - 1, ..scope };
        project.metadata.uid.is_some()
            && former.generation >= 1
            && self.key.verify(former, Role::Result, &token.0)
            && !is_expired(project, Role::Result)
    }

    /// By what a rotation of a project's tokens is known again.
    pub fn rotation(&self, project: &LinkageProject, asked_with: &str) -> String {
        self.key.rotation(project.metadata.uid.as_deref().unwrap_or_default(), asked_with)
    }

    /// The party whose update token this is, by its position.
    pub fn uploading_party(&self, project: &LinkageProject, token: &Token) -> Option<usize> {
        self.party(project, token, Role::Update)
    }

    /// The party whose update or receipt token this is, by its name.
    pub fn party_of(&self, project: &LinkageProject, token: &Token) -> Option<String> {
        let (update, receipt) =
            (self.party(project, token, Role::Update), self.party(project, token, Role::Receipt));
        let party = project.spec.parties.get(update.or(receipt)?)?;
        Some(party.name.clone())
    }

    /// The secret by which a project's webhooks are signed.
    pub fn webhook_secret(&self, project: &LinkageProject) -> String {
        self.key.webhook_secret(TokenScope::of(project, Role::Result))
    }

    /// What the token may read of a project: all with the result token; with a receipt token, which is there for
    /// permutations only, what concerns its party.
    pub fn read_right(&self, project: &LinkageProject, token: &Token) -> Option<ReadRight> {
        if self.is(project, token, Role::Result) {
            return Some(ReadRight::Result);
        }
        if project.spec.result_type != ResultType::Permutations {
            return None;
        }
        let party = project.spec.parties.get(self.party(project, token, Role::Receipt)?)?;
        Some(ReadRight::Receipt(party.name.clone()))
    }

    /// Whether this is any of the project's tokens.
    pub fn opens(&self, project: &LinkageProject, token: &Token) -> bool {
        self.is(project, token, Role::Result)
            || self.party(project, token, Role::Update).is_some()
            || self.party(project, token, Role::Receipt).is_some()
    }

    fn is(&self, project: &LinkageProject, token: &Token, role: Role<'_>) -> bool {
        // a project that was read from Kubernetes has a uid; without one its tokens could be another's
        let is = project.metadata.uid.is_some()
            && self.key.verify(TokenScope::of(project, role), role, &token.0)
            && !is_expired(project, role);
        if is {
            caller::verified();
        }
        is
    }

    /// Tries every party, also after the right one was found: the time does not tell which it is.
    fn party<'p>(
        &self,
        project: &'p LinkageProject,
        token: &Token,
        role: impl Fn(&'p str) -> Role<'p>,
    ) -> Option<usize> {
        let parties = project.spec.parties.iter().enumerate();
        parties.fold(
            None,
            |found, (index, party)| {
                if self.is(project, token, role(&party.name)) { Some(index) } else { found }
            },
        )
    }
}

/// By this service's clock.
fn is_expired(project: &LinkageProject, role: Role<'_>) -> bool {
    tokens::expiry(&project.spec, role).is_some_and(|expiry| expiry <= Timestamp::now())
}

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Token(…)")
    }
}

impl From<&str> for Token {
    fn from(token: &str) -> Self {
        Self(token.into())
    }
}

impl Token {
    /// The token in a request's headers.
    ///
    /// # Errors
    /// [`Error::MissingToken`] when there is none.
    pub fn of(headers: &HeaderMap) -> Result<Self, Error> {
        let header = headers.get(AUTHORIZATION).ok_or(Error::MissingToken)?;
        // what is no text is no token either, but it is not missing
        Ok(Self(header.to_str().unwrap_or_default().to_owned()))
    }

    /// What the header says. It must never reach a log or an answer.
    pub(super) fn text(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
    use serde_json::json;

    fn judge() -> Judge {
        Judge::new(MasterKey::new(&[1; 32]).unwrap())
    }

    fn project(result_type: &str) -> LinkageProject {
        serde_json::from_value(json!({
            "apiVersion": "pprl.dev/v1alpha1", "kind": "LinkageProject",
            "metadata": {"name": "p", "uid": "uid-1"},
            "spec": {"resultType": result_type, "parties": [{"name": "a"}, {"name": "b"}]}
        }))
        .unwrap()
    }

    fn token(project: &LinkageProject, role: Role<'_>) -> Token {
        Token(judge().token(project, role))
    }

    #[test]
    fn an_update_token_tells_its_party() {
        let project = project("Groups");
        assert_eq!(judge().uploading_party(&project, &token(&project, Role::Update("a"))), Some(0));
        assert_eq!(judge().uploading_party(&project, &token(&project, Role::Update("b"))), Some(1));
        for role in [Role::Result, Role::Receipt("a"), Role::Update("c")] {
            assert_eq!(judge().uploading_party(&project, &token(&project, role)), None);
        }
        assert_eq!(judge().uploading_party(&project, &Token(String::new())), None);
    }

    #[test]
    fn a_receipt_token_reads_permutations_only() {
        let (groups, permutations) = (project("Groups"), project("Permutations"));
        let receipt = token(&groups, Role::Receipt("b"));
        assert_eq!(judge().read_right(&groups, &receipt), None);
        assert_eq!(judge().read_right(&permutations, &receipt), Some(ReadRight::Receipt("b".into())));
        assert_eq!(judge().read_right(&groups, &token(&groups, Role::Result)), Some(ReadRight::Result));
        assert_eq!(judge().read_right(&permutations, &token(&groups, Role::Update("a"))), None);
    }

    #[test]
    fn rotation_makes_tokens_useless() {
        let old = project("Groups");
        let mut new = old.clone();
        new.spec.token_generation = 2;
        assert_eq!(judge().read_right(&new, &token(&old, Role::Result)), None);
        assert_eq!(judge().uploading_party(&new, &token(&old, Role::Update("a"))), None);
    }

    #[test]
    fn a_token_is_good_until_it_expires_and_again_when_its_time_is_prolonged() {
        let mut project = project("Permutations");
        let update = token(&project, Role::Update("a"));
        let (receipt, result) = (token(&project, Role::Receipt("a")), token(&project, Role::Result));
        let now = Timestamp::now().as_second();
        let time = |seconds: i64| Some(Time(Timestamp::from_second(now + seconds).unwrap()));
        let good = |project: &LinkageProject| {
            [
                judge().uploading_party(project, &update).is_some(),
                judge().read_right(project, &receipt).is_some(),
                judge().read_right(project, &result).is_some(),
            ]
        };
        project.spec.tokens_expire_at = time(3600);
        assert_eq!(good(&project), [true; 3]);
        project.spec.tokens_expire_at = time(-1);
        assert_eq!(good(&project), [false; 3]);
        project.spec.parties[0].tokens_expire_at = time(3600);
        assert_eq!(good(&project), [true, true, false]);
        project.spec.tokens_expire_at = None;
        project.spec.parties[0].tokens_expire_at = time(-1);
        assert_eq!(good(&project), [false, false, true]);
        project.spec.parties[0].tokens_expire_at = None;
        assert_eq!(good(&project), [true; 3]);
    }

    #[test]
    fn a_project_without_uid_has_no_tokens() {
        let mut project = project("Groups");
        project.metadata.uid = None;
        assert_eq!(judge().read_right(&project, &token(&project, Role::Result)), None);
    }

    #[test]
    fn a_token_is_never_printed() {
        assert_eq!(format!("{:?}", Token("secret".into())), "Token(…)");
    }
}
