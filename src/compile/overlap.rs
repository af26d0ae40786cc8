//! What a rule does not get of its places, and what its author is told.

use super::{
    report::{Problem, Report},
    verdict::Reason,
};
use crate::routing::{Access, HostPattern, Lost, Plan, Route, RuleId, Spot};
use std::{fmt::Write, sync::Arc};

/// The losses of one rule, one for all hosts where the same routes keep its place.
#[derive(Debug)]
pub(super) struct Losses {
    rule: RuleId,
    places: usize,
    /// Of those, how many it gets nothing of.
    whole: usize,
    losses: Vec<Loss>,
}

#[derive(Debug)]
struct Loss {
    kind: Kind,
    /// The first, and how many more.
    host: (HostPattern, usize),
    spot: Spot,
    /// What keeps the place is Public, and the rule is not.
    opens: bool,
}

#[derive(Debug, PartialEq)]
enum Kind {
    Taken(Lost),
    /// By a rule that may have meant this place.
    Guessed(Arc<Route>),
}

// === impl Losses ===

impl Losses {
    pub(super) fn of(rule: &RuleId) -> Self {
        Self { rule: rule.clone(), places: 0, whole: 0, losses: vec![] }
    }

    /// `lost`: what `route` does not get of a place.
    pub(super) fn place(&mut self, host: &HostPattern, spot: &Spot, route: &Route, lost: Option<Lost>) {
        self.places += 1;
        // What is made out of a broken object may well stand where another broken one does.
        let lost = lost.filter(|lost| !(is_refused(route) && lost.holders.iter().all(|holder| holder.plan == route.plan)));
        if let Some(lost) = lost {
            self.whole += usize::from(lost.whole);
            let opens = !is_public(route) && lost.holders.iter().any(|holder| is_public(holder));
            self.note(host, spot, opens, Kind::Taken(lost));
        }
    }

    /// `holder` answers for the whole place.
    pub(super) fn guessed(&mut self, host: &HostPattern, spot: &Spot, holder: &Arc<Route>) {
        self.places += 1;
        self.whole += 1;
        self.note(host, spot, false, Kind::Guessed(Arc::clone(holder)));
    }

    /// A rule that gets no place at all is a problem, and so is one that repeats another of its object.
    pub(super) fn tell(self, report: &mut Report) {
        let nothing_left = self.places > 0 && self.whole == self.places;
        for loss in &self.losses {
            match loss.judge(&self.rule, nothing_left) {
                Some(reason) => report.invalid(Problem { reason, message: loss.message(&self.rule) }),
                None => report.note(loss.message(&self.rule)),
            }
        }
    }

    fn note(&mut self, host: &HostPattern, spot: &Spot, opens: bool, kind: Kind) {
        match self.losses.iter_mut().find(|known| known.kind.is_same(&kind)) {
            Some(known) => known.host.1 += 1,
            None => self.losses.push(Loss { kind, host: (host.clone(), 0), spot: spot.clone(), opens }),
        }
    }
}

// === impl Loss ===

impl Loss {
    /// `None` when it is but worth knowing.
    fn judge(&self, rule: &RuleId, nothing_left: bool) -> Option<Reason> {
        match &self.kind {
            Kind::Taken(lost) if lost.whole && lost.holders.iter().all(|holder| is_own(rule, holder)) => Some(Reason::Invalid),
            // That rule is a problem of this object already.
            Kind::Guessed(holder) if is_own(rule, holder) => None,
            Kind::Taken(_) | Kind::Guessed(_) => nothing_left.then_some(Reason::Overlapped),
        }
    }

    fn message(&self, rule: &RuleId) -> String {
        let (place, open) = (self.place(), if self.opens { ", which is Public" } else { "" });
        match &self.kind {
            Kind::Guessed(holder) if is_own(rule, holder) => {
                format!("until {} can be read, whatever it may have meant answers 503", holder.id.rule)
            }
            Kind::Guessed(holder) => {
                format!("{}: {place} answers 503, because {} cannot be read and may have meant it; correct that rule", rule.rule, holder.id)
            }
            Kind::Taken(Lost { holders, whole }) => {
                let part = if *whole { "" } else { " for the methods they share" };
                let own = holders.iter().all(|holder| is_own(rule, holder));
                let once = if own { "; each path, pathType and method once" } else { "" };
                format!("{}: {place} is served by {}{part}{open}{once}", rule.rule, names(rule, holders))
            }
        }
    }

    fn place(&self) -> String {
        let ((host, more), spot) = (&self.host, &self.spot);
        let mut place = format!("{:?} {} of {host}", spot.kind(), spot.path());
        if *more > 0 {
            let hosts = if *more == 1 { "host" } else { "hosts" };
            // Writing to a String cannot fail.
            let _ = write!(place, " and {more} more {hosts}");
        }
        place
    }
}

// === impl Kind ===

impl Kind {
    /// The same routes, the very same.
    fn is_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Taken(a), Self::Taken(b)) => {
                let same = |(a, b): (&Arc<Route>, &Arc<Route>)| a.id == b.id;
                a.whole == b.whole && a.holders.len() == b.holders.len() && a.holders.iter().zip(&b.holders).all(same)
            }
            (Self::Guessed(a), Self::Guessed(b)) => a.id == b.id,
            (Self::Taken(_), Self::Guessed(_)) | (Self::Guessed(_), Self::Taken(_)) => false,
        }
    }
}

fn names(rule: &RuleId, holders: &[Arc<Route>]) -> String {
    holders.iter().map(|holder| name(rule, holder)).collect::<Vec<_>>().join(" and ")
}

fn name(rule: &RuleId, holder: &Route) -> String {
    match is_own(rule, holder) {
        true => holder.id.rule.to_string(),
        false => format!("the older {}", holder.id),
    }
}

fn is_own(rule: &RuleId, holder: &Route) -> bool {
    (&rule.namespace, &rule.name) == (&holder.id.namespace, &holder.id.name)
}

fn is_refused(route: &Route) -> bool {
    matches!(route.plan, Plan::Refuse(_))
}

pub(super) fn is_public(route: &Route) -> bool {
    matches!(&route.plan, Plan::Serve(serve) if matches!(serve.access, Access::Public(_)))
}
