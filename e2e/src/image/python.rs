//! The image of the Python example: Python and what it needs from Debian, the pinned packages from `PyPI`, and the example itself.
//!
//! Tree and archive lie in the cache under a name made of what they consist of: they are built when that changes. Versions of
//! Debian's packages are those of the day of the build; everything else is fixed.

use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use sha2::{Digest, Sha256};

use super::{Archived, Error, File, Folder, Image, catalog, debian, inspect, write};

/// Name of the image.
pub const REFERENCE: &str = "localhost/temporal-fleet-python-worker:dev";
/// Names how the tree and the archive are made: another one means that both are made anew.
const REVISION: u32 = 1;
const SUITE: &str = "trixie";
const MIRROR: &str = "http://deb.debian.org/debian";
const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";
/// Python of that suite.
const VERSION: &str = "3.13";
/// What the image needs: Python, and the unwinder of the SDK's native part.
const ROOTS: &[&str] = &["python3", "libgcc-s1"];
const SITE: &str = "app/lib";
/// Proves that the tree is complete: native parts of Python and the SDK, TLS, time zones, processes.
const CHECK: &str = "import ctypes, ssl, sqlite3, zlib, lzma, zoneinfo, multiprocessing.managers, concurrent.futures, temporalio.worker, \
                     temporalio.client; zoneinfo.ZoneInfo('Europe/Berlin')";

/// Writes the image's archive to `out`, out of the cache's folder `cache` if it is there.
pub fn build(cache: &Path, out: &Path) -> Result<Archived, Error> {
    let example = catalog::source_tree().join("examples/python");
    let requirements = example.join("requirements.txt");
    let mut key = Sha256::new();
    key.update(format!("{REVISION} {SUITE} {VERSION} {ROOTS:?}\n"));
    key.update(read(&requirements)?);
    let tree = cache.join("python").join(name_of(key.clone()));
    if !tree.exists() {
        make_tree(&tree, &requirements)?;
    }
    let image = image(&tree, &sources(&example.join("app"))?);
    for source in catalog::sources(&image) {
        key.update(format!("\n{}\n", source.display()));
        key.update(read(source)?);
    }
    let cached = cache.join("python").join(format!("{}.tar", name_of(key)));
    let archived = if cached.exists() {
        inspect(&cached)?
    } else {
        write(&image, Path::new(catalog::AUTHORITIES), &cached)?
    };
    if !inspect(out).is_ok_and(|present| present == archived) {
        if let Some(dir) = out.parent() {
            fs::create_dir_all(dir).map_err(Error::file("create", dir))?;
        }
        fs::copy(&cached, out).map_err(Error::file("write", out))?;
    }
    Ok(archived)
}

fn image(tree: &Path, sources: &[PathBuf]) -> Image {
    let file = |source: &PathBuf| File {
        source: source.clone(),
        path: format!("/app/app/{}", source.file_name().unwrap_or_default().to_string_lossy()),
        executable: false,
    };
    Image {
        reference: REFERENCE.to_owned(),
        entrypoint: ["python", "-m", "app.worker"].map(str::to_owned).to_vec(),
        env: vec![
            "PATH=/usr/bin".to_owned(),
            format!("PYTHONPATH=/app:/{SITE}"),
            "PYTHONUNBUFFERED=1".to_owned(),
        ],
        working_dir: "/app".to_owned(),
        folders: vec![Folder {
            source: tree.to_owned(),
            path: String::new(),
        }],
        files: sources.iter().map(file).collect(),
    }
}

/// The example's own files, in order.
fn sources(app: &Path) -> Result<Vec<PathBuf>, Error> {
    let entries = fs::read_dir(app).map_err(Error::file("read", app))?;
    let mut paths: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "py"));
    paths.sort();
    Ok(paths)
}

/// Installs Debian and the packages beside `tree`, checks and compiles them, and moves what is needed into it.
fn make_tree(tree: &Path, requirements: &Path) -> Result<(), Error> {
    let (debian, new) = (tree.with_extension("debian"), tree.with_extension("new"));
    for left in [&debian, &new].into_iter().filter(|left| left.exists()) {
        fs::remove_dir_all(left).map_err(Error::file("remove", left))?;
    }
    fs::create_dir_all(&debian).map_err(Error::file("create", &debian))?;
    eprintln!(
        "installs Debian {SUITE} and the packages of {} (once, some minutes)",
        requirements.display()
    );
    run(Command::new("debootstrap")
        .args(["--variant=minbase", "--include=python3", "--keyring", KEYRING, SUITE])
        .args([&debian, Path::new(MIRROR)]))?;
    run(Command::new("python3")
        .args("-m pip install --quiet --disable-pip-version-check --root-user-action=ignore".split(' '))
        .args("--require-hashes --no-deps --no-compile --only-binary=:all: --platform=manylinux2014_x86_64".split(' '))
        .args([format!("--python-version={VERSION}"), "--requirement".to_owned()])
        .arg(requirements)
        .arg("--target")
        .arg(debian.join(SITE)))?;
    // Bytecode that is valid whatever the times of the sources, as the layer has none; a pod cannot write its own.
    let folders = [format!("/usr/lib/python{VERSION}"), format!("/{SITE}")];
    run(chroot(&debian)
        .args([
            "-m",
            "compileall",
            "-q",
            "-f",
            "-j2",
            "--invalidation-mode",
            "unchecked-hash",
        ])
        .args(folders))?;
    select(&debian, &new)?;
    fs::remove_dir_all(&debian).map_err(Error::file("remove", &debian))?;
    run(chroot(&new).args(["-c", CHECK]).env("PYTHONPATH", format!("/{SITE}")))?;
    fs::rename(&new, tree).map_err(Error::file("rename", &new))
}

