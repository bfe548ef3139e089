//! How the API server misbehaves.

use crate::call::{Request, Verb};
use crate::refusal::Refusal;

/// How the API server misbehaves, and at which requests. Without more it fits all requests, for ever.
#[derive(Clone, Debug)]
pub struct Fault {
    verb: Option<Verb>,
    plural: Option<String>,
    name: Option<String>,
    subresource: Option<String>,
    /// How often it still happens; none for ever.
    left: Option<u32>,
    misbehaviour: Misbehaviour,
}

/// What happens to a request.
#[derive(Clone, Debug)]
pub(crate) enum Misbehaviour {
    Refuses(Refusal),
    LosesAnswer,
    Hangs,
    RefusesConnection,
}

impl Fault {
    fn new(misbehaviour: Misbehaviour) -> Self {
        Self { verb: None, plural: None, name: None, subresource: None, left: None, misbehaviour }
    }

    /// The request is refused, and nothing is done.
    pub fn refuses(refusal: Refusal) -> Self {
        Self::new(Misbehaviour::Refuses(refusal))
    }

    /// The request is done, and the connection breaks before the answer has come.
    pub fn loses_answer() -> Self {
        Self::new(Misbehaviour::LosesAnswer)
    }

    /// No answer comes, ever, and nothing is done.
    pub fn hangs() -> Self {
        Self::new(Misbehaviour::Hangs)
    }

    /// There is no API server to connect to. Open watches end.
    pub fn refuses_connection() -> Self {
        Self::new(Misbehaviour::RefusesConnection)
    }

    /// Only requests of a verb to a kind of object.
    pub fn on(mut self, verb: Verb, plural: &str) -> Self {
        (self.verb, self.plural) = (Some(verb), Some(plural.into()));
        self
    }

    /// Only requests for an object of this name.
    pub fn named(mut self, name: &str) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Only requests for a subresource, such as `status`.
    pub fn subresource(mut self, subresource: &str) -> Self {
        self.subresource = Some(subresource.into());
        self
    }

    /// So many requests, and then no more.
    pub fn times(mut self, times: u32) -> Self {
        self.left = Some(times);
        self
    }

    /// One request.
    pub fn once(self) -> Self {
        self.times(1)
    }

    /// Whether it makes open watches end.
    pub(crate) fn ends_watches(&self) -> bool {
        matches!(self.misbehaviour, Misbehaviour::RefusesConnection)
            && self.verb.is_none_or(|verb| verb == Verb::Watch)
    }

    fn fits(&self, request: &Request) -> bool {
        self.left != Some(0)
            && self.verb.is_none_or(|verb| verb == request.verb)
            && self.plural.as_ref().is_none_or(|plural| *plural == request.plural)
            && (self.name.is_none() || self.name == request.name)
            && (self.subresource.is_none() || self.subresource == request.subresource)
    }
}

/// What happens to a request, if anything; counts it.
pub(crate) fn strike(faults: &mut [Fault], request: &Request) -> Option<Misbehaviour> {
    let fault = faults.iter_mut().find(|fault| fault.fits(request))?;
    fault.left = fault.left.map(|left| left - 1);
    Some(fault.misbehaviour.clone())
}
