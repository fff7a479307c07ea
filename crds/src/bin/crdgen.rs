//! `crdgen` writes the generated files of this crate; `crdgen --check` fails if one of them is not what it would write.

use fleet_crds::generated;
use std::path::Path;
use std::process::ExitCode;

fn main() -> ExitCode {
    let check = match std::env::args().skip(1).collect::<Vec<_>>().as_slice() {
        [] => false,
        [flag] if flag == "--check" => true,
        _ => {
            eprintln!("usage: crdgen [--check]");
            return ExitCode::from(2);
        }
    };
    let files = match generated::files() {
        Ok(files) => files,
        Err(error) => {
            eprintln!("crdgen: {error}");
            return ExitCode::FAILURE;
        }
    };
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut code = ExitCode::SUCCESS;
    for (path, content) in files {
        let result = if check {
            fresh(&root.join(&path), &content)
        } else {
            write(&root.join(&path), &content)
        };
        if let Err(error) = result {
            eprintln!("crdgen: {path}: {error}");
            code = ExitCode::FAILURE;
        }
    }
    code
}

fn fresh(path: &Path, content: &str) -> std::io::Result<()> {
    if std::fs::read_to_string(path)? == content {
        return Ok(());
    }
    Err(std::io::Error::other(
        "is not fresh; run `make generate` and commit the result",
    ))
}

/// Files that are fresh are not touched, so that builds which depend on them stay fresh, too.
fn write(path: &Path, content: &str) -> std::io::Result<()> {
    if fresh(path, content).is_ok() {
        return Ok(());
    }
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    std::fs::write(path, content)
}
