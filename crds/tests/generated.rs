//! What is generated is committed as it is generated.

use std::path::Path;

#[test]
fn generated_files_are_fresh() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    for (path, content) in fleet_crds::generated::files().expect("generated files") {
        let committed = std::fs::read_to_string(root.join(&path)).unwrap_or_default();
        assert!(
            committed == content,
            "{path} is not fresh; run `make generate` and commit the result"
        );
    }
}
