//! Certificates, keys and kubeconfigs of the cluster: one authority for everything, one for the aggregation layer, and a
//! key pair that signs service account tokens. Made once, kept by `down`, remade if what they certify changes.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;

use k8s_openapi::ByteString;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose,
};
use serde_json::json;

use super::error::{Error, Result};
use super::layout::{API_SERVICE_IP, Layout, NODE, NODE_IP};

/// Says what the certificates certify; another text than the stored one means that all are made anew.
const REVISION: &str = concat!("1 ", "local-node 10.244.0.1 10.96.0.1");

/// Users with a kubeconfig: file name, common name, organisation.
const USERS: &[(&str, &str, Option<&str>)] = &[
    ("admin", "local-admin", Some("system:masters")),
    ("controller-manager", "system:kube-controller-manager", None),
    ("scheduler", "system:kube-scheduler", None),
    ("kubelet", "system:node:local-node", Some("system:nodes")),
    ("kube-proxy", "system:kube-proxy", None),
];

/// Makes sure that all of it is there. Returns whether it had to be made.
pub(super) fn ensure(layout: &Layout) -> Result<bool> {
    let done = layout.pki("revision");
    if fs::read_to_string(&done).is_ok_and(|text| text == REVISION) {
        return Ok(false);
    }
    let authority = authority(layout, "ca", "temporal-fleet-local")?;
    let front = authority_for_aggregation(layout)?;
    let service_names = [
        "kubernetes",
        "kubernetes.default",
        "kubernetes.default.svc",
        "kubernetes.default.svc.cluster.local",
        "localhost",
    ];
    let api_names: Vec<&str> = service_names
        .into_iter()
        .chain([API_SERVICE_IP, NODE_IP, "127.0.0.1"])
        .collect();
    leaf(
        layout,
        &authority,
        &Leaf::server("apiserver", "kube-apiserver", None, &api_names),
    )?;
    let node = format!("system:node:{NODE}");
    leaf(
        layout,
        &authority,
        &Leaf::server(
            "kubelet-server",
            &node,
            Some("system:nodes"),
            &[NODE, NODE_IP, "127.0.0.1"],
        ),
    )?;
    leaf(
        layout,
        &authority,
        &Leaf::client(
            "apiserver-kubelet-client",
            "apiserver-kubelet-client",
            Some("system:masters"),
        ),
    )?;
    leaf(
        layout,
        &front,
        &Leaf::client("front-proxy-client", "front-proxy-client", None),
    )?;
    for (name, common_name, organisation) in USERS {
        let (certificate, key) = leaf(layout, &authority, &Leaf::client(name, common_name, *organisation))?;
        kubeconfig(layout, name, &authority.pem(), &certificate, &key)?;
    }
    let tokens = KeyPair::generate().map_err(|source| Error::Certificate {
        name: "sa.key".to_owned(),
        source,
    })?;
    write_secret(layout, "sa.key", &tokens.serialize_pem())?;
    write_secret(layout, "sa.pub", &tokens.public_key_pem())?;
    fs::write(&done, REVISION).map_err(Error::file("write", done))?;
    Ok(true)
}

struct Leaf<'a> {
    name: &'a str,
    common_name: &'a str,
    organisation: Option<&'a str>,
    usage: ExtendedKeyUsagePurpose,
    names: &'a [&'a str],
}

impl<'a> Leaf<'a> {
    fn client(name: &'a str, common_name: &'a str, organisation: Option<&'a str>) -> Self {
        Self {
            name,
            common_name,
            organisation,
            usage: ExtendedKeyUsagePurpose::ClientAuth,
            names: &[],
        }
    }

    fn server(name: &'a str, common_name: &'a str, organisation: Option<&'a str>, names: &'a [&'a str]) -> Self {
        Self {
            name,
            common_name,
            organisation,
            usage: ExtendedKeyUsagePurpose::ServerAuth,
            names,
        }
    }
}

fn authority_for_aggregation(layout: &Layout) -> Result<CertifiedIssuer<'static, KeyPair>> {
    authority(layout, "front-proxy-ca", "temporal-fleet-local-front-proxy")
}

