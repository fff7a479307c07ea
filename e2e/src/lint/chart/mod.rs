//! The Helm chart's rules, checked on real renderings by the real Helm: the matrix of values, what every manifest must
//! keep, and that values, schema and templates name the same things.

mod flags;
mod helm;
mod manifests;
mod matrix;
mod values;

use std::collections::BTreeSet;

pub use helm::{Error, Helm};
pub use matrix::{Case, cases};

/// Namespace that all renderings are made for.
pub const NAMESPACE: &str = "temporal-fleet-system";

/// Runs every check; each finding is a sentence that names the case of the matrix, or the value.
pub fn findings(helm: &Helm) -> Result<Vec<String>, Error> {
    helm.lint()?;
    let defaults = helm.default_values()?;
    let mut found = values::findings(helm, &defaults)?;
    let help = flags::help(helm)?;
    let mut given = BTreeSet::new();
    for case in cases(&defaults) {
        let documents = helm.render(NAMESPACE, &case.values)?;
        given.extend(flags::given(&documents).into_iter().map(str::to_owned));
        found.extend(
            manifests::findings(&documents, NAMESPACE)
                .into_iter()
                .chain(flags::findings(&documents, &help))
                .map(|finding| format!("with {}: {finding}", case.name)),
        );
    }
    let given = given.iter().map(String::as_str).collect();
    found.extend(flags::never_given(&given, &help));
    Ok(found)
}
