//! Who may call an endpoint: each type here is the proof that a token was judged.

use crds::LinkageProject;

use super::audit::Actor;
use super::auth::{ReadRight, Token};
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
