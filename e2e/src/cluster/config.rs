//! Configuration files of the components: templates that lie beside this module, filled with the layout of the cluster.

use std::fs;

use super::error::{Error, Result};
use super::layout::{BRIDGE, DNS_IP, Layout, NODE, NODE_IP, POD_RANGE, SERVICE_RANGE, TEMPORAL_IP};
use crate::image::catalog;

/// Ports on the loopback that a person opens in a browser.
#[derive(Debug, Clone, Copy)]
pub struct Ports {
    /// Prometheus.
    pub prometheus: u16,
    /// The UI of Temporal.
    pub ui: u16,
}

/// Writes every configuration file anew.
pub(super) fn write(layout: &Layout, ports: Ports) -> Result<()> {
    let files = [
        ("containerd.toml", include_str!("config/containerd.toml")),
        ("cni/10-bridge.conflist", include_str!("config/10-bridge.conflist")),
        ("kubelet.yaml", include_str!("config/kubelet.yaml")),
        ("kube-proxy.yaml", include_str!("config/kube-proxy.yaml")),
        ("audit.yaml", include_str!("config/audit.yaml")),
        ("prometheus.yml", include_str!("config/prometheus.yml")),
        ("ui/local.yaml", include_str!("config/temporal-ui.yaml")),
        // Pods inherit this: no resolver outside the cluster.
        ("resolv.conf", "# no resolver outside the cluster\n"),
    ];
    for (name, template) in files {
        let path = layout.config(name);
        let text = fill(template, &values(layout, ports))?;
        if let Some(dir) = path.parent() {
            fs::create_dir_all(dir).map_err(Error::file("create", dir))?;
        }
        fs::write(&path, text).map_err(Error::file("write", path))?;
    }
    Ok(())
}

/// The manifests of the add-ons, one multi-document text.
pub(super) fn manifests(layout: &Layout, ports: Ports) -> Result<String> {
    let parts = [
        include_str!("../../manifests/coredns.yaml"),
        include_str!("../../manifests/metrics-server.yaml"),
        include_str!("../../manifests/temporal.yaml"),
    ];
    fill(&parts.join("\n---\n"), &values(layout, ports))
}

fn values(layout: &Layout, ports: Ports) -> Vec<(&'static str, String)> {
    let path = |path: std::path::PathBuf| path.display().to_string().trim_end_matches('/').to_owned();
    let mut values = vec![
        ("STATE", path(layout.state(""))),
        ("RUN", path(layout.run(""))),
        ("ETC", path(layout.config(""))),
        ("PKI", path(layout.pki(""))),
        ("NODE", NODE.to_owned()),
        ("NODE_IP", NODE_IP.to_owned()),
        ("BRIDGE", BRIDGE.to_owned()),
        ("POD_RANGE", POD_RANGE.to_owned()),
        ("SERVICE_RANGE", SERVICE_RANGE.to_owned()),
        ("DNS_IP", DNS_IP.to_owned()),
        ("TEMPORAL_IP", TEMPORAL_IP.to_owned()),
        ("RUNC", super::host_program("runc").display().to_string()),
        ("PROMETHEUS", format!("127.0.0.1:{}", ports.prometheus)),
        ("UI_PORT", ports.ui.to_string()),
    ];
    values.extend(
        catalog::addons()
            .into_iter()
            .map(|image| (image.placeholder, image.reference)),
    );
    values
}

/// Replaces each `{{NAME}}`; a name without a value is an error and not an empty text.
fn fill(template: &str, values: &[(&str, String)]) -> Result<String> {
    let mut text = template.to_owned();
    for (name, value) in values {
        text = text.replace(&format!("{{{{{name}}}}}"), value);
    }
    let rest = text.split("{{").nth(1).and_then(|rest| rest.split("}}").next());
    match rest.filter(|name| name.chars().all(|c| c.is_ascii_uppercase() || c == '_')) {
        Some(name) => Err(Error::Refused(format!("a template uses {name}, which has no value"))),
        None => Ok(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_template_is_filled_completely_and_parses() {
        let layout = Layout::at("/tmp/tf").expect("layout");
        let ports = Ports {
            prometheus: 9090,
            ui: 8233,
        };
        let values = values(&layout, ports);
        for template in [
            include_str!("config/kubelet.yaml"),
            include_str!("config/kube-proxy.yaml"),
            include_str!("config/audit.yaml"),
            include_str!("config/prometheus.yml"),
            include_str!("config/temporal-ui.yaml"),
            include_str!("config/10-bridge.conflist"),
        ] {
            let text = fill(template, &values).expect("filled");
            serde_yaml::from_str::<serde_yaml::Value>(&text).expect("parses");
        }
        for document in manifests(&layout, ports).expect("manifests").split("\n---\n") {
            serde_yaml::from_str::<serde_yaml::Value>(document).expect("parses");
        }
    }

    #[test]
    fn a_name_without_a_value_is_an_error() {
        assert!(
            fill("a {{MISSING}} b", &[])
                .expect_err("missing")
                .to_string()
                .contains("MISSING")
        );
    }
}
