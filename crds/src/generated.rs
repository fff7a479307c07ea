//! The files that are generated from this crate, for `crdgen` and for the test that they are fresh.

use crate::{conditions, crd};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use std::borrow::Cow;

/// A definition could not be built or written as YAML.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A definition could not be built.
    #[error(transparent)]
    Crd(#[from] crd::Error),
    /// A definition could not be written as YAML.
    #[error("failed to write {name} as YAML")]
    Yaml {
        /// Name of the definition.
        name: String,
        /// What the YAML library said.
        #[source]
        source: serde_yaml::Error,
    },
}

/// Every generated file: its path from the repository's root, and its content.
pub fn files() -> Result<Vec<(String, String)>, Error> {
    let mut files = vec![("docs/reference/conditions.md".to_owned(), conditions::reference())];
    for definition in crd::all()? {
        let text = yaml(&definition)?;
        let plural = &definition.spec.names.plural;
        files.push((format!("crds/generated/{plural}.yaml"), text.clone()));
        // A chart can only read files of its own.
        files.push((format!("charts/temporal-fleet/files/crds/{plural}.yaml"), text));
    }
    Ok(files)
}

fn yaml(definition: &CustomResourceDefinition) -> Result<String, Error> {
    let body = serde_yaml::to_string(definition).map_err(|source| Error::Yaml {
        name: definition.metadata.name.clone().unwrap_or_default(),
        source,
    })?;
    let mut text = "# Generated from crds/src by `make generate`; do not edit.\n".to_owned();
    for line in body.lines() {
        text.push_str(&quoted(line));
        text.push('\n');
    }
    Ok(text)
}

/// Words that YAML 1.1 reads as booleans. Our writer follows YAML 1.2 and leaves them bare; kubectl and Helm follow 1.1.
const YAML_1_1_BOOLEANS: &[&str] = &["y", "n", "yes", "no", "on", "off"];

/// The line with its value in quotes if YAML 1.1 would read it as a boolean.
fn quoted(line: &str) -> Cow<'_, str> {
    let Some(at) = line.rfind(' ') else { return line.into() };
    let (head, value) = line.split_at(at + 1);
    let is_value = head.ends_with(": ") || head.trim_start() == "- ";
    if is_value && YAML_1_1_BOOLEANS.contains(&value.to_ascii_lowercase().as_str()) {
        format!("{head}'{value}'").into()
    } else {
        line.into()
    }
}

#[cfg(test)]
mod tests {
    use super::quoted;

    #[test]
    fn booleans_of_yaml_1_1_are_quoted_where_they_are_values() {
        assert_eq!(quoted("  - Off"), "  - 'Off'");
        assert_eq!(quoted("  default: Off"), "  default: 'Off'");
        assert_eq!(quoted("  - Auto"), "  - Auto");
        assert_eq!(quoted("  enabled: true"), "  enabled: true");
        assert_eq!(quoted("    description: turns it off"), "    description: turns it off");
        assert_eq!(quoted("spec:"), "spec:");
    }
}
