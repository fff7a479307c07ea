//! `image`: writes the images of this repository as OCI archives, without a container daemon. Prints name, digest and file.

use std::path::{Path, PathBuf};

use clap::{Parser, ValueEnum};
use fleet_e2e::cluster::Layout;
use fleet_e2e::image::{self, Archived, Image, catalog};

/// Write container images as OCI archives: one layer, from scratch, reproducible.
#[derive(Parser)]
#[command(version)]
struct Args {
    /// Which images to write.
    which: Which,
    /// The folder that gets the archives, one `<name>.tar` each.
    out: PathBuf,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Which {
    /// The operator; builds its static binary first.
    Operator,
    /// The sample worker; builds its static binary first.
    Worker,
    /// DNS, the metrics API, Temporal and the pods' `pause` of the local cluster, of the programs that `make setup` built.
    Addons,
    /// Operator and sample worker.
    All,
    /// The Python example; installs Debian's Python into the cache first (root).
    Python,
}

fn main() -> anyhow::Result<()> {
    let Args { which, out } = Args::parse();
    let target = catalog::target_dir();
    if which == Which::Python {
        let file = out.join("python-worker.tar");
        print(&image::python::build(Layout::of_user()?.cache(), &file)?, &file);
        return Ok(());
    }
    if which != Which::Addons {
        catalog::build_binaries()?;
    }
    if matches!(which, Which::Operator | Which::All) {
        write(&catalog::operator(&target)?, &out, "operator")?;
    }
    if matches!(which, Which::Worker | Which::All) {
        write(&catalog::sample_worker(&target)?, &out, "sample-worker")?;
    }
    if which == Which::Addons {
        let bin = Layout::of_user()?.cache().join("bin");
        for addon in catalog::addons() {
            write(&catalog::addon(&addon, &bin)?, &out, addon.program)?;
        }
    }
    Ok(())
}

fn write(image: &Image, out: &Path, name: &str) -> anyhow::Result<()> {
    let file = out.join(format!("{name}.tar"));
    let written = image::write(image, Path::new(catalog::AUTHORITIES), &file)?;
    print(&written, &file);
    Ok(())
}

fn print(written: &Archived, file: &Path) {
    println!("{} {} {}", written.reference, written.digest, file.display());
}
