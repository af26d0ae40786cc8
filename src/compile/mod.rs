//! OBJECTS -> SNAPSHOT + VERDICTS. Pure and total: no error type, no clock, no I/O. What is wrong with an object becomes a
//! [`Verdict`] and, in the table, a rule that refuses in place.

mod inputs;
mod verdict;

pub use self::{
    inputs::{EndpointObject, HostBinding, HostClaim, Inputs, Ownership, ServiceObject, ServicePort},
    verdict::{Condition, ObjectRef, Reason, Verdict},
};

use crate::{
    jwt::{Provider, ProviderId},
    routing::{BackendId, Snapshot},
};
use std::collections::BTreeMap;

/// Everything that follows from one view of the cluster.
#[derive(Clone, Debug, PartialEq)]
pub struct Compiled {
    pub snapshot: Snapshot,
    /// Distinct key sources, each at the shortest interval asked for. Sorted by id.
    pub providers: Vec<Provider>,
    /// Distinct backends that routes name. Sorted.
    pub backends: Vec<BackendId>,
    /// One line per object of this class, sorted by namespace and name.
    pub outcomes: BTreeMap<ObjectRef, Outcome>,
}

/// What became of one object.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    pub generation: i64,
    /// `Accepted` and `ResolvedRefs`, always both, in this order.
    pub verdicts: [Verdict; 2],
    /// The hosts this object serves (owned by its namespace), in spec order; `*` when it names none.
    pub hosts: Vec<String>,
    /// Where its keys come from, when its auth block could be compiled.
    pub provider: Option<ProviderId>,
}

/// Compiles the whole view. Equal inputs give equal results, in whatever order the lists come.
pub fn compile(inputs: &Inputs) -> Compiled {
    todo!()
}
