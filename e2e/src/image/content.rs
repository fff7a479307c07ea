//! What an image consists of, and its only layer: files in a fixed order, owned by root, without times.

use std::collections::BTreeSet;
use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use tar::{Builder, EntryType, Header};

use super::Error;

/// User and group of every image; a number, since `runAsNonRoot` cannot verify a name.
pub(super) const USER: &str = "65532:65532";
/// Where TLS clients of every language look for authorities on Debian, which is one of the places all of them try.
pub(super) const AUTHORITIES: &str = "etc/ssl/certs/ca-certificates.crt";
const PASSWD: &str = include_str!("../../rootfs/etc/passwd");
const GROUP: &str = include_str!("../../rootfs/etc/group");

/// One file of an image.
#[derive(Debug, Clone)]
pub struct File {
    /// Where it is read from.
    pub source: PathBuf,
    /// Its absolute path in the image.
    pub path: String,
    /// Whether it is a program; it must be static then.
    pub executable: bool,
}

/// A folder of an image with all that is in it: files, programs and links, whatever they need.
#[derive(Debug, Clone)]
pub struct Folder {
    /// Where it is read from.
    pub source: PathBuf,
    /// Its path in the image; empty for the root.
    pub path: String,
}

/// An image: a name and what is in it.
#[derive(Debug, Clone)]
pub struct Image {
    /// Its name with a tag, such as `localhost/pause:dev`.
    pub reference: String,
    /// The program and its fixed arguments.
    pub entrypoint: Vec<String>,
    /// Environment as `NAME=value`; where CA certificates are is added.
    pub env: Vec<String>,
    /// Where the program starts.
    pub working_dir: String,
    /// Folders, which come before the files.
    pub folders: Vec<Folder>,
    /// All files beyond those that every image has.
    pub files: Vec<File>,
}

impl Image {
    /// An image of one static binary, which lies at `/<name>` and is the entry point.
    pub fn of_binary(reference: &str, name: &str, binary: PathBuf) -> Self {
        let path = format!("/{name}");
        Self {
            reference: reference.to_owned(),
            entrypoint: vec![path.clone()],
            env: vec!["PATH=/".to_owned()],
            working_dir: "/".to_owned(),
            folders: Vec::new(),
            files: vec![File {
                source: binary,
                path,
                executable: true,
            }],
        }
    }
}

/// Writes the layer as a tar stream.
pub(super) fn layer(image: &Image, authorities: &Path, out: impl Write) -> Result<(), Error> {
    let mut tar = Layer {
        tar: Builder::new(out),
        folders: BTreeSet::new(),
        reference: &image.reference,
    };
    tar.folder("tmp", 0o1777)?;
    tar.text("etc/group", GROUP)?;
    tar.text("etc/passwd", PASSWD)?;
    tar.file(&File {
        source: authorities.to_owned(),
        path: AUTHORITIES.to_owned(),
        executable: false,
    })?;
    for Folder { source, path } in &image.folders {
        tar.tree(source, path.trim_matches('/'))?;
    }
    for file in &image.files {
        tar.file(file)?;
    }
    tar.tar
        .finish()
        .map_err(Error::file("write the layer of", &image.reference))
}

struct Layer<'a, W: Write> {
    tar: Builder<W>,
    folders: BTreeSet<String>,
    reference: &'a str,
}

