//! About how many bytes a remembered token holds in memory. tests/token_memory.rs measures how near that is.

use crate::jwt::Claims;
use serde_json::{Map, Value};
use std::borrow::Cow;

/// The entry, its place in the table, and its part of what the cache knows of tokens that have just left.
const ENTRY: usize = 300;
/// What an allocation costs beyond its contents.
const ALLOCATION: usize = 16;
/// A node of a map has room for eleven members; where there are several nodes, about seven are in use.
const NODE: usize = 11 * (size_of::<String>() + size_of::<Value>()) + 2 * ALLOCATION;

pub(super) fn of(claims: &Claims) -> u32 {
    let each = size_of_val(&**claims.values()) + ALLOCATION;
    let names = claims.values().iter().filter(|(name, _)| matches!(name, Cow::Owned(_))).map(|(name, _)| name.len() + ALLOCATION);
    let values = claims.values().iter().map(|(_, member)| value(member));
    let bytes = ENTRY + size_of::<Claims>() + each + names.chain(values).sum::<usize>();
    u32::try_from(bytes).unwrap_or(u32::MAX)
}

fn members(members: &Map<String, Value>) -> usize {
    let nodes = if members.len() > 11 { members.len().div_ceil(7) } else { members.len().min(1) };
    nodes * NODE + members.iter().map(|(name, member)| name.len() + ALLOCATION + value(member)).sum::<usize>()
}

fn value(value: &Value) -> usize {
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => 0,
        Value::String(text) => text.len() + ALLOCATION,
        Value::Array(items) => ALLOCATION + items.iter().map(|item| size_of::<Value>() + self::value(item)).sum::<usize>(),
        Value::Object(object) => members(object),
    }
}
