//! The OCI archive of an image: layout file, index, manifest, configuration and one uncompressed layer in one tar file,
//! as `ctr images import`, `skopeo` and `podman load` read it.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{self, BufWriter, Read, Write};
use std::path::Path;

use oci_spec::image::{
    Arch, ConfigBuilder, DescriptorBuilder, HistoryBuilder, ImageConfigurationBuilder, ImageIndexBuilder,
    ImageManifestBuilder, MediaType, OciLayoutBuilder, Os, PlatformBuilder, RootFsBuilder, Sha256Digest,
};
use serde::Serialize;
use sha2::{Digest, Sha256};
use tar::{Builder, Header};

use super::Error;
use super::content::{self, Image, USER};

/// Annotation that containerd takes the image's name from.
const NAME: &str = "io.containerd.image.name";
const TAG: &str = "org.opencontainers.image.ref.name";

/// An image in an archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Archived {
    /// Its name with a tag.
    pub reference: String,
    /// Digest of its manifest, `sha256:…`: what containerd and the kubelet show as the image's ID.
    pub digest: String,
}

/// Writes the archive of an image; `authorities` is the file of CA certificates that goes into it.
pub fn write(image: &Image, authorities: &Path, out: &Path) -> Result<Archived, Error> {
    if let Some(dir) = out.parent() {
        fs::create_dir_all(dir).map_err(Error::file("create", dir))?;
    }
    let layer_path = out.with_extension("layer");
    let layer_file = File::create(&layer_path).map_err(Error::file("create", &layer_path))?;
    let mut layer = Hashing {
        out: BufWriter::new(layer_file),
        hash: Sha256::new(),
        size: 0,
    };
    content::layer(image, authorities, &mut layer)?;
    layer.flush().map_err(Error::file("write", &layer_path))?;
    let (layer_digest, layer_size) = (hex(&layer.hash.finalize()), layer.size);

    let metadata = Metadata::of(image, &layer_digest, layer_size).map_err(|source| Error::Describe {
        reference: image.reference.clone(),
        source,
    })?;

    // Written beside and renamed: an interrupted run leaves no half archive under the final name.
    let new = out.with_extension("new");
    let assemble = || -> io::Result<()> {
        let mut tar = Builder::new(BufWriter::new(File::create(&new)?));
        for (name, data) in [
            ("oci-layout".to_owned(), &metadata.layout),
            ("index.json".to_owned(), &metadata.index),
        ] {
            append(&mut tar, &name, data.len() as u64, data.as_slice())?;
        }
        append(&mut tar, &blob(&layer_digest), layer_size, File::open(&layer_path)?)?;
        for data in [&metadata.config, &metadata.manifest] {
            append(&mut tar, &blob(&sha256(data)), data.len() as u64, data.as_slice())?;
        }
        tar.into_inner()?.flush()
    };
    assemble().map_err(Error::file("write", &new))?;
    fs::remove_file(&layer_path).map_err(Error::file("remove", &layer_path))?;
    fs::rename(&new, out).map_err(Error::file("rename", &new))?;
    Ok(Archived {
        reference: image.reference.clone(),
        digest: format!("sha256:{}", sha256(&metadata.manifest)),
    })
}

/// Reads name and digest of the image in an archive, without reading its layer.
pub fn inspect(path: &Path) -> Result<Archived, Error> {
    let not = |reason: &str| Error::NotAnArchive {
        path: path.to_owned(),
        reason: reason.to_owned(),
    };
    let file = File::open(path).map_err(Error::file("open", path))?;
    let mut tar = tar::Archive::new(file);
    let entries = tar.entries_with_seek().map_err(Error::file("read", path))?;
    for entry in entries {
        let mut entry = entry.map_err(Error::file("read", path))?;
        if entry.path().is_ok_and(|name| name.as_os_str() == "index.json") {
            let mut text = String::new();
            entry.read_to_string(&mut text).map_err(Error::file("read", path))?;
            let index: serde_json::Value = serde_json::from_str(&text).map_err(|error| not(&error.to_string()))?;
            let manifest = &index["manifests"][0];
            return match (manifest["annotations"][NAME].as_str(), manifest["digest"].as_str()) {
                (Some(name), Some(digest)) => Ok(Archived {
                    reference: name.to_owned(),
                    digest: digest.to_owned(),
                }),
                _ => Err(not("its index names no image")),
            };
        }
    }
    Err(not("it has no index.json"))
}

/// The small documents of an archive, as bytes.
struct Metadata {
    layout: Vec<u8>,
    index: Vec<u8>,
    manifest: Vec<u8>,
    config: Vec<u8>,
}

