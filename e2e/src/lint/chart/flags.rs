//! Every argument that the chart gives to the operator is one that the operator has, and every one that the operator has can be
//! given: compared with the committed text of its `--help`, which the operator's own tests keep true.

use std::collections::BTreeSet;

use serde_json::Value;

use super::helm::{Error, Helm};

/// From the chart's folder.
const HELP: &str = "../../operator/src/snapshots/fleet_operator__args__tests__help_reads_as_committed.snap";

/// Arguments that no value sets: the pod's own name and namespace come from its environment.
const BY_ENVIRONMENT: &[&str] = &["--lease-namespace", "--pod-name"];

/// Arguments of every program.
const COMMON: &[&str] = &["--help", "--version"];

/// The text of `temporal-fleet-operator --help`.
pub(super) fn help(helm: &Helm) -> Result<String, Error> {
    helm.read(HELP)
}

/// Arguments of the rendered operator that the help does not know.
pub(super) fn findings(documents: &[Value], help: &str) -> Vec<String> {
    let known = known(help);
    given(documents)
        .difference(&known)
        .map(|flag| format!("the operator has no argument {flag}"))
        .collect()
}

/// Arguments of the help that no rendering of the matrix gives.
pub(super) fn never_given(given: &BTreeSet<&str>, help: &str) -> Vec<String> {
    known(help)
        .difference(given)
        .filter(|flag| !BY_ENVIRONMENT.contains(flag) && !COMMON.contains(flag))
        .map(|flag| format!("no value of the matrix sets the operator's {flag}"))
        .collect()
}

/// Arguments, without their values, of the operator in these manifests.
pub(super) fn given(documents: &[Value]) -> BTreeSet<&str> {
    documents
        .iter()
        .filter(|document| document["kind"] == "Deployment")
        .filter_map(|document| document.pointer("/spec/template/spec/containers/0/args")?.as_array())
        .flatten()
        .filter_map(Value::as_str)
        .map(|argument| argument.split_once('=').map_or(argument, |(flag, _)| flag))
        .collect()
}

fn known(help: &str) -> BTreeSet<&str> {
    help.split(|c: char| c.is_whitespace() || c == ',')
        .filter(|word| {
            word.strip_prefix("--")
                .is_some_and(|name| name.starts_with(char::is_alphabetic))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{findings, given, never_given};

    #[test]
    fn an_argument_that_the_operator_lacks_is_found() {
        let deployment = json!({"kind": "Deployment", "spec": {"template": {"spec": {"containers": [
            {"args": ["--log-level=info", "--log", "--lease-name=x"]}]}}}});
        let help = "      --log-level <FILTER>\n          Level\n      --lease-name <NAME>\n";
        assert_eq!(findings(&[deployment], help), ["the operator has no argument --log"]);
    }

    #[test]
    fn an_argument_that_no_value_sets_is_found() {
        let deployment = json!({"kind": "Deployment", "spec": {"template": {"spec": {"containers": [
            {"args": ["--log-level=info"]}]}}}});
        let help = "      --log-level <FILTER>\n      --pod-name <NAME>\n      --shard <NAME>\n  -h, --help\n";
        assert_eq!(
            never_given(&given(&[deployment]), help),
            ["no value of the matrix sets the operator's --shard"]
        );
    }
}
