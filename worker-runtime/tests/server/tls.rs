//! TLS, client certificates and API keys, with servers that insist on them: who is refused is told why, and credentials change while
//! tasks run.

use std::path::{Path, PathBuf};

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, date_time_ymd};
use temporalio_client::{ClientTlsOptions, TlsOptions};

use crate::{
    bed::{self, Bed, attempts, end, eventually, get, not_ready, ready, result},
    ending::{Together_, Work},
    proxy::Proxy,
    temporal::{self, Directory, NAMESPACE, Server, Tls},
};

/// Name in the servers' certificates.
pub(crate) const NAME: &str = "temporal.example";

/// Somebody who signs certificates.
pub(crate) struct Authority {
    pub(crate) pem: String,
    issuer: Issuer<'static, KeyPair>,
}

/// A certificate and its key.
pub(crate) struct Pair {
    pub(crate) cert: String,
    pub(crate) key: String,
}

impl Authority {
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).expect("parameters");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key");
        let pem = params.self_signed(&key).expect("a certificate").pem();
        let issuer = Issuer::new(params, key);
        Self { pem, issuer }
    }

    /// A certificate for [`NAME`] that is valid until a year begins.
    pub(crate) fn issue(&self, until: i32) -> Pair {
        let mut params = CertificateParams::new(vec![NAME.to_owned()]).expect("parameters");
        params.not_before = date_time_ymd(2000, 1, 1);
        params.not_after = date_time_ymd(until, 1, 1);
        let key = KeyPair::generate().expect("a key");
        Pair {
            cert: params.signed_by(&key, &self.issuer).expect("a certificate").pem(),
            key: key.serialize_pem(),
        }
    }
}

impl Pair {
    /// Writes `NAME.crt` and `NAME.key`.
    fn write(&self, directory: &Path, name: &str) -> [PathBuf; 2] {
        [
            write(directory, &format!("{name}.crt"), &self.cert),
            write(directory, &format!("{name}.key"), &self.key),
        ]
    }

    fn options(&self, server: &Authority) -> TlsOptions {
        TlsOptions::builder()
            .server_root_ca_cert(server.pem.clone().into_bytes())
            .domain(NAME.to_owned())
            .client_tls_options(
                ClientTlsOptions::builder()
                    .client_cert(self.cert.clone().into_bytes())
                    .client_private_key(self.key.clone().into_bytes())
                    .build(),
            )
            .build()
    }
}

fn write(directory: &Path, name: &str, text: &str) -> PathBuf {
    let path = directory.join(name);
    std::fs::write(&path, text).expect("written");
    path
}

fn show(path: &Path) -> String {
    path.display().to_string()
}

/// A server that wants certificates, and two authorities whose clients it takes.
struct Mutual {
    server: Server,
    servers: Authority,
    clients: [Authority; 2],
    files: Directory,
}

impl Mutual {
    async fn start(name: &str) -> Self {
        let files = Directory::new(&format!("{name}-files"));
        let (servers, clients) = (Authority::new(), [Authority::new(), Authority::new()]);
        let ca = write(&files, "ca.crt", &servers.pem);
        let first = write(&files, "first.crt", &clients[0].pem);
        let second = write(&files, "second.crt", &clients[1].pem);
        let [cert, key] = servers.issue(2100).write(&files, "server");
        let tls = Tls {
            cert,
            key,
            ca: ca.clone(),
            name: NAME.to_owned(),
            // The server's own workers show its own certificate.
            client_cas: vec![first, second, ca],
            client: clients[0].issue(2100).options(&servers),
        };
        Self {
            server: Server::start(name, Some(tls)).await,
            servers,
            clients,
            files,
        }
    }

    /// A worker with these files as its certificate.
    fn worker(&self, queue: &str, pair: Option<&[PathBuf; 2]>, more: &[(&str, &str)]) -> fleet_worker::FleetWorker {
        let (address, ca) = (self.server.address(), show(&self.files.join("ca.crt")));
        let files = pair.map(|[cert, key]| (show(cert), show(key)));
        let mut variables = vec![
            ("TEMPORAL_ADDRESS", address.as_str()),
            ("TEMPORAL_TASK_QUEUE", queue),
            ("TEMPORAL_TLS", "true"),
            ("TEMPORAL_TLS_SERVER_NAME", NAME),
            ("TEMPORAL_TLS_SERVER_CA_CERT_PATH", &ca),
        ];
        if let Some((cert, key)) = &files {
            variables.push(("TEMPORAL_TLS_CLIENT_CERT_PATH", cert));
            variables.push(("TEMPORAL_TLS_CLIENT_KEY_PATH", key));
        }
        variables.extend(more);
        bed::worker(&variables).workflow::<Together_>()
    }
}

