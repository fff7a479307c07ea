//! `image`: writes the images of this repository as OCI archives, without a container daemon. Prints name, digest and file.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::{Parser, Subcommand};
use fleet_e2e::cluster::Layout;
use fleet_e2e::image::{self, Archived, Image, catalog};

/// Write container images as OCI archives: one layer, from scratch, reproducible.
#[derive(Parser)]
#[command(version)]
struct Args {
    #[command(subcommand)]
    which: Which,
}

#[derive(Subcommand)]
enum Which {
    /// The operator; builds its static binary first.
    Operator(Out),
    /// The sample worker; builds its static binary first.
    Worker(Out),
    /// DNS, the metrics API, Temporal and the pods' `pause` of the local cluster, of the programs that `make setup` built.
    Addons(Out),
    /// Operator and sample worker.
    All(Out),
    /// The Python example; installs Debian's Python into the cache first (root).
    Python(Out),
    /// A static program of your own, as the entry point.
    Binary {
        /// The program, built for a target such as x86_64-unknown-linux-musl.
        program: PathBuf,
        /// Name and tag of the image, such as registry.example.com/acme/orders:1.4.2.
        #[arg(value_parser = tagged)]
        name: String,
        /// The archive to write, such as orders.tar.
        out: PathBuf,
    },
}

#[derive(clap::Args)]
struct Out {
    /// The folder that gets the archives, one `<name>.tar` each.
    out: PathBuf,
}

fn main() -> anyhow::Result<()> {
    let target = catalog::target_dir();
    match Args::parse().which {
        Which::Operator(Out { out }) => {
            catalog::build_binaries()?;
            write(&catalog::operator(&target)?, &out.join("operator.tar"))
        }
        Which::Worker(Out { out }) => {
            catalog::build_binaries()?;
            write(&catalog::sample_worker(&target)?, &out.join("sample-worker.tar"))
        }
        Which::All(Out { out }) => {
            catalog::build_binaries()?;
            write(&catalog::operator(&target)?, &out.join("operator.tar"))?;
            write(&catalog::sample_worker(&target)?, &out.join("sample-worker.tar"))
        }
        Which::Addons(Out { out }) => {
            let bin = Layout::of_user()?.cache().join("bin");
            for addon in catalog::addons() {
                let file = out.join(format!("{}.tar", addon.program));
                write(&catalog::addon(&addon, &bin)?, &file)?;
            }
            Ok(())
        }
        Which::Python(Out { out }) => {
            let file = out.join("python-worker.tar");
            print(&image::python::build(Layout::of_user()?.cache(), &file)?, &file);
            Ok(())
        }
        Which::Binary { program, name, out } => {
            let file_name = program.file_name().context("the program has no file name")?;
            let image = Image::of_binary(&name, &file_name.to_string_lossy(), program.clone());
            write(&image, &out)
        }
    }
}

fn write(image: &Image, file: &Path) -> anyhow::Result<()> {
    let written = image::write(image, Path::new(catalog::AUTHORITIES), file)?;
    print(&written, file);
    Ok(())
}

fn print(written: &Archived, file: &Path) {
    println!("{} {} {}", written.reference, written.digest, file.display());
}

/// A fleet names its image with a tag: `latest` would hide which program a pod runs.
fn tagged(name: &str) -> Result<String, String> {
    let (_, last) = name.rsplit_once('/').unwrap_or(("", name));
    match last.split_once(':') {
        Some((image, tag)) if !image.is_empty() && !tag.is_empty() => Ok(name.to_owned()),
        _ => Err("an image needs a name and a tag, such as localhost/hello:1".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_needs_a_tag() {
        for name in [
            "localhost/hello:1",
            "registry.example.com:5000/acme/orders:1.4.2",
            "hello:1",
        ] {
            assert!(tagged(name).is_ok(), "{name}");
        }
        for name in [
            "localhost/hello",
            "registry.example.com:5000/acme/orders",
            "hello:",
            ":1",
            "",
        ] {
            assert!(tagged(name).is_err(), "{name}");
        }
    }
}
