//! Images of the add-ons as archives in the cache, and the import of archives into our containerd, which is the slowest
//! step of a start: both happen only when something changed.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::command::run;
use super::error::{Error, Result};
use super::layout::Layout;
use crate::image::{self, Archived, catalog};

/// Names the format of archives: another one means that all are written anew.
const REVISION: u32 = 1;

/// Makes sure that the archives of all add-ons are there and fresh.
pub(super) fn write_addons(layout: &Layout) -> Result<Vec<PathBuf>> {
    let bin = layout.cache().join("bin");
    let mut archives = Vec::new();
    for addon in catalog::addons() {
        let image = catalog::addon(&addon, &bin)?;
        // The name carries what the archive was made of, so that a folder shared by two clones serves both.
        let (_, tag) = addon.reference.rsplit_once(':').unwrap_or((addon.program, "latest"));
        let archive = layout
            .archives()
            .join(format!("{}-{tag}-{REVISION}.tar", addon.program));
        let newest = catalog::sources(&image)
            .map(modified)
            .try_fold(SystemTime::UNIX_EPOCH, |newest, time| time.map(|time| newest.max(time)))?;
        if !archive.exists() || modified(&archive)? < newest {
            image::write(&image, Path::new(catalog::AUTHORITIES), &archive)?;
        }
        archives.push(archive);
    }
    Ok(archives)
}

/// Imports those archives whose image containerd does not have with that very digest. Returns the ones imported.
pub(super) fn import(layout: &Layout, archives: &[PathBuf]) -> Result<Vec<Archived>> {
    let known = imported(layout)?;
    let mut fresh = Vec::new();
    for archive in archives {
        let image = image::inspect(archive)?;
        if known.get(&image.reference) != Some(&image.digest) {
            ctr(layout, &["images", "import", &archive.display().to_string()])?;
            fresh.push(image);
        }
    }
    Ok(fresh)
}

/// Imports all archives (`*.tar`) of a folder into the running cluster, as [`import`] does.
pub fn import_folder(layout: &Layout, dir: &Path) -> Result<Vec<Archived>> {
    let archives = archives_of(dir);
    if archives.is_empty() {
        return Err(Error::Refused(format!(
            "{} holds no image archive: run `make images`",
            dir.display()
        )));
    }
    import(layout, &archives)
}

/// Whether a folder holds anything that [`import_folder`] could import.
pub fn holds_archives(dir: &Path) -> bool {
    !archives_of(dir).is_empty()
}

/// Gives an imported image another name, as if a registry had served it to the node.
pub fn tag_image(layout: &Layout, image: &str, name: &str) -> Result<()> {
    ctr(layout, &["images", "tag", "--force", image, name]).map(drop)
}

/// The digest of an image that was imported into the running cluster; the kubelet does not tell it.
pub fn imported_digest(layout: &Layout, reference: &str) -> Result<String> {
    imported(layout)?.remove(reference).ok_or_else(|| {
        Error::Refused(format!(
            "the node has no image {reference}: run `make images cluster-up`"
        ))
    })
}

fn archives_of(dir: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    let mut archives: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
    archives.retain(|path| path.extension().is_some_and(|extension| extension == "tar"));
    archives.sort();
    archives
}

/// Runs `ctr` against our containerd, in the kubelet's containerd namespace.
pub(super) fn ctr(layout: &Layout, args: &[&str]) -> Result<String> {
    let socket = layout.containerd_socket().display().to_string();
    run("ctr", &[&["-a", &socket, "-n", "k8s.io"], args].concat())
}

/// Name and digest of each image that containerd has.
fn imported(layout: &Layout) -> Result<BTreeMap<String, String>> {
    let table = ctr(layout, &["images", "ls"])?;
    let row = |line: &str| {
        let mut columns = line.split_whitespace();
        Some((columns.next()?.to_owned(), columns.nth(1)?.to_owned()))
    };
    Ok(table.lines().skip(1).filter_map(row).collect())
}

fn modified(path: &Path) -> Result<SystemTime> {
    fs::metadata(path)
        .and_then(|metadata| metadata.modified())
        .map_err(Error::file("read", path))
}
