//! The Temporal server of the cluster, seen from the host: its address, and its Temporal namespace.

use std::time::Duration;

use temporalio_client::tonic::{Code, Request, Status};
use temporalio_client::{Connection, ConnectionOptions, Url};
use temporalio_common::protos::temporal::api::workflowservice::v1::{
    DescribeNamespaceRequest, RegisterNamespaceRequest,
};

use super::error::{Error, Result};
use super::kubernetes::wait;
use super::layout::{Layout, TEMPORAL_IP, TEMPORAL_PORT};

/// How long closed workflows are kept. The histories are the evidence of every run.
const RETENTION: Duration = Duration::from_hours(72);

/// `host:port` of the frontend's Service, reachable from the host as well as from pods.
pub fn address() -> String {
    format!("{TEMPORAL_IP}:{TEMPORAL_PORT}")
}

/// Registers a Temporal namespace unless it is there, and waits until the frontend knows it.
pub async fn register(layout: &Layout, namespace: &str) -> Result<()> {
    let needs = ["kube-apiserver", "kube-proxy", "kubelet", "containerd"];
    wait(
        layout,
        &format!("Temporal namespace {namespace}"),
        Duration::from_mins(1),
        &needs,
        || async { try_register(&address(), namespace).await },
    )
    .await
}

/// Registers a Temporal namespace at a frontend (`host:port`) unless it is there. One try: an error says what is not ready yet.
pub(crate) async fn try_register(address: &str, namespace: &str) -> std::result::Result<(), String> {
    let service = connect(address).await?.workflow_service();
    let request = RegisterNamespaceRequest {
        namespace: namespace.to_owned(),
        workflow_execution_retention_period: RETENTION.try_into().ok(),
        ..Default::default()
    };
    accept_existing(
        service
            .clone()
            .register_namespace(Request::new(request))
            .await
            .map(drop),
    )?;
    let describe = DescribeNamespaceRequest {
        namespace: namespace.to_owned(),
        ..Default::default()
    };
    service
        .clone()
        .describe_namespace(Request::new(describe))
        .await
        .map(drop)
        .map_err(|status| text(&status))
}

async fn connect(address: &str) -> std::result::Result<Connection, String> {
    let url: Url = format!("http://{address}")
        .parse()
        .map_err(|error| format!("{error:?}"))?;
    let options = ConnectionOptions::new(url)
        .identity("local-cluster")
        .connect_timeout(Duration::from_secs(2))
        .dns_load_balancing(None)
        .build();
    // The connect timeout covers the TCP handshake only; a server that is starting may accept and stay silent.
    match tokio::time::timeout(Duration::from_secs(5), Connection::connect(options)).await {
        Ok(Ok(connection)) => Ok(connection),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err("no answer within 5 s".to_owned()),
    }
}

fn accept_existing(result: std::result::Result<(), Status>) -> std::result::Result<(), String> {
    match result {
        Err(status) if status.code() != Code::AlreadyExists => Err(text(&status)),
        _ => Ok(()),
    }
}

fn text(status: &Status) -> String {
    format!("{}: {}", status.code(), status.message())
}

/// Whether the frontend serves, or why not.
pub async fn serving() -> Result<()> {
    connect(&address())
        .await
        .map(drop)
        .map_err(|error| Error::Refused(format!("Temporal at {}: {error}", address())))
}
