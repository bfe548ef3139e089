//! Who may call an endpoint: each type here is the proof that a token was judged.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use crds::LinkageProject;

use super::audit::Actor;
use super::auth::{ReadRight, Token};
use super::caller;
use super::identity::{self, Reading};
use crate::App;
use crate::error::Error;

/// Somebody whom a token can stand for.
pub trait Who: Sized + Send {
    /// Whether they are there to change something. Then what Kubernetes itself says counts, not what a watch has told.
    const CHANGES: bool;

    /// Judges a token.
    ///
    /// # Errors
    /// [`Error::Forbidden`] when the token is not theirs.
    fn judge(
        app: &App,
        project: &LinkageProject,
        token: Token,
        reading: Reading<'_>,
    ) -> impl Future<Output = Result<Self, Error>> + Send;

    /// Who it is, for the audit log.
    fn actor(&self) -> Actor<'_>;
}

/// The holder of the result token, who may change the project and its runs.
#[derive(Clone, Copy, Debug)]
pub struct Owner;

/// Who may have a project's tokens replaced: the holder of the result token. Also of the one before, who may be told once more
/// what came of it: whoever judges that asks for more than this token.
#[derive(Clone, Debug)]
pub struct Rotator {
    /// The token, to be judged again at every write.
    pub token: Token,
}

/// The holder of a party's update token.
#[derive(Clone, Debug)]
pub struct Uploader {
    /// The party's position in the project.
    pub party: usize,
    /// The party's name.
    pub name: String,
    /// The token, to be judged again when the upload is there.
    pub token: Token,
}

/// Who may read all of a project: the holder of the result token, or a user of the cluster.
#[derive(Clone, Debug)]
pub struct Analyst(pub ReadRight);

/// An analyst or, for permutations, the holder of a party's receipt token.
#[derive(Clone, Debug)]
pub struct Reader(pub ReadRight);

/// Somebody who shows a token, whatever it is for: of which projects, is still to be found out.
#[derive(Clone, Debug)]
pub struct Someone(Token);

impl Someone {
    /// What they show.
    pub fn token(&self) -> &Token {
        &self.0
    }

    /// Whether it is a user of the cluster who may list all projects.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when Kubernetes does not tell.
    pub async fn may_list_projects(&self, app: &App) -> Result<bool, Error> {
        let (Some(identities), Some(token)) = (&app.identities, identity::kubernetes_token(self.0.text()))
        else {
            return Ok(false);
        };
        let judged = async { identities.allow(&identities.of(token).await?, Reading::Projects).await };
        match judged.await {
            Ok(()) => {
                caller::verified();
                Ok(true)
            }
            Err(Error::Forbidden) => Ok(false),
            Err(error) => Err(error),
        }
    }
}

impl<S: Sync> FromRequestParts<S> for Someone {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Error> {
        Token::of(&parts.headers).map(Self)
    }
}

/// The holder of a party's update or receipt token, whatever the result type.
#[derive(Clone, Debug)]
pub struct Party {
    /// The party's name.
    pub name: String,
}

/// An analyst or a party: who may see that a project has runs, and how far they are.
#[derive(Clone, Debug)]
pub struct Participant {
    /// What they may read. A party, whichever of its tokens it has, reads as with its receipt token.
    pub right: ReadRight,
    token: Token,
}

impl Participant {
    /// Judges the token again, of a project that has changed. A user of the cluster has none.
    ///
    /// # Errors
    /// [`Error::Forbidden`] when the token is not theirs any more.
    pub fn judge_again(&self, app: &App, project: &LinkageProject) -> Result<(), Error> {
        let is_still = match self.right {
            ReadRight::User(_) => true,
            _ => participant(app, project, &self.token).as_ref() == Some(&self.right),
        };
        if is_still { Ok(()) } else { Err(Error::Forbidden) }
    }
}

fn participant(app: &App, project: &LinkageProject, token: &Token) -> Option<ReadRight> {
    let party = || app.judge.party_of(project, token).map(ReadRight::Receipt);
    app.judge.read_right(project, token).or_else(party)
}

impl Who for Party {
    /// What a party is told has texts in it, which a watch does not keep.
    const CHANGES: bool = true;

    async fn judge(app: &App, project: &LinkageProject, token: Token, _: Reading<'_>) -> Result<Self, Error> {
        app.judge.party_of(project, &token).map(|name| Self { name }).ok_or(Error::Forbidden)
    }

    fn actor(&self) -> Actor<'_> {
        Actor::ReceiptToken(&self.name)
    }
}

impl Who for Participant {
    const CHANGES: bool = false;

    async fn judge(
        app: &App,
        project: &LinkageProject,
        token: Token,
        reading: Reading<'_>,
    ) -> Result<Self, Error> {
        if let Some(right) = participant(app, project, &token) {
            return Ok(Self { right, token });
        }
        let Reader(right) = Reader::judge(app, project, token.clone(), reading).await?;
        Ok(Self { right, token })
    }

    fn actor(&self) -> Actor<'_> {
        self.right.actor()
    }
}

impl Who for Owner {
    const CHANGES: bool = true;

    async fn judge(app: &App, project: &LinkageProject, token: Token, _: Reading<'_>) -> Result<Self, Error> {
        match app.judge.read_right(project, &token) {
            Some(ReadRight::Result) => Ok(Self),
            _ => Err(Error::Forbidden),
        }
    }

    fn actor(&self) -> Actor<'_> {
        Actor::ResultToken
    }
}

impl Who for Rotator {
    const CHANGES: bool = true;

    async fn judge(app: &App, project: &LinkageProject, token: Token, _: Reading<'_>) -> Result<Self, Error> {
        if app.judge.is_owner(project, &token) || app.judge.was_owner(project, &token) {
            Ok(Self { token })
        } else {
            Err(Error::Forbidden)
        }
    }

    fn actor(&self) -> Actor<'_> {
        Actor::ResultToken
    }
}

impl Who for Uploader {
    const CHANGES: bool = true;

    async fn judge(app: &App, project: &LinkageProject, token: Token, _: Reading<'_>) -> Result<Self, Error> {
        let party = app.judge.uploading_party(project, &token).ok_or(Error::Forbidden)?;
        let name = project.spec.parties.get(party).ok_or(Error::Forbidden)?.name.clone();
        Ok(Self { party, name, token })
    }

    fn actor(&self) -> Actor<'_> {
        Actor::UpdateToken(&self.name)
    }
}

impl Who for Reader {
    const CHANGES: bool = false;

    async fn judge(
        app: &App,
        project: &LinkageProject,
        token: Token,
        reading: Reading<'_>,
    ) -> Result<Self, Error> {
        if let (Some(identities), Some(token)) = (&app.identities, identity::kubernetes_token(token.text())) {
            let identity = identities.of(token).await?;
            identities.allow(&identity, reading).await?;
            caller::verified();
            return Ok(Self(ReadRight::User(identity)));
        }
        app.judge.read_right(project, &token).map(Self).ok_or(Error::Forbidden)
    }

    fn actor(&self) -> Actor<'_> {
        self.0.actor()
    }
}

impl Who for Analyst {
    const CHANGES: bool = false;

    async fn judge(
        app: &App,
        project: &LinkageProject,
        token: Token,
        reading: Reading<'_>,
    ) -> Result<Self, Error> {
        match Reader::judge(app, project, token, reading).await? {
            Reader(ReadRight::Receipt(_)) => Err(Error::Forbidden),
            Reader(right) => Ok(Self(right)),
        }
    }

    fn actor(&self) -> Actor<'_> {
        self.0.actor()
    }
}
