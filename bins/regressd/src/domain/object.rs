//! JSON objects where objects are meant. The usual reading of a struct takes a list of its fields' values as well, and
//! a list without any for a struct of which everything has a default: a client's mistake would pass unseen.

use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;

use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};

/// A value that is read from an object only.
#[derive(Clone, Debug, PartialEq)]
pub struct Object<T>(pub T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(OfObject(PhantomData)).map(Self)
    }
}

struct OfObject<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for OfObject<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<T, A::Error> {
        T::deserialize(MapAccessDeserializer::new(map))
    }
}

/// Reads one.
///
/// # Errors
/// When it is no object, or not of this form.
pub fn deserialize_object<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    deserializer: D,
) -> Result<T, D::Error> {
    Object::deserialize(deserializer).map(|Object(value)| value)
}

/// Reads one that may be missing.
///
/// # Errors
/// When it is no object, or not of this form.
pub fn deserialize_optional_object<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    deserializer: D,
) -> Result<Option<T>, D::Error> {
    let value = Option::<Object<T>>::deserialize(deserializer)?;
    Ok(value.map(|Object(value)| value))
}

/// Reads a list of them.
///
/// # Errors
/// When one is no object, or not of this form.
pub fn deserialize_object_list<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    deserializer: D,
) -> Result<Vec<T>, D::Error> {
    let values = Vec::<Object<T>>::deserialize(deserializer)?;
    Ok(values.into_iter().map(|Object(value)| value).collect())
}

/// Reads a list of them that may be missing.
///
/// # Errors
/// When one is no object, or not of this form.
pub fn deserialize_optional_object_list<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    deserializer: D,
) -> Result<Option<Vec<T>>, D::Error> {
    let values = Option::<Vec<Object<T>>>::deserialize(deserializer)?;
    Ok(values.map(|values| values.into_iter().map(|Object(value)| value).collect()))
}

/// Reads a map of them.
///
/// # Errors
/// When one is no object, or not of this form.
pub fn deserialize_object_map<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    deserializer: D,
) -> Result<BTreeMap<String, T>, D::Error> {
    let values = BTreeMap::<String, Object<T>>::deserialize(deserializer)?;
    Ok(values
        .into_iter()
        .map(|(key, Object(value))| (key, value))
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::RepoConfig;

    #[test]
    fn lists_are_no_objects() {
        let read = |text: &str| serde_json::from_str::<Object<RepoConfig>>(text);
        assert!(read(r#"{"components": {"a": {"enabled": false}}, "rules": [{"pattern": "*"}]}"#).is_ok());
        for bad in [
            "[]",
            "[true]",
            "null",
            r#"{"components": {"a": []}}"#,
            r#"{"components": {"a": [null, null]}}"#,
            r#"{"components": [{}]}"#,
            r#"{"rules": [["*"]]}"#,
            r#"{"notifications": ["always"]}"#,
        ] {
            let error = read(bad).unwrap_err();
            assert!(error.is_data(), "{bad}: {error}");
        }
    }
}