#[tokio::test]
async fn who_is_refused_says_why_in_words() {
    let mutual = Mutual::start("refused").await;
    let pair = |name: &str, pair: Pair| pair.write(&mutual.files, name);
    let stranger = pair("stranger", Authority::new().issue(2100));
    let expired = pair("expired", mutual.clients[0].issue(2001));
    let good = pair("good", mutual.clients[0].issue(2100));
    let other = show(&write(&mutual.files, "other-ca.crt", &Authority::new().pem));
    let missing = show(&mutual.files.join("missing.crt"));
    let cases: [(Option<&[PathBuf; 2]>, &[(&str, &str)], &[&str]); 6] = [
        (None, &[], &["wants a client certificate"]),
        (Some(&stranger), &[], &["refuses the client certificate", "authority"]),
        (Some(&expired), &[], &["client certificate has expired"]),
        (
            Some(&good),
            &[("TEMPORAL_TLS_SERVER_CA_CERT_PATH", &other)],
            &["server's certificate is not signed by a trusted authority"],
        ),
        (
            Some(&good),
            &[("TEMPORAL_TLS_SERVER_NAME", "other.example")],
            &["another name than other.example", "TEMPORAL_TLS_SERVER_NAME"],
        ),
        (
            Some(&good),
            &[("TEMPORAL_TLS_SERVER_CA_CERT_PATH", &missing)],
            &["cannot read", "missing.crt"],
        ),
    ];
    let mut workers = Vec::new();
    for (pair, more, _) in &cases {
        let worker = mutual.worker("refused", *pair, more).activities(Work::open());
        workers.push(worker.spawn().expect("started"));
    }
    for (worker, (.., words)) in workers.iter().zip(&cases) {
        not_ready(worker, words).await;
        assert_eq!(
            get(worker.ports().health, "/livez").await.0,
            200,
            "a restart would not help"
        );
    }
    for worker in workers {
        end(worker).await;
    }
}

#[tokio::test]
async fn a_certificate_is_replaced_while_tasks_run_and_the_old_one_is_needed_no_more() {
    let mut mutual = Mutual::start("rotation").await;
    let files = mutual.clients[0].issue(2100).write(&mutual.files, "client");
    let (work, gate, running) = Work::closed();
    let worker = mutual.worker("rotation", Some(&files), &[]).activities(work);
    let worker = worker.spawn().expect("started");
    ready(&worker).await;
    let bed = Bed::on(&mutual.server, NAMESPACE, "rotation").await;
    let handle = bed.start(Together_::run, 5).await;
    eventually("five activities run", async || running.now() == 5).await;

    let metrics = worker.ports().metrics;
    let reloads = async |outcome: &str| {
        let text = get(metrics, "/metrics").await.1;
        let name = format!("temporal_fleet_runtime_credential_reloads_total{{outcome=\"{outcome}\"}} ");
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix(&name).map(str::to_owned));
        line.unwrap_or_else(|| panic!("{text}"))
    };
    // A certificate that the server would refuse is not taken into use.
    Authority::new().issue(2100).write(&mutual.files, "client");
    eventually("the wrong one is refused", async || reloads("rejected").await != "0").await;
    assert_eq!(reloads("used").await, "0");
    let second = mutual.clients[1].issue(2100);
    second.write(&mutual.files, "client");
    eventually("the new one is in use", async || reloads("used").await == "1").await;

    // From now on the server knows the second authority alone.
    mutual.server.kill();
    let trusted = vec![mutual.files.join("second.crt"), mutual.files.join("ca.crt")];
    let options = second.options(&mutual.servers);
    mutual.server.trust(trusted, options);
    mutual.server.up().await;
    gate.add_permits(100);
    let bed = Bed::on(&mutual.server, NAMESPACE, "rotation-after").await;
    let handle = bed
        .client
        .get_workflow_handle::<Together_>(handle.info().workflow_id.clone());
    assert_eq!(result(&handle).await, 15);
    assert_eq!(attempts(&handle).await, [1; 5]);
    assert_eq!(result(&bed.start_on("rotation", Together_::run, 2).await).await, 3);
    end(worker).await;
}

#[tokio::test]
async fn an_api_key_is_demanded_replaced_and_revoked_while_tasks_run() {
    let files = Directory::new("key-files");
    let servers = Authority::new();
    let ca = show(&write(&files, "ca.crt", &servers.pem));
    let key = write(&files, "key", "first\n");
    let proxy = Proxy::start(temporal::shared().await, &servers.issue(2100)).await;
    let (address, path) = (proxy.address(), show(&key));
    let variables = [
        ("TEMPORAL_ADDRESS", address.as_str()),
        ("TEMPORAL_TASK_QUEUE", "key"),
        ("TEMPORAL_TLS_SERVER_NAME", NAME),
        ("TEMPORAL_TLS_SERVER_CA_CERT_PATH", &ca),
        ("TEMPORAL_FLEET_API_KEY_FILE", &path),
    ];
    let (work, gate, running) = Work::closed();
    let worker = bed::worker(&variables).workflow::<Together_>().activities(work);
    let worker = worker.spawn().expect("started");
    // Nobody knows the key yet.
    not_ready(&worker, &["unauthorized"]).await;
    proxy.accept("first");
    ready(&worker).await;

    let bed = Bed::new("key").await;
    let first = bed.start(Together_::run, 5).await;
    eventually("five activities run", async || running.now() == 5).await;
    // The new key is there before the old one goes.
    proxy.accept("second");
    std::fs::write(&key, "second\n").expect("written");
    eventually("the new key is used", async || proxy.calls("second") > 0).await;
    proxy.revoke("first");
    gate.add_permits(5);
    assert_eq!(result(&first).await, 15);
    assert_eq!(attempts(&first).await, [1; 5], "nothing was lost");

    // The old key goes before the new one is there: the worker waits for it.
    proxy.revoke("second");
    let refused = proxy.refused();
    let second = bed.start(Together_::run, 2).await;
    eventually("it is refused", async || proxy.refused() > refused).await;
    assert_eq!(
        get(worker.ports().health, "/livez").await.0,
        200,
        "a restart would not help"
    );
    proxy.accept("third");
    std::fs::write(&key, "third\n").expect("written");
    gate.add_permits(100);
    assert_eq!(result(&second).await, 3);
    end(worker).await;
}
