//! Every example applies with strict validation by the server.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use serde::Deserialize as _;
use serde_json::Value;

use super::sandbox;

fn manifests(folder: &Path) -> Result<Vec<(PathBuf, Value)>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            found.extend(manifests(&path)?);
        } else if path.extension().is_some_and(|extension| extension == "yaml") {
            for document in serde_yaml::Deserializer::from_str(&std::fs::read_to_string(&path)?) {
                found.push((path.clone(), Value::deserialize(document)?));
            }
        }
    }
    Ok(found)
}

#[tokio::test]
async fn every_example_applies() -> Result<()> {
    sandbox::with("examples", |sandbox| async move {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples");
        let ours = ["TemporalWorker", "TemporalConnection"];
        let mut applied = 0;
        for (path, manifest) in manifests(&root)? {
            if manifest["kind"].as_str().is_some_and(|kind| ours.contains(&kind)) {
                sandbox
                    .apply(&manifest, "fleet-e2e", true)
                    .await
                    .with_context(|| path.display().to_string())?;
                applied += 1;
            }
        }
        assert!(applied >= 8, "only {applied} examples were applied");
        Ok(())
    })
    .await
}
