//! What guesses hold. A rule whose place cannot be read may have meant any place around the one it is taken to stand at: there
//! no sound rule serves, be it older, or be its path longer.

use super::{
    host::{Basis, Wish},
    salvage::{Guess, Place},
};
use crate::routing::{HostPattern, Route, Spot};
use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
};

/// The first route that holds a place, by host.
#[derive(Debug, Default)]
pub(super) struct Held(HashMap<HostPattern, Places>);

#[derive(Debug, Default)]
struct Places {
    at: HashMap<Spot, Arc<Route>>,
    /// Everything below a prefix, by its key.
    below: HashMap<Arc<str>, Arc<Route>>,
}

/// How `place` is guessed at under the host of `wish`; `None` when it stands there as it was written.
pub(super) fn guess(place: &Place, wish: &Wish) -> Option<Guess> {
    match (wish.basis, &wish.pattern) {
        // The host that was meant may be one of those that this pattern stands for: its own rules would not be the pattern's.
        (Basis::Guessed, HostPattern::Wildcard(_) | HostPattern::Any) => Some(Guess::Path),
        _ => place.guess,
    }
}

/// The hosts that each namespace serves.
pub(super) fn own_hosts<'a>(hosts: impl Iterator<Item = (&'a str, &'a [Wish])>) -> BTreeMap<&'a str, BTreeSet<HostPattern>> {
    let mut own: BTreeMap<&str, BTreeSet<HostPattern>> = BTreeMap::new();
    for (namespace, wishes) in hosts {
        own.entry(namespace).or_default().extend(wishes.iter().map(|wish| wish.pattern.clone()));
    }
    own
}

// === impl Held ===

impl Held {
    pub(super) fn hold(&mut self, host: &HostPattern, spot: &Spot, guess: Guess, route: &Arc<Route>) {
        let places = self.0.entry(host.clone()).or_default();
        match guess {
            Guess::Methods => places.at.entry(spot.clone()).or_insert_with(|| Arc::clone(route)),
            Guess::Path => places.below.entry(Arc::clone(spot.key())).or_insert_with(|| Arc::clone(route)),
        };
    }

    /// The route that answers at `spot` instead of one that can be read.
    pub(super) fn holder(&self, host: &HostPattern, spot: &Spot) -> Option<&Arc<Route>> {
        let places = self.0.get(host)?;
        places.at.get(spot).or_else(|| spot.around().find_map(|prefix| places.below.get(prefix)))
    }
}