/// Python of a tree, as the user of a pod.
fn chroot(tree: &Path) -> Command {
    let mut command = Command::new("chroot");
    command
        .arg(tree)
        .arg("/usr/bin/python3")
        .env("PYTHONDONTWRITEBYTECODE", "1");
    command
}

fn run(command: &mut Command) -> Result<(), Error> {
    let name = command.get_program().to_string_lossy().into_owned();
    let output = command.stdin(Stdio::null()).output().map_err(|source| Error::Run {
        name: name.clone(),
        source,
    })?;
    if output.status.success() {
        return Ok(());
    }
    let text = [output.stdout, output.stderr].concat();
    let lines: Vec<_> = String::from_utf8_lossy(&text).lines().map(str::to_owned).collect();
    Err(Error::Command {
        name,
        status: output.status,
        output: lines[lines.len().saturating_sub(20)..].join("\n"),
    })
}

/// Moves what the image needs from one tree to the other.
fn select(from: &Path, to: &Path) -> Result<(), Error> {
    let database = from.join("var/lib/dpkg");
    let status = text(&database.join("status"))?;
    let packages = debian::needed(&status, ROOTS);
    for package in &packages {
        let lists = ["", ":amd64"].map(|kind| database.join(format!("info/{package}{kind}.list")));
        let list = lists.iter().find(|list| list.exists()).unwrap_or(&lists[0]);
        for path in text(list)?.lines().filter_map(debian::wanted) {
            if skipped(&path) {
                continue;
            }
            transfer(from, to, &path)?;
            if let Some(bytecode) = bytecode(&path) {
                transfer(from, to, &bytecode)?;
            }
        }
    }
    move_all(from, to, SITE)?;
    for merged in ["bin", "lib", "lib64"] {
        link(&format!("usr/{merged}"), &to.join(merged))?;
    }
    link("python3", &to.join("usr/bin/python"))?;
    let kept = to.join("var/lib/dpkg/status");
    create_parent(&kept)?;
    fs::write(&kept, debian::status_of(&status, &packages)).map_err(Error::file("write", &kept))
}

/// Parts of Python that serve its own tests and its help.
fn skipped(path: &str) -> bool {
    let below = format!("usr/lib/python{VERSION}");
    ["test", "pydoc_data"]
        .iter()
        .any(|folder| path.starts_with(&format!("{below}/{folder}/")))
}

/// Where the bytecode of a module lies.
fn bytecode(path: &str) -> Option<String> {
    let (folder, name) = path.strip_suffix(".py")?.rsplit_once('/')?;
    let tag = VERSION.replace('.', "");
    Some(format!("{folder}/__pycache__/{name}.cpython-{tag}.pyc"))
}

/// Moves one file or link; folders come with what is in them, and what is not there (a list names folders too) is passed over.
fn transfer(from: &Path, to: &Path, path: &str) -> Result<(), Error> {
    let (source, target) = (from.join(path), to.join(path));
    let Ok(metadata) = source.symlink_metadata() else {
        return Ok(());
    };
    if metadata.is_dir() {
        return Ok(());
    }
    create_parent(&target)?;
    fs::rename(&source, &target).map_err(Error::file("move", &source))
}

/// Moves a folder, without the programs and type stubs that packages bring along.
fn move_all(from: &Path, to: &Path, folder: &str) -> Result<(), Error> {
    let target = to.join(folder);
    create_parent(&target)?;
    fs::rename(from.join(folder), &target).map_err(Error::file("move", &target))?;
    for unneeded in ["bin", "google-stubs"].map(|name| target.join(name)) {
        if unneeded.exists() {
            fs::remove_dir_all(&unneeded).map_err(Error::file("remove", &unneeded))?;
        }
    }
    Ok(())
}

fn create_parent(path: &Path) -> Result<(), Error> {
    path.parent().map_or(Ok(()), |dir| {
        fs::create_dir_all(dir).map_err(Error::file("create", dir))
    })
}

fn link(to: &str, at: &Path) -> Result<(), Error> {
    symlink(to, at).map_err(Error::file("create", at))
}

fn text(path: &Path) -> Result<String, Error> {
    fs::read_to_string(path).map_err(Error::file("read", path))
}

fn read(path: &Path) -> Result<Vec<u8>, Error> {
    fs::read(path).map_err(Error::file("read", path))
}

/// The first half of a digest: a name that fits on a line.
fn name_of(hash: Sha256) -> String {
    hash.finalize().iter().take(16).fold(String::new(), |mut name, byte| {
        write!(name, "{byte:02x}").ok();
        name
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytecode_lies_beside_its_module() {
        assert_eq!(
            bytecode("usr/lib/python3.13/json/decoder.py").as_deref(),
            Some("usr/lib/python3.13/json/__pycache__/decoder.cpython-313.pyc")
        );
        assert_eq!(bytecode("usr/bin/python3"), None);
    }

    #[test]
    fn the_example_is_in_the_image_and_its_leftovers_are_not() {
        let sources = sources(&catalog::source_tree().join("examples/python/app")).expect("the example");
        let image = image(Path::new("/nonexistent"), &sources);
        let paths: Vec<&str> = image.files.iter().map(|file| file.path.as_str()).collect();
        assert!(paths.contains(&"/app/app/worker.py"), "{paths:?}");
        assert!(!paths.iter().any(|path| path.contains("pycache")), "{paths:?}");
    }

    #[test]
    fn the_packages_are_pinned_by_version_and_hash() {
        let requirements = text(&catalog::source_tree().join("examples/python/requirements.txt")).expect("pins");
        let pins = requirements.lines().filter(|line| line.contains("==")).count();
        assert!(pins >= 3, "{requirements}");
        assert!(requirements.matches("--hash=sha256:").count() >= pins, "{requirements}");
    }
}