impl Metadata {
    fn of(image: &Image, layer: &str, size: u64) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        let mut env = image.env.clone();
        env.push(format!("SSL_CERT_FILE=/{}", content::AUTHORITIES));
        let config = ImageConfigurationBuilder::default()
            .architecture(Arch::Amd64)
            .os(Os::Linux)
            .config(
                ConfigBuilder::default()
                    .user(USER)
                    .entrypoint(image.entrypoint.clone())
                    .env(env)
                    .working_dir(image.working_dir.clone())
                    .build()?,
            )
            .rootfs(
                RootFsBuilder::default()
                    .typ("layers")
                    .diff_ids(vec![format!("sha256:{layer}")])
                    .build()?,
            )
            .history(vec![
                HistoryBuilder::default().created_by("temporal-fleet image").build()?,
            ])
            .build()?;
        let config = sorted(&config)?;
        let descriptor = |kind: MediaType, digest: &str, size: u64| -> Result<_, oci_spec::OciSpecError> {
            let digest: Sha256Digest = digest.parse()?;
            Ok(DescriptorBuilder::default().media_type(kind).digest(digest).size(size))
        };
        let manifest = ImageManifestBuilder::default()
            .schema_version(2_u32)
            .media_type(MediaType::ImageManifest)
            .config(descriptor(MediaType::ImageConfig, &sha256(&config), config.len() as u64)?.build()?)
            .layers(vec![descriptor(MediaType::ImageLayer, layer, size)?.build()?])
            .build()?;
        let manifest = sorted(&manifest)?;
        let tag = image.reference.rsplit_once(':').map_or("latest", |(_, tag)| tag);
        let annotations = HashMap::from([
            (NAME.to_owned(), image.reference.clone()),
            (TAG.to_owned(), tag.to_owned()),
        ]);
        let platform = PlatformBuilder::default()
            .architecture(Arch::Amd64)
            .os(Os::Linux)
            .build()?;
        let of_manifest = descriptor(MediaType::ImageManifest, &sha256(&manifest), manifest.len() as u64)?
            .platform(platform)
            .annotations(annotations)
            .build()?;
        let index = ImageIndexBuilder::default()
            .schema_version(2_u32)
            .media_type(MediaType::ImageIndex)
            .manifests(vec![of_manifest])
            .build()?;
        let layout = OciLayoutBuilder::default().image_layout_version("1.0.0").build()?;
        Ok(Self {
            layout: sorted(&layout)?,
            index: sorted(&index)?,
            manifest,
            config,
        })
    }
}

/// JSON with sorted keys: the types hold hash maps, whose order differs between two runs.
fn sorted(value: &impl Serialize) -> Result<Vec<u8>, serde_json::Error> {
    serde_json::to_vec(&serde_json::to_value(value)?)
}

fn append(tar: &mut Builder<impl Write>, name: &str, size: u64, data: impl Read) -> io::Result<()> {
    let mut header = Header::new_gnu();
    header.set_mode(0o644);
    header.set_mtime(0);
    header.set_size(size);
    tar.append_data(&mut header, name, data)
}

fn blob(digest: &str) -> String {
    format!("blobs/sha256/{digest}")
}

fn sha256(data: &[u8]) -> String {
    hex(&Sha256::digest(data))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

struct Hashing<W> {
    out: W,
    hash: Sha256,
    size: u64,
}

impl<W: Write> Write for Hashing<W> {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        let count = self.out.write(data)?;
        self.hash.update(&data[..count]);
        self.size += count as u64;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image(dir: &Path) -> Image {
        let binary = dir.join("program");
        fs::write(&binary, b"#!static enough for a test").expect("binary");
        Image::of_binary("localhost/test:1", "program", binary)
    }

    #[test]
    fn the_same_input_gives_the_same_bytes_and_the_archive_tells_its_name_and_digest() {
        let dir = tempfile::tempdir().expect("folder");
        let dir = dir.path();
        let authorities = dir.join("ca.crt");
        fs::write(&authorities, "roots").expect("authorities");
        let (first, second) = (dir.join("1.tar"), dir.join("2.tar"));
        let written = write(&image(dir), &authorities, &first).expect("first");
        assert_eq!(write(&image(dir), &authorities, &second).expect("second"), written);
        assert_eq!(fs::read(&first).expect("1"), fs::read(&second).expect("2"));
        assert_eq!(inspect(&first).expect("inspect"), written);
        assert_eq!(written.reference, "localhost/test:1");

        let mut names = Vec::new();
        let mut tar = tar::Archive::new(File::open(&first).expect("open"));
        for entry in tar.entries().expect("entries") {
            let mut entry = entry.expect("entry");
            let name = entry.path().expect("path").display().to_string();
            let mut data = Vec::new();
            entry.read_to_end(&mut data).expect("data");
            if let Some(digest) = name.strip_prefix("blobs/sha256/") {
                assert_eq!(digest, sha256(&data), "a blob is not what its name says");
                names.extend(layer_names(&data));
            }
        }
        for wanted in ["tmp/", "etc/passwd", "etc/ssl/certs/ca-certificates.crt", "program"] {
            assert!(
                names.iter().any(|name| name == wanted),
                "{wanted} is missing in {names:?}"
            );
        }
    }

    fn layer_names(blob: &[u8]) -> Vec<String> {
        if blob.first() == Some(&b'{') {
            return Vec::new();
        }
        let mut tar = tar::Archive::new(blob);
        let entries = tar.entries().expect("layer");
        entries
            .map(|entry| entry.expect("entry").path().expect("path").display().to_string())
            .collect()
    }

    #[test]
    fn something_else_is_no_archive() {
        let file = tempfile::NamedTempFile::new().expect("file");
        fs::write(file.path(), vec![0; 1024]).expect("content");
        assert!(matches!(inspect(file.path()), Err(Error::NotAnArchive { .. })));
    }
}
