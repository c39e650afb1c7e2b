//! JSON as benchmark tools write it: bare NaN, several documents in one stream, text around them.
//!
//! Entries are cut out as raw text first and parsed one by one, so that one bad entry costs only itself. Nothing
//! here recurses: serde_json skips unknown values without recursion and refuses typed nesting beyond 128.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

/// How many object keys are kept per level of a [`JsonShape`].
const KEYS_KEPT: usize = 64;

/// The outline of a JSON text: how it begins and which keys its objects have on the first four levels. Made
/// without parsing, so that a truncated file can still be told.
#[derive(Debug, Default)]
pub(super) struct JsonShape {
    /// Begins with `[`.
    pub(super) is_array: bool,
    levels: [Vec<String>; 4],
}

impl JsonShape {
    /// The outline of `text`; `None` when it does not begin like JSON.
    pub(super) fn from_text(text: &str) -> Option<Self> {
        let text = text.trim_start();
        let is_array = text.starts_with('[');
        if !is_array && !text.starts_with('{') {
            return None;
        }
        let mut shape = Self {
            is_array,
            ..Self::default()
        };
        let bytes = text.as_bytes();
        let (mut objects, mut at) = (0_usize, 0);
        while at < bytes.len() {
            match bytes[at] {
                b'"' => {
                    let end = string_end(bytes, at);
                    let level = objects
                        .checked_sub(1)
                        .and_then(|level| shape.levels.get_mut(level));
                    if let Some(keys) = level.filter(|keys| keys.len() < KEYS_KEPT)
                        && followed_by_colon(bytes, end)
                        && let Some(key) = text.get(at + 1..end.saturating_sub(1))
                        && !keys.iter().any(|known| known == key)
                    {
                        keys.push(key.to_owned());
                    }
                    at = end;
                    continue;
                }
                b'{' => objects += 1,
                b'}' => objects = objects.saturating_sub(1),
                _ => {}
            }
            at += 1;
        }
        Some(shape)
    }

    /// Whether objects on `level` (the outermost is 1) have `key`.
    pub(super) fn has_key(&self, level: usize, key: &str) -> bool {
        self.levels
            .get(level - 1)
            .is_some_and(|keys| keys.iter().any(|known| known == key))
    }
}

/// The index after the closing quote of the string that opens at `open`.
fn string_end(bytes: &[u8], open: usize) -> usize {
    let mut at = open + 1;
    while at < bytes.len() {
        match bytes[at] {
            b'\\' => at += 2,
            b'"' => return at + 1,
            _ => at += 1,
        }
    }
    bytes.len()
}

fn followed_by_colon(bytes: &[u8], at: usize) -> bool {
    bytes
        .get(at..)
        .and_then(|rest| rest.iter().find(|b| !b.is_ascii_whitespace()))
        == Some(&b':')
}

/// Puts quotes around bare `NaN`, `Infinity` and `-Infinity`, which Python and C++ write and JSON forbids;
/// [`Number`] reads them.
pub(super) fn quote_not_finite(text: &str) -> Cow<'_, str> {
    if !text.contains("NaN") && !text.contains("Infinity") && !text.contains("nan") && !text.contains("inf") {
        return Cow::Borrowed(text);
    }
    let bytes = text.as_bytes();
    let mut quoted = String::with_capacity(text.len() + 16);
    let (mut at, mut copied) = (0, 0);
    while at < bytes.len() {
        if bytes[at] == b'"' {
            at = string_end(bytes, at);
            continue;
        }
        let token = ["-Infinity", "Infinity", "NaN", "-nan", "nan", "-inf", "inf"]
            .into_iter()
            .find(|token| bytes[at..].starts_with(token.as_bytes()));
        if let Some(token) = token {
            quoted.push_str(&text[copied..at]);
            quoted.push('"');
            quoted.push_str(token);
            quoted.push('"');
            at += token.len();
            copied = at;
        } else {
            at += 1;
        }
    }
    quoted.push_str(&text[copied..]);
    Cow::Owned(quoted)
}

/// A number, or one of the words for what is none; null is NaN.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Number(pub(super) f64);

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct NumberVisitor;

        impl Visitor<'_> for NumberVisitor {
            type Value = Number;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number")
            }

            fn visit_f64<E: Error>(self, number: f64) -> Result<Number, E> {
                Ok(Number(number))
            }

            fn visit_u64<E: Error>(self, number: u64) -> Result<Number, E> {
                Ok(Number(number as f64))
            }

            fn visit_i64<E: Error>(self, number: i64) -> Result<Number, E> {
                Ok(Number(number as f64))
            }

            fn visit_unit<E: Error>(self) -> Result<Number, E> {
                Ok(Number(f64::NAN))
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Number, E> {
                match text {
                    "NaN" | "nan" | "-nan" => Ok(Number(f64::NAN)),
                    "Infinity" | "inf" => Ok(Number(f64::INFINITY)),
                    "-Infinity" | "-inf" => Ok(Number(f64::NEG_INFINITY)),
                    _ => Err(E::invalid_value(serde::de::Unexpected::Str(text), &self)),
                }
            }
        }

        deserializer.deserialize_any(NumberVisitor)
    }
}

