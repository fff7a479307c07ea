//! Every argument that the chart gives to the operator is one that the operator has: compared with the committed text of its
//! `--help`, which the operator's own tests keep true.

use serde_json::Value;

use super::helm::{Error, Helm};

/// From the chart's folder.
const HELP: &str = "../../operator/src/snapshots/fleet_operator__args__tests__help_reads_as_committed.snap";

/// The text of `temporal-fleet-operator --help`.
pub(super) fn help(helm: &Helm) -> Result<String, Error> {
    helm.read(HELP)
}

/// Arguments of the rendered operator that the help does not know.
pub(super) fn findings(documents: &[Value], help: &str) -> Vec<String> {
    let known: Vec<&str> = help
        .split(|c: char| c.is_whitespace() || c == ',')
        .filter(|word| word.starts_with("--"))
        .collect();
    documents
        .iter()
        .filter(|document| document["kind"] == "Deployment")
        .filter_map(|document| document.pointer("/spec/template/spec/containers/0/args")?.as_array())
        .flatten()
        .filter_map(Value::as_str)
        .map(|argument| argument.split_once('=').map_or(argument, |(flag, _)| flag))
        .filter(|flag| !known.contains(flag))
        .map(|flag| format!("the operator has no argument {flag}"))
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::findings;

    #[test]
    fn an_argument_that_the_operator_lacks_is_found() {
        let deployment = json!({"kind": "Deployment", "spec": {"template": {"spec": {"containers": [
            {"args": ["--log-level=info", "--log", "--lease-name=x"]}]}}}});
        let help = "      --log-level <FILTER>\n          Level\n      --lease-name <NAME>\n";
        assert_eq!(findings(&[deployment], help), ["the operator has no argument --log"]);
    }
}