fn authority(layout: &Layout, name: &str, common_name: &str) -> Result<CertifiedIssuer<'static, KeyPair>> {
    let failed = |source| Error::Certificate {
        name: name.to_owned(),
        source,
    };
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, common_name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![
        KeyUsagePurpose::KeyCertSign,
        KeyUsagePurpose::CrlSign,
        KeyUsagePurpose::DigitalSignature,
    ];
    let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().map_err(failed)?).map_err(failed)?;
    write_secret(layout, &format!("{name}.crt"), &issuer.pem())?;
    write_secret(layout, &format!("{name}.key"), &issuer.key().serialize_pem())?;
    Ok(issuer)
}

/// Makes, writes and returns a certificate and its key, both as PEM.
fn leaf(layout: &Layout, issuer: &CertifiedIssuer<'_, KeyPair>, leaf: &Leaf<'_>) -> Result<(String, String)> {
    let failed = |source| Error::Certificate {
        name: leaf.name.to_owned(),
        source,
    };
    let names: Vec<String> = leaf.names.iter().map(ToString::to_string).collect();
    let mut params = CertificateParams::new(names).map_err(failed)?;
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, leaf.common_name);
    if let Some(organisation) = leaf.organisation {
        params.distinguished_name.push(DnType::OrganizationName, organisation);
    }
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature, KeyUsagePurpose::KeyEncipherment];
    params.extended_key_usages = vec![leaf.usage.clone()];
    params.use_authority_key_identifier_extension = true;
    let key = KeyPair::generate().map_err(failed)?;
    let certificate = params.signed_by(&key, issuer).map_err(failed)?.pem();
    let key = key.serialize_pem();
    write_secret(layout, &format!("{}.crt", leaf.name), &certificate)?;
    write_secret(layout, &format!("{}.key", leaf.name), &key)?;
    Ok((certificate, key))
}

fn kubeconfig(layout: &Layout, user: &str, authority: &str, certificate: &str, key: &str) -> Result<()> {
    let data = |pem: &str| ByteString(pem.as_bytes().to_vec());
    let config = json!({
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "local",
        "clusters": [{"name": "local", "cluster": {"server": format!("https://{NODE_IP}:6443"), "certificate-authority-data": data(authority)}}],
        "users": [{"name": user, "user": {"client-certificate-data": data(certificate), "client-key-data": data(key)}}],
        "contexts": [{"name": "local", "context": {"cluster": "local", "user": user}}],
    });
    // JSON is YAML.
    write_secret(layout, &format!("{user}.kubeconfig"), &format!("{config:#}\n"))
}

fn write_secret(layout: &Layout, name: &str, text: &str) -> Result<()> {
    let path = layout.pki(name);
    OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&path)
        .and_then(|mut file| file.write_all(text.as_bytes()))
        .map_err(Error::file("write", path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_is_made_once_and_the_admin_kubeconfig_is_readable() {
        let root = tempfile::tempdir().expect("folder");
        let layout = Layout::at(root.path()).expect("layout");
        fs::create_dir_all(layout.pki("")).expect("folder");
        assert!(ensure(&layout).expect("first"));
        let first = fs::read(layout.pki("apiserver.crt")).expect("certificate");
        assert!(!ensure(&layout).expect("second"));
        assert_eq!(fs::read(layout.pki("apiserver.crt")).expect("certificate"), first);
        let config = kube::config::Kubeconfig::read_from(layout.kubeconfig()).expect("kubeconfig");
        assert_eq!(config.current_context.as_deref(), Some("local"));
    }

    #[test]
    fn the_revision_names_the_addresses_it_stands_for() {
        assert_eq!(REVISION, format!("1 {NODE} {NODE_IP} {API_SERVICE_IP}"));
    }
}
