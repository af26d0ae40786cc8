//! Strict JSON: what serde_json accepts, minus repeated member names (RFC 7519 §4, RFC 7515 §4) and deep nesting.

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};
use std::{borrow::Cow, fmt};

/// The members of one object, sorted by name. Small and in one place: thousands of them are kept at a time.
pub(super) type Members = Box<[(Cow<'static, str>, Value)]>;

/// A document that is not strict JSON. It does not say where: the text came from a stranger.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct NotStrict;

/// Parses one object that fills the whole of `document` and nests at most `depth` containers, itself included.
pub(super) fn object(document: &[u8], depth: u8) -> Result<Map<String, Value>, NotStrict> {
    match value(document, depth)? {
        Value::Object(members) => Ok(members),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => Err(NotStrict),
    }
}

/// Parses one object, as `object` does. Names that are in `known` cost no memory.
pub(super) fn members(document: &[u8], depth: u8, known: &'static [&'static str]) -> Result<Members, NotStrict> {
    let mut deserializer = serde_json::Deserializer::from_slice(document);
    let members = deserializer.deserialize_map(StrictMembers { strict: Strict { depth }, known }).map_err(|_| NotStrict)?;
    deserializer.end().map_err(|_| NotStrict)?;
    Ok(members)
}

/// Parses any one value, as `object` does.
pub(super) fn value(document: &[u8], depth: u8) -> Result<Value, NotStrict> {
    let mut deserializer = serde_json::Deserializer::from_slice(document);
    let value = Strict { depth }.deserialize(&mut deserializer).map_err(|_| NotStrict)?;
    deserializer.end().map_err(|_| NotStrict)?;
    Ok(value)
}

/// Builds the members of the outermost object.
#[derive(Clone, Copy)]
struct StrictMembers {
    strict: Strict,
    known: &'static [&'static str],
}

/// Builds a `Value`, with room for `depth` more containers.
#[derive(Clone, Copy)]
struct Strict {
    depth: u8,
}

// === impl Strict ===

impl Strict {
    fn deeper<E: Error>(self) -> Result<Self, E> {
        let depth = self.depth.checked_sub(1).ok_or_else(|| E::custom("nested too deeply"))?;
        Ok(Self { depth })
    }
}

impl<'de> DeserializeSeed<'de> for Strict {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let inner = self.deeper()?;
        let mut array = Vec::new();
        while let Some(item) = items.next_element_seed(inner)? {
            array.push(item);
        }
        Ok(Value::Array(array))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let inner = self.deeper()?;
        let mut object = Map::new();
        while let Some(name) = members.next_key::<String>()? {
            let value = members.next_value_seed(inner)?;
            if object.insert(name, value).is_some() {
                return Err(A::Error::custom("a member name is repeated"));
            }
        }
        Ok(Value::Object(object))
    }
}

// === impl StrictMembers ===

impl StrictMembers {
    fn name(self, name: &str) -> Cow<'static, str> {
        let known = self.known.iter().copied().find(|known| *known == name);
        known.map_or_else(|| Cow::Owned(name.to_owned()), Cow::Borrowed)
    }
}

/// For names.
impl<'de> DeserializeSeed<'de> for StrictMembers {
    type Value = Cow<'static, str>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        struct Name(StrictMembers);

        impl Visitor<'_> for Name {
            type Value = Cow<'static, str>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a member name")
            }

            fn visit_str<E>(self, name: &str) -> Result<Self::Value, E> {
                Ok(self.0.name(name))
            }
        }
        deserializer.deserialize_str(Name(self))
    }
}

impl<'de> Visitor<'de> for StrictMembers {
    type Value = Members;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    /// Repeated names are looked for once, among the sorted: a stranger may send thousands.
    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Members, A::Error> {
        let inner = self.strict.deeper()?;
        let mut object = Vec::with_capacity(16);
        while let Some(name) = members.next_key_seed(self)? {
            object.push((name, members.next_value_seed(inner)?));
        }
        object.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
        match object.array_windows().any(|[(a, _), (b, _)]| a == b) {
            true => Err(A::Error::custom("a member name is repeated")),
            false => Ok(object.into_boxed_slice()),
        }
    }
}