/// The members of an object in order, repeated keys included: a map would drop all but the last silently.
pub(crate) fn read_object_members(text: &str) -> Result<Vec<(String, &RawValue)>, serde_json::Error> {
    struct Pairs<'a>(Vec<(String, &'a RawValue)>);

    impl<'de> Deserialize<'de> for Pairs<'de> {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            struct PairsVisitor;

            impl<'de> Visitor<'de> for PairsVisitor {
                type Value = Pairs<'de>;

                fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                    f.write_str("an object")
                }

                fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Pairs<'de>, A::Error> {
                    let mut pairs = Vec::new();
                    while let Some(pair) = map.next_entry()? {
                        if pairs.len() >= MAX_ENTRIES {
                            return Err(too_many());
                        }
                        pairs.push(pair);
                    }
                    Ok(Pairs(pairs))
                }
            }

            deserializer.deserialize_map(PairsVisitor)
        }
    }

    serde_json::from_str::<Pairs<'_>>(text).map(|pairs| pairs.0)
}

/// The elements of an array as raw text. An array longer than any limit on measurements is refused as it is read,
/// so that a file of nothing but commas does not take many times its size in memory.
#[derive(Debug)]
pub(super) struct Elements<'a>(pub(super) Vec<&'a RawValue>);

/// Most elements of an array or members of an object that are looked at.
const MAX_ENTRIES: usize = 2_000_000;

fn too_many<E: Error>() -> E {
    E::custom(format_args!("more than {MAX_ENTRIES} entries; split the file"))
}

impl<'de: 'a, 'a> Deserialize<'de> for Elements<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ElementsVisitor;

        impl<'de> Visitor<'de> for ElementsVisitor {
            type Value = Vec<&'de RawValue>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an array")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut array: A) -> Result<Self::Value, A::Error> {
                let mut elements = Vec::new();
                while let Some(element) = array.next_element()? {
                    if elements.len() >= MAX_ENTRIES {
                        return Err(too_many());
                    }
                    elements.push(element);
                }
                Ok(elements)
            }
        }

        deserializer.deserialize_seq(ElementsVisitor).map(Self)
    }
}

/// A JSON document found in a stream.
pub(super) enum Document<'a> {
    /// A whole object.
    Object(&'a RawValue),
    /// Something that begins like an object and is none, with the line it begins on.
    Broken(String),
}

/// Hands over the JSON objects of a stream one by one, each beginning on a line of its own, whatever text is
/// around them. Takes linear time: after a broken document the search goes on where the parser stopped.
pub(super) fn each_object<'a>(text: &'a str, mut visit: impl FnMut(Document<'a>)) {
    let (mut at, mut line) = (0, 1);
    while at < text.len() {
        let rest = &text[at..];
        if !rest.trim_start_matches([' ', '\t']).starts_with('{') {
            at += rest.find('\n').map_or(rest.len(), |end| end + 1);
            line += 1;
            continue;
        }
        let mut stream = serde_json::Deserializer::from_str(rest).into_iter::<&RawValue>();
        let step = match stream.next() {
            Some(Ok(object)) => {
                visit(Document::Object(object));
                stream.byte_offset()
            }
            Some(Err(error)) => {
                let words = error.to_string();
                let words = words
                    .rsplit_once(" at line ")
                    .map_or(words.as_str(), |(words, _)| words);
                let end = line + error.line().saturating_sub(1);
                visit(Document::Broken(format!(
                    "from line {line}: {words} on line {end}"
                )));
                let next_line = rest.find('\n').map_or(rest.len(), |end| end + 1);
                // The line that broke it may be the beginning of the next document.
                if error.is_eof() {
                    rest.len()
                } else {
                    nth_line(rest, error.line()).max(next_line)
                }
            }
            None => rest.len(),
        };
        line += rest[..step].matches('\n').count();
        at += step;
    }
}

/// Byte offset of line `number` (from 1).
fn nth_line(text: &str, number: usize) -> usize {
    text.match_indices('\n')
        .nth(number.saturating_sub(2))
        .filter(|_| number > 1)
        .map_or(0, |(at, _)| at + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_outline_of_a_truncated_file_is_still_seen() {
        let shape = JsonShape::from_text(r#" {"results": [{"command": "a:\"b", "times": [1, 2"#).unwrap();
        assert!(
            !shape.is_array
                && shape.has_key(1, "results")
                && shape.has_key(2, "command")
                && shape.has_key(2, "times")
        );
        assert!(JsonShape::from_text("running 3 tests").is_none());
    }

    #[test]
    fn words_for_no_number_are_quoted_only_outside_of_strings() {
        let quoted = quote_not_finite(r#"{"NaN": NaN, "a": [-Infinity, 1], "b": "Infinity"}"#);
        assert_eq!(
            quoted,
            r#"{"NaN": "NaN", "a": ["-Infinity", 1], "b": "Infinity"}"#
        );
        let numbers: Vec<Number> = serde_json::from_str(r#"["NaN", 1, -2.5, null, "-Infinity"]"#).unwrap();
        assert!(numbers[0].0.is_nan() && numbers[3].0.is_nan());
        assert_eq!(
            (numbers[1].0, numbers[2].0, numbers[4].0),
            (1.0, -2.5, f64::NEG_INFINITY)
        );
    }

    #[test]
    fn documents_are_found_between_text() {
        let text = "running 0 tests\n{\"a\":1}\n{\n  \"b\": 2\n}\ntrailing\n{\"c\": \n{\"d\":4}\n{\"e\": [";
        let mut found: Vec<String> = Vec::new();
        each_object(text, |document| {
            found.push(match document {
                Document::Object(object) => object.get().split_whitespace().collect(),
                Document::Broken(error) => error.split(':').next().unwrap().to_owned(),
            });
        });
        assert_eq!(found, ["{\"a\":1}", "{\"b\":2}", "from line 7", "from line 9"]);
    }
}
