//! The operator's part of `WorkerControl`: one connection, one `Report` a second.

use std::{error::Error, path::Path, time::Duration};

use fleet_proto::v1::{ReportRequest, worker_control_client::WorkerControlClient};
use tonic::{
    Request,
    transport::{Certificate, Channel, ClientTlsConfig},
};

/// Name in the certificate.
const SERVER: &str = "bench.control";

/// Reports for so many seconds; prints how many there were.
pub(crate) fn run(port: &str, directory: &str, seconds: &str) -> Result<String, Box<dyn Error>> {
    let (port, seconds): (u16, u32) = (port.parse()?, seconds.parse()?);
    let file = |name| std::fs::read_to_string(Path::new(directory).join(name));
    let (certificate, token) = (file("tls.crt")?, file("token")?);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let tls = ClientTlsConfig::new()
            .ca_certificate(Certificate::from_pem(certificate))
            .domain_name(SERVER);
        let channel = Channel::from_shared(format!("https://127.0.0.1:{port}"))?
            .tls_config(tls)?
            .connect()
            .await?;
        let mut client = WorkerControlClient::new(channel);
        let mut ticks = tokio::time::interval(Duration::from_secs(1));
        for _ in 0..seconds {
            ticks.tick().await;
            let mut request = Request::new(ReportRequest {});
            let bearer = format!("Bearer {}", token.trim()).parse()?;
            request.metadata_mut().insert("authorization", bearer);
            client.report(request).await?;
        }
        Ok(serde_json::json!({ "reports": seconds }).to_string())
    })
}
