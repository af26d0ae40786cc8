//! All methods of one path.

use super::{Found, Map};
use crate::routing::Route;
use http::{HeaderValue, Method};
use std::{
    collections::{BTreeMap, hash_map::Entry},
    sync::Arc,
};

/// What a route does not get of a place, because others have it.
#[derive(Clone, Debug, PartialEq)]
pub struct Lost {
    /// Who has it: each route once.
    pub holders: Vec<Arc<Route>>,
    /// Nothing of the place is left.
    pub whole: bool,
}

/// Who answers which method.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct PathTable {
    named: Map<Method, Arc<Route>>,
    /// The route that names no method.
    rest: Option<Arc<Route>>,
    /// Known when the table is built.
    allow: HeaderValue,
}

// === impl PathTable ===

impl PathTable {
    pub(super) fn new() -> Self {
        Self { named: Map::default(), rest: None, allow: HeaderValue::from_static("") }
    }

    pub(super) fn add(&mut self, route: &Arc<Route>) -> Option<Lost> {
        match route.methods.is_empty() {
            true => self.add_rest(route),
            false => self.add_named(route),
        }
    }

    fn add_rest(&mut self, route: &Arc<Route>) -> Option<Lost> {
        let holder = self.rest.get_or_insert_with(|| Arc::clone(route));
        (!Arc::ptr_eq(holder, route)).then(|| Lost { holders: vec![Arc::clone(holder)], whole: true })
    }

    fn add_named(&mut self, route: &Arc<Route>) -> Option<Lost> {
        let mut lost = Lost { holders: vec![], whole: true };
        for method in with_head(&route.methods) {
            match self.named.entry(method) {
                Entry::Vacant(free) => {
                    free.insert(Arc::clone(route));
                    lost.whole = false;
                }
                Entry::Occupied(held) => lost.to(held.get()),
            }
        }
        // A method that a route names twice is its own.
        lost.holders.retain(|holder| !Arc::ptr_eq(holder, route));
        (!lost.holders.is_empty()).then_some(lost)
    }

    /// Every method is answered where a route names none: there is nothing to allow.
    pub(super) fn finish(&mut self) {
        if self.rest.is_none() {
            self.allow = allow(self.named.keys());
        }
    }

    pub(super) fn find(&self, method: &Method) -> Found<'_> {
        match (self.named.get(method), &self.rest) {
            (Some(route), _) => Found::Route(route),
            (None, Some(_)) if self.names_in_upper_case(method) => Found::Ambiguous("method"),
            (None, Some(route)) => Found::Route(route),
            (None, None) => Found::MethodNotAllowed(&self.allow),
        }
    }

    /// Methods are case-sensitive (RFC 9110 §9.1), but some backends take `delete` for DELETE: it must not pass as a method that
    /// no rule names where a rule names DELETE.
    fn names_in_upper_case(&self, method: &Method) -> bool {
        let name = method.as_str();
        let lower = name.bytes().any(|b| b.is_ascii_lowercase());
        lower && Method::from_bytes(name.to_ascii_uppercase().as_bytes()).is_ok_and(|upper| self.named.contains_key(&upper))
    }

    pub(super) fn lines(&self) -> impl Iterator<Item = (Vec<&Method>, &Arc<Route>)> {
        let mut routes: BTreeMap<_, (Vec<&Method>, &Arc<Route>)> = BTreeMap::new();
        for (method, route) in &self.named {
            routes.entry(Arc::as_ptr(route)).or_insert_with(|| (vec![], route)).0.push(method);
        }
        let sorted = |(mut methods, route): (Vec<_>, _)| {
            methods.sort_unstable_by_key(|method: &&Method| method.as_str());
            (methods, route)
        };
        routes.into_values().map(sorted).chain(self.rest.iter().map(|route| (vec![], route)))
    }
}

// === impl Lost ===

impl Lost {
    fn to(&mut self, holder: &Arc<Route>) {
        if !self.holders.iter().any(|known| Arc::ptr_eq(known, holder)) {
            self.holders.push(Arc::clone(holder));
        }
    }
}

/// GET names HEAD too (RFC 9110 §9.3.2).
fn with_head(methods: &[Method]) -> impl Iterator<Item = Method> {
    let head = methods.contains(&Method::GET) && !methods.contains(&Method::HEAD);
    methods.iter().cloned().chain(head.then_some(Method::HEAD))
}

fn allow<'a>(methods: impl Iterator<Item = &'a Method>) -> HeaderValue {
    let mut names: Vec<_> = methods.map(Method::as_str).collect();
    names.sort_unstable();
    HeaderValue::from_str(&names.join(", ")).unwrap_or(HeaderValue::from_static(""))
}
