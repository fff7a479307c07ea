//! TLS and client certificates, with servers that insist on them: who is refused is told why, and certificates change while tasks run.

use std::path::{Path, PathBuf};

use fleet_worker::WorkerHandle;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, date_time_ymd};
use temporalio_client::{ClientTlsOptions, TlsOptions};

use crate::{
    bed::{self, Bed, attempts, end, eventually, get, not_ready, ready, result},
    ending::{Together_, Work},
    temporal::{Directory, NAMESPACE, Server, Tls},
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

pub(crate) fn write(directory: &Path, name: &str, text: &str) -> PathBuf {
    let path = directory.join(name);
    std::fs::write(&path, text).expect("written");
    path
}

pub(crate) fn show(path: &Path) -> String {
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

    /// From now on the server knows the second authority alone, and the test shows this certificate of it.
    async fn forget_the_first(&mut self, second: &Pair) {
        self.server.kill();
        let trusted = vec![self.files.join("second.crt"), self.files.join("ca.crt")];
        let options = second.options(&self.servers);
        self.server.trust(trusted, options);
        self.server.up().await;
    }
}

/// How often a worker took new credentials into use, or refused them.
async fn reloads(worker: &WorkerHandle, outcome: &str) -> String {
    let text = get(worker.ports().metrics, "/metrics").await.1;
    let name = format!("temporal_fleet_runtime_credential_reloads_total{{outcome=\"{outcome}\"}} ");
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix(&name).map(str::to_owned));
    line.unwrap_or_else(|| panic!("{text}"))
}

#[tokio::test]
async fn who_is_refused_says_why_in_words() {
    let mutual = Mutual::start("refused").await;
    let pair = |name: &str, pair: Pair| pair.write(&mutual.files, name);
    let stranger = pair("stranger", Authority::new().issue(2100));
    let expired = pair("expired", mutual.clients[0].issue(2001));
    let good = pair("good", mutual.clients[0].issue(2100));
    let garbage = pair(
        "garbage",
        Pair {
            cert: "not PEM".to_owned(),
            key: "not PEM".to_owned(),
        },
    );
    let other = show(&write(&mutual.files, "other-ca.crt", &Authority::new().pem));
    let missing = show(&mutual.files.join("missing.crt"));
    let cases: [(Option<&[PathBuf; 2]>, &[(&str, &str)], &[&str]); 7] = [
        (None, &[], &["wants a client certificate"]),
        (Some(&stranger), &[], &["refuses the client certificate", "authority"]),
        (Some(&expired), &[], &["client certificate has expired"]),
        (
            Some(&garbage),
            &[],
            &["no certificate", "TEMPORAL_TLS_CLIENT_CERT_PATH"],
        ),
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

    // A certificate that the server would refuse is not taken into use.
    Authority::new().issue(2100).write(&mutual.files, "client");
    eventually("the wrong one is refused", async || {
        reloads(&worker, "rejected").await != "0"
    })
    .await;
    assert_eq!(reloads(&worker, "used").await, "0");
    let second = mutual.clients[1].issue(2100);
    second.write(&mutual.files, "client");
    eventually("the new one is in use", async || reloads(&worker, "used").await == "1").await;

    mutual.forget_the_first(&second).await;
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
async fn a_certificate_that_is_good_no_more_costs_no_result_until_the_next_one_is_there() {
    let mut mutual = Mutual::start("late-rotation").await;
    let files = mutual.clients[0].issue(2100).write(&mutual.files, "client");
    let (work, gate, running) = Work::closed();
    let worker = mutual.worker("late-rotation", Some(&files), &[]).activities(work);
    let worker = worker.spawn().expect("started");
    ready(&worker).await;
    let bed = Bed::on(&mutual.server, NAMESPACE, "late-rotation").await;
    let id = bed.start(Together_::run, 5).await.info().workflow_id.clone();
    eventually("five activities run", async || running.now() == 5).await;

    // The server comes first; the file follows when the results are at hand.
    let second = mutual.clients[1].issue(2100);
    mutual.forget_the_first(&second).await;
    gate.add_permits(100);
    eventually("they end while nobody can be told", async || running.now() == 0).await;
    // One that is of no use either, as a mistake in between.
    mutual.clients[1].issue(2001).write(&mutual.files, "client");
    eventually("an expired one is refused", async || {
        reloads(&worker, "rejected").await != "0"
    })
    .await;
    assert_eq!(
        get(worker.ports().health, "/livez").await.0,
        200,
        "a restart would lose the results"
    );
    second.write(&mutual.files, "client");
    eventually("the new one is in use", async || reloads(&worker, "used").await == "1").await;
    let bed = Bed::on(&mutual.server, NAMESPACE, "late-rotation").await;
    let handle = bed.client.get_workflow_handle::<Together_>(id);
    assert_eq!(result(&handle).await, 15);
    assert_eq!(attempts(&handle).await, [1; 5]);
    end(worker).await;
}
