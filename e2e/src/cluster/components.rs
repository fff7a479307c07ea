//! The command lines of the processes that run on the host, in the order in which they start.

use std::path::{Path, PathBuf};

use super::config::Ports;
use super::error::{Error, Result};
use super::layout::{Layout, NODE, NODE_IP, SERVICE_RANGE};
use super::process::Program;

/// Names of all components on the host, in the order of their start; `down` goes through it backwards.
pub(super) const ALL: &[&str] = &[
    "etcd",
    "containerd",
    "kube-apiserver",
    "kube-controller-manager",
    "kube-scheduler",
    "kubelet",
    "kube-proxy",
    "pod-discovery",
    "prometheus",
    "temporal-ui",
];

/// A program of the distribution; `make setup` installs those that are missing.
pub(super) fn host_program(name: &str) -> Result<PathBuf> {
    let path = super::host_program(name);
    if path.is_absolute() {
        Ok(path)
    } else {
        Err(Error::Missing { what: name.to_owned() })
    }
}

/// The store of the API server, on the loopback and without durability: a crash of the machine ends the cluster anyway.
pub(super) fn etcd(layout: &Layout) -> Result<Program> {
    let args = [
        "--name=local".to_owned(),
        format!("--data-dir={}", layout.state("etcd").display()),
        "--listen-client-urls=http://127.0.0.1:2379".to_owned(),
        "--advertise-client-urls=http://127.0.0.1:2379".to_owned(),
        "--listen-peer-urls=http://127.0.0.1:2380".to_owned(),
        "--initial-advertise-peer-urls=http://127.0.0.1:2380".to_owned(),
        "--initial-cluster=local=http://127.0.0.1:2380".to_owned(),
        "--unsafe-no-fsync".to_owned(),
        "--log-level=warn".to_owned(),
    ];
    Ok(Program::new("etcd", layout.program("etcd")?, args.into()))
}

/// A containerd of our own, beside whatever else runs on the machine.
pub(super) fn containerd(layout: &Layout) -> Result<Program> {
    let config = layout.config("containerd.toml").display().to_string();
    let args = [
        "--config".to_owned(),
        config,
        "--log-level".to_owned(),
        "warn".to_owned(),
    ];
    Ok(Program::new("containerd", host_program("containerd")?, args.into()))
}

/// The API server, with the aggregation layer that the metrics API needs.
pub(super) fn apiserver(layout: &Layout) -> Result<Program> {
    let pki = |name: &str| layout.pki(name).display().to_string();
    let args = vec![
        "--etcd-servers=http://127.0.0.1:2379".to_owned(),
        format!("--bind-address={NODE_IP}"),
        format!("--advertise-address={NODE_IP}"),
        "--secure-port=6443".to_owned(),
        format!("--service-cluster-ip-range={SERVICE_RANGE}"),
        "--authorization-mode=Node,RBAC".to_owned(),
        "--enable-admission-plugins=NodeRestriction".to_owned(),
        "--allow-privileged=true".to_owned(),
        format!("--client-ca-file={}", pki("ca.crt")),
        format!("--tls-cert-file={}", pki("apiserver.crt")),
        format!("--tls-private-key-file={}", pki("apiserver.key")),
        format!("--kubelet-certificate-authority={}", pki("ca.crt")),
        format!("--kubelet-client-certificate={}", pki("apiserver-kubelet-client.crt")),
        format!("--kubelet-client-key={}", pki("apiserver-kubelet-client.key")),
        "--kubelet-preferred-address-types=InternalIP".to_owned(),
        "--service-account-issuer=https://kubernetes.default.svc.cluster.local".to_owned(),
        format!("--service-account-key-file={}", pki("sa.pub")),
        format!("--service-account-signing-key-file={}", pki("sa.key")),
        format!("--requestheader-client-ca-file={}", pki("front-proxy-ca.crt")),
        "--requestheader-allowed-names=front-proxy-client".to_owned(),
        "--requestheader-extra-headers-prefix=X-Remote-Extra-".to_owned(),
        "--requestheader-group-headers=X-Remote-Group".to_owned(),
        "--requestheader-username-headers=X-Remote-User".to_owned(),
        format!("--proxy-client-cert-file={}", pki("front-proxy-client.crt")),
        format!("--proxy-client-key-file={}", pki("front-proxy-client.key")),
        format!("--audit-policy-file={}", layout.config("audit.yaml").display()),
        format!("--audit-log-path={}", layout.logs().join("audit.jsonl").display()),
        "--audit-log-maxsize=100".to_owned(),
        "--audit-log-maxbackup=1".to_owned(),
        "--endpoint-reconciler-type=master-count".to_owned(),
        "--profiling=false".to_owned(),
    ];
    Ok(Program::new("kube-apiserver", layout.program("kube-apiserver")?, args))
}

