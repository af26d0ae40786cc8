//! About how many bytes a remembered token holds in memory. tests/token_memory.rs measures how near that is.

use crate::jwt::Claims;
use serde_json::{Map, Value};

/// The entry, its place in the table, and its part of what the cache knows of tokens that have just left.
const ENTRY: usize = 300;
/// What an allocation costs beyond its contents.
const ALLOCATION: usize = 16;
/// A node of a map: room for eleven members, of which at least five are in use, or all there are.
const NODE: usize = 11 * (size_of::<String>() + size_of::<Value>()) + 2 * ALLOCATION;
const MEMBERS_IN_A_NODE: usize = 8;

pub(super) fn of(claims: &Claims) -> u32 {
    let bytes = ENTRY + size_of::<Claims>() + members(claims.values());
    u32::try_from(bytes).unwrap_or(u32::MAX)
}

fn members(members: &Map<String, Value>) -> usize {
    let nodes = members.len().div_ceil(MEMBERS_IN_A_NODE);
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