impl<W: Write> Layer<'_, W> {
    fn entry(&mut self, path: &str, kind: EntryType, mode: u32, data: &[u8]) -> Result<(), Error> {
        let mut header = Header::new_gnu();
        header.set_entry_type(kind);
        header.set_mode(mode);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(0);
        header.set_size(data.len() as u64);
        self.tar
            .append_data(&mut header, path, data)
            .map_err(Error::file("write the layer of", self.reference))
    }

    fn folder(&mut self, path: &str, mode: u32) -> Result<(), Error> {
        if path.is_empty() || !self.folders.insert(path.to_owned()) {
            return Ok(());
        }
        self.parent(path)?;
        self.entry(&format!("{path}/"), EntryType::Directory, mode, &[])
    }

    fn parent(&mut self, path: &str) -> Result<(), Error> {
        match path.rsplit_once('/') {
            Some((parent, _)) => self.folder(parent, 0o755),
            None => Ok(()),
        }
    }

    fn text(&mut self, path: &str, text: &str) -> Result<(), Error> {
        self.parent(path)?;
        self.entry(path, EntryType::Regular, 0o644, text.as_bytes())
    }

    /// All of a folder, in the order of names.
    fn tree(&mut self, source: &Path, path: &str) -> Result<(), Error> {
        self.folder(path, 0o755)?;
        let entries = fs::read_dir(source).map_err(Error::file("read", source))?;
        let mut names: Vec<_> = entries
            .map(|entry| entry.map(|entry| entry.file_name()))
            .collect::<Result<_, _>>()
            .map_err(Error::file("read", source))?;
        names.sort();
        for name in names {
            let source = source.join(&name);
            let name = name.to_string_lossy();
            let path = if path.is_empty() {
                name.into_owned()
            } else {
                format!("{path}/{name}")
            };
            let metadata = source.symlink_metadata().map_err(Error::file("read", &source))?;
            if metadata.is_symlink() {
                self.parent(&path)?;
                self.link(&source, &path)?;
            } else if metadata.is_dir() {
                self.tree(&source, &path)?;
            } else {
                self.parent(&path)?;
                let executable = metadata.permissions().mode() & 0o111 != 0;
                let mode = if executable { 0o755 } else { 0o644 };
                self.entry(&path, EntryType::Regular, mode, &read(&source)?)?;
            }
        }
        Ok(())
    }

    fn link(&mut self, source: &Path, path: &str) -> Result<(), Error> {
        let to = fs::read_link(source).map_err(Error::file("read", source))?;
        let mut header = Header::new_gnu();
        header.set_entry_type(EntryType::Symlink);
        header.set_mode(0o777);
        header.set_mtime(0);
        header.set_uid(0);
        header.set_gid(0);
        header.set_size(0);
        self.tar
            .append_link(&mut header, path, to)
            .map_err(Error::file("write the layer of", self.reference))
    }

    fn file(&mut self, file: &File) -> Result<(), Error> {
        let data = read(&file.source)?;
        if file.executable && needs_interpreter(&data) {
            return Err(Error::NotStatic {
                path: file.source.clone(),
            });
        }
        let path = file.path.trim_start_matches('/');
        self.parent(path)?;
        self.entry(
            path,
            EntryType::Regular,
            if file.executable { 0o755 } else { 0o644 },
            &data,
        )
    }
}

fn read(path: &Path) -> Result<Vec<u8>, Error> {
    let mut data = Vec::new();
    fs::File::open(path)
        .and_then(|mut file| file.read_to_end(&mut data))
        .map_err(Error::file("read", path))?;
    Ok(data)
}

/// Whether a 64-bit ELF file asks for a dynamic loader (program header type 3).
fn needs_interpreter(elf: &[u8]) -> bool {
    let number = |at: usize, len: usize| {
        let bytes = elf.get(at..at + len)?;
        Some(
            bytes
                .iter()
                .rev()
                .fold(0_usize, |sum, byte| sum << 8 | usize::from(*byte)),
        )
    };
    let headers = || Some((number(32, 8)?, number(54, 2)?, number(56, 2)?));
    let Some((start, size, count)) = headers().filter(|_| elf.starts_with(b"\x7fELF\x02\x01")) else {
        return false;
    };
    (0..count).any(|index| number(start + index * size, 4) == Some(3))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dynamic_binary_is_recognised() {
        assert!(needs_interpreter(&fs::read("/bin/sh").expect("a shell")));
        assert!(!needs_interpreter(b"#!/bin/sh\n"));
        assert!(!needs_interpreter(b""));
    }
}