/// The controllers of Kubernetes, with its own defaults wherever something of ours is compared with them (HPA).
pub(super) fn controller_manager(layout: &Layout) -> Result<Program> {
    let mut args = client_args(layout, "controller-manager");
    args.extend([
        "--use-service-account-credentials=true".to_owned(),
        format!("--service-account-private-key-file={}", layout.pki("sa.key").display()),
        format!("--root-ca-file={}", layout.pki("ca.crt").display()),
        format!("--cluster-signing-cert-file={}", layout.pki("ca.crt").display()),
        format!("--cluster-signing-key-file={}", layout.pki("ca.key").display()),
        format!(
            "--requestheader-client-ca-file={}",
            layout.pki("front-proxy-ca.crt").display()
        ),
        "--allocate-node-cidrs=false".to_owned(),
        "--controllers=*,-nodeipam,-bootstrapsigner,-tokencleaner".to_owned(),
    ]);
    Ok(Program::new(
        "kube-controller-manager",
        layout.program("kube-controller-manager")?,
        args,
    ))
}

/// The scheduler.
pub(super) fn scheduler(layout: &Layout) -> Result<Program> {
    Ok(Program::new(
        "kube-scheduler",
        layout.program("kube-scheduler")?,
        client_args(layout, "scheduler"),
    ))
}

/// The kubelet of the only node.
pub(super) fn kubelet(layout: &Layout) -> Result<Program> {
    let args = vec![
        format!("--config={}", layout.config("kubelet.yaml").display()),
        format!("--kubeconfig={}", layout.pki("kubelet.kubeconfig").display()),
        format!("--root-dir={}", layout.state("kubelet").display()),
        format!("--cert-dir={}", layout.state("kubelet/pki").display()),
        format!("--hostname-override={NODE}"),
        format!("--node-ip={NODE_IP}"),
        "--housekeeping-interval=5s".to_owned(),
    ];
    Ok(Program::new("kubelet", layout.program("kubelet")?, args))
}

/// The rules that make Service addresses work.
pub(super) fn kube_proxy(layout: &Layout) -> Result<Program> {
    let args = vec![format!("--config={}", layout.config("kube-proxy.yaml").display())];
    Ok(Program::new("kube-proxy", layout.program("kube-proxy")?, args))
}

/// Prometheus as a process of the host: it reaches pods over the bridge, and its data survives none of our `down`s.
pub(super) fn prometheus(layout: &Layout, ports: Ports) -> Result<Program> {
    let args = vec![
        format!("--config.file={}", layout.config("prometheus.yml").display()),
        format!("--storage.tsdb.path={}", layout.state("prometheus").display()),
        "--storage.tsdb.retention.time=2d".to_owned(),
        format!("--web.listen-address=127.0.0.1:{}", ports.prometheus),
        "--log.level=warn".to_owned(),
    ];
    Ok(Program::new("prometheus", host_program("prometheus")?, args))
}

/// The process that finds pods for Prometheus: this program again.
pub(super) fn pod_discovery(local_cluster: &Path) -> Program {
    Program::new(
        "pod-discovery",
        local_cluster.to_owned(),
        vec!["discover-pods".to_owned()],
    )
}

/// The UI of Temporal as a process of the host, so that it outlives restarts of the server.
pub(super) fn temporal_ui(layout: &Layout) -> Result<Program> {
    let root = layout.config("");
    let mut args = vec![
        "--root".to_owned(),
        root.display().to_string().trim_end_matches('/').to_owned(),
    ];
    args.extend(["--config", "ui", "--env", "local", "start"].map(str::to_owned));
    Ok(Program::new("temporal-ui", layout.program("temporal-ui")?, args))
}

fn client_args(layout: &Layout, user: &str) -> Vec<String> {
    let kubeconfig = layout.pki(&format!("{user}.kubeconfig")).display().to_string();
    vec![
        format!("--kubeconfig={kubeconfig}"),
        format!("--authentication-kubeconfig={kubeconfig}"),
        format!("--authorization-kubeconfig={kubeconfig}"),
        "--bind-address=127.0.0.1".to_owned(),
        "--leader-elect=false".to_owned(),
    ]
}
