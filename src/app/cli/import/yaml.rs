//! YAML as JSON values, so that what is read of a file is read in one way. It takes the first document; a merge key (`<<`)
//! brings what it names where the mapping does not say it itself.

use saphyr::{LoadableYamlNode as _, Mapping, Scalar, Yaml};
use serde_json::{Map, Number, Value};

/// The first document of a text, or why there is none.
pub fn read(text: &str) -> Result<Value, String> {
    let documents = Yaml::load_from_str(text).map_err(|error| error.to_string())?;
    Ok(documents.first().map_or(Value::Null, value_of))
}

fn value_of(node: &Yaml<'_>) -> Value {
    match node {
        Yaml::Value(scalar) => match scalar {
            Scalar::Null => Value::Null,
            Scalar::Boolean(word) => Value::Bool(*word),
            Scalar::Integer(number) => Value::from(*number),
            Scalar::FloatingPoint(number) => Number::from_f64(number.into_inner()).map_or(Value::Null, Value::Number),
            Scalar::String(text) => Value::from(text.as_ref()),
        },
        Yaml::Representation(text, _, _) => Value::from(text.as_ref()),
        Yaml::Sequence(list) => Value::Array(list.iter().map(value_of).collect()),
        Yaml::Mapping(mapping) => Value::Object(object_of(mapping)),
        Yaml::Tagged(_, inner) => value_of(inner),
        Yaml::Alias(_) | Yaml::BadValue => Value::Null,
    }
}

fn object_of(mapping: &Mapping<'_>) -> Map<String, Value> {
    let (mut own, mut merged) = (Map::new(), Map::new());
    for (key, node) in mapping {
        let value = value_of(node);
        match (value_of(key), value) {
            (Value::String(key), Value::Object(fields)) if key == "<<" => merged.extend(fields),
            (Value::String(key), value) => {
                own.insert(key, value);
            }
            (key, value) => {
                own.insert(key.to_string(), value);
            }
        }
    }
    merged.extend(own);
    merged
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_document_keeps_its_words_and_its_numbers() {
        let text = "a: &base\n  x: 1\n  cost: 0.0000025\nb:\n  <<: *base\n  x: 'two'\n  y: [yes, true, null, 1e-06]\n";
        let expected = json!({
            "a": { "x": 1, "cost": 0.0000025 },
            "b": { "x": "two", "cost": 0.0000025, "y": ["yes", true, null, 0.000001] },
        });
        assert_eq!(read(text).unwrap(), expected);
        assert_eq!(read("").unwrap(), Value::Null);
        assert!(read("a: [").is_err());
    }
}
