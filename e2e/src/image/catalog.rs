//! The images of this repository: the add-ons of the local cluster (programs of the pinned Go modules and `pause`), the
//! operator, and the sample worker.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::{Error, File, Image};

/// Name of the operator's image.
pub const OPERATOR: &str = "localhost/temporal-fleet-operator:dev";
/// Name of the sample worker's image.
pub const SAMPLE_WORKER: &str = "localhost/temporal-fleet-sample-worker:dev";
/// The CA certificates of the machine, installed by `make setup`.
pub const AUTHORITIES: &str = "/etc/ssl/certs/ca-certificates.crt";

const ADDONS_MOD: &str = include_str!("../../tools/addons/go.mod");
const TEMPORAL_MOD: &str = include_str!("../../tools/temporal/go.mod");
const KEDA_MOD: &str = include_str!("../../tools/keda/go.mod");

/// An image of an add-on.
#[derive(Debug, Clone)]
pub struct Addon {
    /// Name of its program in the cache, and of its archive.
    pub program: &'static str,
    /// How manifests and configuration name it.
    pub placeholder: &'static str,
    /// Its name with the version of its module as tag.
    pub reference: String,
}

/// All add-ons.
pub fn addons() -> Vec<Addon> {
    let addon = |program, placeholder, version: String| Addon {
        program,
        placeholder,
        reference: format!("localhost/{program}:{version}"),
    };
    vec![
        addon("pause", "PAUSE", env!("CARGO_PKG_VERSION").to_owned()),
        addon("coredns", "COREDNS", version(ADDONS_MOD, "github.com/coredns/coredns")),
        addon(
            "metrics-server",
            "METRICS_SERVER",
            version(ADDONS_MOD, "sigs.k8s.io/metrics-server"),
        ),
        addon(
            "temporal-server",
            "TEMPORAL_SERVER",
            version(TEMPORAL_MOD, "go.temporal.io/server"),
        ),
    ]
}

/// KEDA's operator and metrics API server: for the live comparison only, built by `make keda`.
pub fn keda() -> Vec<Addon> {
    let version = version(KEDA_MOD, "github.com/kedacore/keda/v2");
    let addon = |program: &'static str, placeholder| Addon {
        program,
        placeholder,
        reference: format!("localhost/{program}:{version}"),
    };
    vec![
        addon("keda-operator", "KEDA_OPERATOR"),
        addon("keda-adapter", "KEDA_ADAPTER"),
    ]
}

/// The image of an add-on, made of its program in the cache's folder `bin`.
pub fn addon(addon: &Addon, bin: &Path) -> Result<Image, Error> {
    let binary = found(bin.join(addon.program), "setup")?;
    Ok(Image::of_binary(&addon.reference, addon.program, binary))
}

/// The operator's image, made of its static binary.
pub fn operator(target: &Path) -> Result<Image, Error> {
    let binary = found(musl(target).join("temporal-fleet-operator"), "images")?;
    Ok(Image::of_binary(OPERATOR, "temporal-fleet-operator", binary))
}

/// The sample worker's image, made of its static binary.
pub fn sample_worker(target: &Path) -> Result<Image, Error> {
    let binary = found(musl(target).join("examples/data_processing"), "images")?;
    Ok(Image::of_binary(SAMPLE_WORKER, "worker", binary))
}

/// The folder of cargo's output: `CARGO_TARGET_DIR`, or `target` of this workspace.
pub fn target_dir() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| source_tree().join("target"), PathBuf::from)
}

/// The root of this source tree: charts and examples lie there.
///
/// By what cargo says as it runs the program, if it does: clones may share a build directory, and then one runs what was compiled
/// in another.
pub fn source_tree() -> PathBuf {
    let package = std::env::var_os("CARGO_MANIFEST_DIR")
        .map(PathBuf::from)
        .filter(|package| package.ends_with("e2e"))
        .unwrap_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")));
    package.parent().unwrap_or(&package).to_owned()
}

/// Builds the static binaries of operator and sample worker with cargo: one profile and one call, so that what both need is
/// compiled once.
pub fn build_binaries() -> Result<(), Error> {
    build("--bin temporal-fleet-operator --example data_processing")
}

/// Builds the program that the benchmark of the runtime starts, as the images are built.
pub fn build_bench_worker() -> Result<(), Error> {
    build("--example data_processing --example bench_worker")
}

/// Where that program is.
pub fn bench_worker() -> Result<PathBuf, Error> {
    found(musl(&target_dir()).join("examples/bench_worker"), "bench-runtime")
}

/// The sample worker's static binary.
pub fn sample_worker_binary() -> Result<PathBuf, Error> {
    found(musl(&target_dir()).join("examples/data_processing"), "images")
}

fn build(what: &str) -> Result<(), Error> {
    let args =
        format!("build --profile image --target x86_64-unknown-linux-musl -p fleet-operator -p fleet-worker {what}");
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let workspace = source_tree();
    let mut command = Command::new(cargo);
    for name in crate_variables() {
        command.env_remove(name);
    }
    let status = command
        .args(args.split_whitespace())
        .current_dir(&workspace)
        .status()
        .map_err(Error::file("run cargo in", &workspace))?;
    if status.success() {
        Ok(())
    } else {
        Err(Error::Build { status })
    }
}

/// The variables by which cargo tells a program that it runs which crate it is. A cargo within must not see them: build scripts of
/// dependencies look at them, and half of the tree would be compiled again.
pub fn crate_variables() -> impl Iterator<Item = String> {
    const PREFIXES: [&str; 4] = ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_BIN_EXE_", "CARGO_CRATE_"];
    let names = std::env::vars_os().filter_map(|(name, _)| name.into_string().ok());
    names.filter(|name| PREFIXES.iter().any(|prefix| name.starts_with(prefix)))
}

/// Files whose change makes an image stale; folders are not looked into.
pub fn sources(image: &Image) -> impl Iterator<Item = &Path> {
    image
        .files
        .iter()
        .map(
            |File {
                 source,
                 path: _,
                 executable: _,
             }| source.as_path(),
        )
        .chain([Path::new(AUTHORITIES)])
}

fn musl(target: &Path) -> PathBuf {
    target.join("x86_64-unknown-linux-musl/image")
}

fn found(path: PathBuf, target: &'static str) -> Result<PathBuf, Error> {
    if path.exists() {
        Ok(path)
    } else {
        Err(Error::Missing { path, target })
    }
}

/// The version of a module in a `go.mod`.
fn version(go_mod: &str, module: &str) -> String {
    let words = go_mod
        .lines()
        .map(|line| line.trim().trim_start_matches("require ").split_whitespace());
    let mut versions = words.filter_map(|mut words| (words.next() == Some(module)).then(|| words.next()).flatten());
    versions.next().unwrap_or("unknown").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tags_are_the_pinned_versions() {
        for addon in addons().into_iter().chain(keda()) {
            let (_, tag) = addon.reference.rsplit_once(':').expect("a tag");
            assert!(
                tag.trim_start_matches('v').starts_with(|c: char| c.is_ascii_digit()),
                "{}",
                addon.reference
            );
        }
    }

    #[test]
    fn a_binary_that_was_not_built_names_its_target() {
        let error = operator(Path::new("/nonexistent")).expect_err("missing").to_string();
        assert!(error.contains("make images"), "{error}");
    }
}
