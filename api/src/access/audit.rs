//! Who did what, and when: one line in the log for each change, and each time that data leaves. With the target `audit`,
//! and the id of the request around it; never with a token.

use std::fmt;

use crds::LinkageProject;
use scorer::telemetry::AUDIT;

/// Who asked for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Actor<'a> {
    /// Anybody who can reach the service: creating a project takes no token.
    Anyone,
    /// The holder of a project's result token.
    ResultToken,
    /// The holder of a party's update token, by the party's name.
    UpdateToken(&'a str),
    /// The holder of a party's receipt token, by the party's name.
    ReceiptToken(&'a str),
    /// A Kubernetes user, by name.
    User(&'a str),
}

/// What was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// A project was created.
    CreateProject,
    /// A project was deleted, with its runs and all data.
    DeleteProject,
    /// A party's encodings were taken in.
    Contribute,
    /// A party's encodings arrived, but cannot be linked.
    RejectContribution,
    /// Credentials were handed out for putting data into the store.
    AuthorizeUpload,
    /// A run was created.
    CreateRun,
    /// A run was deleted, with its result.
    DeleteRun,
    /// A result was handed out.
    ReadResult,
    /// The histogram of a run was handed out.
    ReadHistogram,
    /// Credentials were handed out for reading a result from the store.
    AuthorizeResult,
}

/// Writes the line. The run by its name, where there is one.
pub fn record(actor: Actor<'_>, action: Action, project: &LinkageProject, run: Option<&str>) {
    let project = project.metadata.name.as_deref().unwrap_or_default();
    tracing::info!(target: AUDIT, %actor, ?action, project, run, "audit");
}

impl fmt::Display for Actor<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Anyone => f.write_str("anyone"),
            Self::ResultToken => f.write_str("holder of the result token"),
            Self::UpdateToken(party) => write!(f, "holder of the update token of {party}"),
            Self::ReceiptToken(party) => write!(f, "holder of the receipt token of {party}"),
            Self::User(name) => write!(f, "user {name}"),
        }
    }
}
