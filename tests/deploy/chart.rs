//! The chart: its values fit its schema, and its templates use what the values have.

use std::io::Write as _;
use std::process::{Command, Stdio};

use saphyr::{LoadableYamlNode as _, Scalar, Yaml};
use serde_json::{Map, Value, json};

use super::{read, texts};

fn yaml(path: &str) -> Value {
    let text = read(path);
    let documents = Yaml::load_from_str(&text).unwrap_or_else(|error| panic!("{path}: {error}"));
    value_of(&documents[0])
}

fn value_of(node: &Yaml<'_>) -> Value {
    match node {
        Yaml::Value(Scalar::Boolean(word)) => json!(word),
        Yaml::Value(Scalar::Integer(number)) => json!(number),
        Yaml::Value(Scalar::String(text)) => json!(text.as_ref()),
        Yaml::Value(Scalar::Null) => Value::Null,
        Yaml::Sequence(list) => list.iter().map(value_of).collect(),
        Yaml::Mapping(mapping) => {
            let entry = |(key, value): (&Yaml<'_>, &Yaml<'_>)| (key.as_str().unwrap().to_owned(), value_of(value));
            Value::Object(mapping.iter().map(entry).collect::<Map<_, _>>())
        }
        other => panic!("{other:?} is not expected here"),
    }
}

#[test]
fn the_charts_values_fit_their_schema_and_wrong_ones_do_not() {
    let values = yaml("deploy/helm/caldera/values.yaml");
    let with = |pointer: &str, value: Value| {
        let mut changed = values.clone();
        match pointer.rsplit_once('/') {
            Some((parent, name)) => changed.pointer_mut(parent).unwrap()[name] = value,
            None => unreachable!("{pointer} is a pointer"),
        }
        changed
    };
    let credential = |variable: &str| json!([{ "variable": variable, "existingSecret": "s", "key": "k" }]);
    let right = [values.clone(), with("/credentials", credential("OPENAI_API_KEY"))];
    let wrong = [
        ("/credentials", credential("OPENAI_API_KEY_FILE")),
        ("/credentials", credential("openai")),
        ("/replicas", json!(2)),
        ("/service/port", json!(0)),
        ("/stop/drainTimeoutSeconds", json!("120")),
        ("/persistence/size", json!("10GB")),
        ("/environment", json!({ "CALDERA__GATEWAY__IN_FLIGHT_LIMIT": 8000 })),
    ]
    .map(|(pointer, value)| with(pointer, value));
    let schema: Value = serde_json::from_str(&read("deploy/helm/caldera/values.schema.json")).unwrap();
    let cases = json!({ "schema": schema, "right": right, "wrong": wrong });
    let mut script = Command::new("node")
        .arg("chart.mjs")
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/clients"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = script.stdin.take().unwrap();
    input.write_all(cases.to_string().as_bytes()).unwrap();
    drop(input);
    let output = script.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}

#[test]
fn every_value_of_the_chart_is_used_and_every_used_one_is_there() {
    let values = yaml("deploy/helm/caldera/values.yaml");
    let templates: Vec<(String, String)> = texts()
        .into_iter()
        .filter(|(path, _)| path.contains("/templates/"))
        .collect();
    let used: Vec<String> = templates
        .iter()
        .flat_map(|(_, text)| text.split(".Values.").skip(1))
        .map(|rest| {
            let end = rest.find(|letter: char| !letter.is_ascii_alphanumeric() && letter != '.');
            rest[..end.unwrap_or(rest.len())].to_owned()
        })
        .collect();
    for path in &used {
        let pointer = format!("/{}", path.replace('.', "/"));
        assert!(values.pointer(&pointer).is_some(), "{path} is no value");
    }
    for name in values.as_object().unwrap().keys() {
        assert!(
            used.iter().any(|path| path.split('.').next() == Some(name)),
            "{name} is not used"
        );
    }
    for (path, text) in templates {
        assert_eq!(text.matches("{{").count(), text.matches("}}").count(), "{path}");
    }
}
