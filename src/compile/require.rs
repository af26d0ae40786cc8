//! From `require` to the lines that claims must hold.

use super::{
    field,
    headers::claim_name,
    report::{Problem, Report},
};
use crate::{
    api::{ClaimValues, Require, ScopesMatch},
    authz::Line,
    jwt::ClaimName,
};
use std::fmt::Display;

const MAX_LIST: usize = 64;
const MAX_WORD: usize = 256;
const MAX_CLAIMS: usize = 16;

/// `None` when a line would be missing. Without `require` nothing is asked for; with one that asks for nothing its author meant
/// something else.
pub(super) fn compile(field: &dyn Display, require: Option<&Require>, report: &mut Report) -> Option<Vec<Line>> {
    let Some(require) = require else { return Some(vec![]) };
    let parts = [
        report.keep(scopes(field, require)),
        report.keep(permissions(field, require)),
        report.keep(roles(field, require)),
        report.keep(claims(&format_args!("{field}.claims"), &require.claims)),
    ];
    let lines: Option<Vec<Vec<Line>>> = parts.into_iter().collect();
    report.keep(something(field, lines?.concat()))
}

fn something(field: &dyn Display, lines: Vec<Line>) -> Result<Vec<Line>, Problem> {
    match lines.is_empty() {
        true => Err(Problem::invalid(field, "require must ask for something: name scopes, permissions, roles or claims")),
        false => Ok(lines),
    }
}

fn scopes(field: &dyn Display, require: &Require) -> Result<Vec<Line>, Problem> {
    let line = match require.scopes_match {
        ScopesMatch::All => Line::AllScopes,
        ScopesMatch::Any => Line::AnyScope,
    };
    words(&format_args!("{field}.scopes"), &require.scopes).map(|scopes| scopes.map(line).into_iter().collect())
}

fn permissions(field: &dyn Display, require: &Require) -> Result<Vec<Line>, Problem> {
    words(&format_args!("{field}.permissions"), &require.permissions).map(|list| list.map(Line::Permissions).into_iter().collect())
}

/// There is no default claim for roles: Auth0 puts them where an Action says.
fn roles(field: &dyn Display, require: &Require) -> Result<Vec<Line>, Problem> {
    let at = &format_args!("{field}.roles");
    let named = require.roles_claim.is_some() || require.roles_claim_path.is_some();
    match (words(at, &require.roles)?, named) {
        (None, false) => Ok(vec![]),
        (None, true) => Err(Problem::invalid(at, "rolesClaim asks for nothing without roles: list the roles, one of which is needed")),
        (Some(any_of), _) => roles_claim(at, require).map(|claim| vec![Line::Roles { claim, any_of }]),
    }
}

fn roles_claim(at: &dyn Display, require: &Require) -> Result<ClaimName, Problem> {
    let want = "needs exactly one of rolesClaim, such as https://my.app/roles, and rolesClaimPath";
    claim_name(at, require.roles_claim.as_deref(), require.roles_claim_path.as_deref()).map_err(|_| Problem::invalid(at, want))
}

fn claims(field: &dyn Display, claims: &[ClaimValues]) -> Result<Vec<Line>, Problem> {
    match claims.len() > MAX_CLAIMS {
        true => Err(Problem::invalid(field, format_args!("must have at most {MAX_CLAIMS} entries, not {}", claims.len()))),
        false => claims.iter().enumerate().map(|(index, entry)| claim(&format_args!("{field}[{index}]"), entry)).collect(),
    }
}

fn claim(field: &dyn Display, entry: &ClaimValues) -> Result<Line, Problem> {
    let claim = claim_name(field, entry.claim.as_deref(), entry.claim_path.as_deref())?;
    let at = &format_args!("{field}.values");
    let any_of = words(at, &entry.values)?.ok_or_else(|| Problem::invalid(at, "must list at least one value"))?;
    Ok(Line::Claim { claim, any_of })
}

/// `None` for an empty list.
fn words(field: &dyn Display, list: &[String]) -> Result<Option<Vec<String>>, Problem> {
    field::texts(field, list, MAX_LIST, MAX_WORD)?;
    Ok((!list.is_empty()).then(|| list.to_vec()))
}
