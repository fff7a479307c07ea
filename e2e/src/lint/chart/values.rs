//! Values, schema and templates name the same things: no value that no template reads, none without a description, no key
//! that the schema lets through unread.

use serde_json::Value;

use super::{
    helm::{Error, Helm},
    matrix::{leaves, nest},
};

/// Open on purpose: shared by the charts of an umbrella chart.
const OPEN: &str = "global";

/// Compares the three.
pub(super) fn findings(helm: &Helm, defaults: &Value) -> Result<Vec<String>, Error> {
    let schema: Value = serde_json::from_str(&helm.read("values.schema.json")?).map_err(|source| Error::Json {
        what: "values.schema.json".to_owned(),
        source,
    })?;
    let mut found = same_keys(defaults, &schema, &mut Vec::new());
    found.extend(dead(defaults, &templates(helm)?));
    found.extend(undescribed(&helm.read("values.yaml")?));
    found.extend(unknown_keys_pass(helm, defaults)?);
    Ok(found)
}

fn templates(helm: &Helm) -> Result<String, Error> {
    let folder = helm.chart.join("templates");
    let io = |source| Error::Io {
        what: folder.display().to_string(),
        source,
    };
    let mut text = String::new();
    for entry in std::fs::read_dir(&folder).map_err(io)? {
        text.push_str(&std::fs::read_to_string(entry.map_err(io)?.path()).map_err(io)?);
    }
    Ok(text)
}

/// Keys that only one of `values.yaml` and the schema has; objects that the schema leaves open although we read them by key.
fn same_keys(values: &Value, schema: &Value, path: &mut Vec<String>) -> Vec<String> {
    let (Some(values), Some(properties)) = (values.as_object(), schema.get("properties").and_then(Value::as_object))
    else {
        return Vec::new();
    };
    let at = |key: &str| {
        path.iter()
            .map(String::as_str)
            .chain([key])
            .collect::<Vec<_>>()
            .join(".")
    };
    let mut found = Vec::new();
    if schema.get("additionalProperties") != Some(&Value::Bool(false)) {
        found.push(format!(
            "the schema leaves {} open",
            if path.is_empty() {
                "the root".to_owned()
            } else {
                path.join(".")
            }
        ));
    }
    for key in values.keys().filter(|key| !properties.contains_key(*key)) {
        found.push(format!("the schema lacks {}", at(key)));
    }
    // What a pod's `resources` may hold is Kubernetes' business; ours are all in values.yaml.
    let foreign = path.first().is_some_and(|first| first == "resources");
    for key in properties.keys().filter(|key| !foreign && !values.contains_key(*key)) {
        found.push(format!("values.yaml lacks {}", at(key)));
    }
    for (key, value) in values {
        if let Some(inner) = properties.get(key) {
            path.push(key.clone());
            found.extend(same_keys(value, inner, path));
            path.pop();
        }
    }
    found
}

/// Values whose path, or a parent of it as a whole, no template names.
fn dead(defaults: &Value, templates: &str) -> Vec<String> {
    leaves(defaults)
        .into_iter()
        .map(|(path, _)| path)
        .filter(|path| path.first().is_some_and(|first| first != OPEN))
        .filter(|path| !(1..=path.len()).any(|length| names(templates, &path[..length].join("."))))
        .map(|path| format!("no template reads {}", path.join(".")))
        .collect()
}

/// Whether `.Values.<path>` occurs, and not merely as the beginning of a longer name or path.
fn names(templates: &str, path: &str) -> bool {
    let wanted = format!(".Values.{path}");
    templates.match_indices(&wanted).any(|(at, _)| {
        !templates[at + wanted.len()..].starts_with(|next: char| next == '.' || next == '_' || next.is_alphanumeric())
    })
}

/// Top-level values and switches need a `# -- ` comment on the line above them, or above a key inside.
fn undescribed(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let lines: Vec<&str> = text.lines().collect();
    for (at, line) in lines.iter().enumerate() {
        let key = line.trim_start();
        let indent = line.len() - key.len();
        let Some((name, value)) = key.split_once(':') else {
            continue;
        };
        if key.starts_with('#') || key.starts_with('-') || indent > 2 {
            continue;
        }
        let above = at
            .checked_sub(1)
            .and_then(|above| lines.get(above))
            .map_or("", |line| line.trim_start());
        let parent = value.trim().is_empty();
        // A member of a described value (`requests` of `resources`) is described with it.
        let described_parent = lines[..at]
            .iter()
            .rposition(|line| !line.starts_with([' ', '#']) && !line.is_empty())
            .and_then(|parent| parent.checked_sub(1))
            .is_some_and(|above| lines[above].starts_with("# -- "));
        let described = above.starts_with("# -- ") || (indent == 2 && described_parent);
        if !parent && !described {
            found.push(format!("values.yaml: {} has no `# -- ` comment", name.trim()));
        }
    }
    found
}

/// Puts an unknown key into each object that the chart reads by key: Helm must refuse the values.
fn unknown_keys_pass(helm: &Helm, defaults: &Value) -> Result<Vec<String>, Error> {
    let mut parents: Vec<Vec<String>> = leaves(defaults)
        .into_iter()
        .map(|(mut path, _)| {
            path.pop();
            path
        })
        .filter(|path| path.len() <= 1)
        .collect();
    parents.sort();
    parents.dedup();
    // These two are passed to Kubernetes as they are.
    parents.retain(|path| !path.first().is_some_and(|first| first.ends_with("SecurityContext")));
    let mut found = Vec::new();
    for mut path in parents {
        path.push("notAValue".to_owned());
        match helm.render(super::NAMESPACE, &nest(&path, Value::Bool(true))) {
            Ok(_) => found.push(format!("the unknown value {} is accepted", path.join("."))),
            Err(Error::Helm { message, .. }) if message.contains("notAValue") => {}
            Err(error) => return Err(error),
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{dead, same_keys, undescribed};

    #[test]
    fn a_value_is_read_by_its_path_or_by_a_parent_as_a_whole() {
        let values = json!({"a": {"b": 1, "c": 2}, "d": {"e": 3}, "abc": 4, "global": {}});
        let found = dead(&values, "{{ .Values.a.b }} {{ toYaml .Values.d }} {{ .Values.abcd }}");
        assert_eq!(found, ["no template reads a.c", "no template reads abc"]);
    }

    #[test]
    fn keys_must_be_in_both() {
        let schema = json!({"additionalProperties": false, "properties": {"a": {}, "c": {"properties": {}}}});
        let found = same_keys(&json!({"a": 1, "b": 2, "c": {}}), &schema, &mut Vec::new());
        assert_eq!(found, ["the schema lacks b", "the schema leaves c open"]);
        let found = same_keys(&json!({"a": 1}), &schema, &mut Vec::new());
        assert_eq!(found, ["values.yaml lacks c"]);
    }

    #[test]
    fn a_value_without_a_comment_is_found() {
        let text = "# -- Good.\na: 1\nb: 2\nc:\n  # -- Good.\n  d: 1\n  e: 2\n# -- As a whole.\nf:\n  g: 1\n";
        assert_eq!(
            undescribed(text),
            [
                "values.yaml: b has no `# -- ` comment",
                "values.yaml: e has no `# -- ` comment"
            ]
        );
    }
}
