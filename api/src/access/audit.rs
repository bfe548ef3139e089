//! Who did what, and when: a line in the audit log for each change, each time that data leaves, and each time that a token is
//! refused. Never with a token.

use std::fmt;

use crds::LinkageProject;

use crate::access::audit_log::{self, Told};
use crate::access::creation::Creator;
use crate::kubernetes::cluster::is_name;

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
    /// The holder of a creation token.
    CreationToken,
    /// A Kubernetes user, by name.
    User(&'a str),
}

impl<'a> From<&'a Creator> for Actor<'a> {
    fn from(creator: &'a Creator) -> Self {
        match creator {
            Creator::Anyone => Self::Anyone,
            Creator::TokenHolder => Self::CreationToken,
            Creator::User(name) => Self::User(name),
        }
    }
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
    /// A party announced objects that it has put into the store; what came of them is told on the project.
    AnnounceContribution,
    /// A party's encodings arrived, but cannot be linked.
    RejectContribution,
    /// A resumable upload was begun.
    BeginUpload,
    /// Credentials were handed out for putting data into the store.
    AuthorizeUpload,
    /// A party's data was withdrawn by it.
    Withdraw,
    /// Tokens were replaced by new ones.
    RotateTokens,
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
    let project = project.metadata.name.as_deref();
    let (action, who) = (format!("{action:?}"), Some(actor.to_string()));
    audit_log::write(&Told { action: &action, outcome: "done", who, project, run, status: None });
}

/// Writes that a request was refused: what was asked for, by method and route, and of which project and run.
pub fn refuse(asked: &str, path: &str, status: u16) {
    // below /api/v1/projects/ALPHA/runs/BETA; what is no name is not repeated
    let mut segments =
        path.split('/').filter(|segment| !segment.is_empty()).skip_while(|segment| *segment != "projects");
    let mut name = || segments.nth(1).filter(|name| is_name(name));
    let (project, run) = (name(), name());
    audit_log::write(&Told {
        action: asked,
        outcome: "refused",
        who: None,
        project,
        run,
        status: Some(status),
    });
}

impl fmt::Display for Actor<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Anyone => f.write_str("anyone"),
            Self::CreationToken => f.write_str("holder of a creation token"),
            Self::ResultToken => f.write_str("holder of the result token"),
            Self::UpdateToken(party) => write!(f, "holder of the update token of {party}"),
            Self::ReceiptToken(party) => write!(f, "holder of the receipt token of {party}"),
            Self::User(name) => write!(f, "user {name}"),
        }
    }
}
