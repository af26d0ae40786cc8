//! Which decisions a request has passed: kept only where somebody asks why.

use super::credentials::{Place, Presented};
use crate::routing::Route;
use std::sync::Arc;

/// A decision in the request's favour. The order in which they are noted is the order in which they are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Host, path and framing can be read in one way only.
    Target,
    Route,
    /// The rule is sound.
    Plan,
    /// What the backend will be asked for can be written down.
    Rewrite,
    /// No token is asked for.
    Public,
    /// There is exactly one token, and it is here.
    Credentials(Place),
    /// Not another site's doing.
    Origin,
    Token,
    /// Scopes, permissions, roles and claims suffice.
    Permission,
    /// Not here for the third time.
    Loop,
    /// The claims fit into their headers.
    Identity,
}

/// Empty, and free, for requests that come over a socket.
#[derive(Debug, Default)]
pub(super) struct Trail(Option<Kept>);

#[derive(Default)]
pub(super) struct Kept {
    pub(super) steps: Vec<Step>,
    pub(super) route: Option<Arc<Route>>,
    pub(super) token: Option<String>,
}

// === impl Trail ===

impl Trail {
    pub(super) fn kept() -> Self {
        Self(Some(Kept::default()))
    }

    pub(super) fn pass(&mut self, step: Step) {
        if let Some(kept) = &mut self.0 {
            kept.steps.push(step);
        }
    }

    pub(super) fn pass_route(&mut self, route: &Arc<Route>) {
        self.pass(Step::Route);
        if let Some(kept) = &mut self.0 {
            kept.route = Some(Arc::clone(route));
        }
    }

    pub(super) fn pass_credentials(&mut self, presented: &Presented) {
        self.pass(Step::Credentials(presented.place));
        if let Some(kept) = &mut self.0 {
            kept.token = Some(presented.token.clone());
        }
    }

    pub(super) fn take(&mut self) -> Kept {
        self.0.take().unwrap_or_default()
    }
}

/// Without the token.
impl std::fmt::Debug for Kept {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Kept").field("steps", &self.steps).finish_non_exhaustive()
    }
}
