//! TLS in all its states against a frontend with certificates made for the test: nothing is sent to a server that is not verified.
mod support;

use std::sync::Arc;

use fleet_core::{Class, Reason};
use fleet_temporal::{ApiKey, Authentication, Endpoint, Error, Origin, Temporal as _, Tls};
use support::{Authority, Frontend, NAME, client, client_at, endpoint};
use tonic::transport::{Certificate, ServerTlsConfig};

/// TLS that trusts `authority` and expects [`NAME`].
fn tls(authority: &Authority) -> Tls {
    Tls {
        server_name: Some(NAME.into()),
        ca: Some(authority.bundle()),
        client: None,
    }
}

async fn refused(
    frontend: &Frontend,
    server: Option<ServerTlsConfig>,
    with: impl FnOnce(Endpoint) -> Endpoint,
) -> Error {
    let endpoint = with(endpoint(frontend.serve(server).await));
    let error = client()
        .describe_namespace(&endpoint, "default")
        .await
        .expect_err("the connection is refused");
    assert_eq!(frontend.count(), 0, "no call reached the server: {error}");
    error
}

#[tokio::test]
async fn a_verified_server_is_used_by_its_name() {
    let (authority, frontend) = (Authority::new(), Frontend::default());
    let address = frontend
        .serve(Some(Authority::server(&authority.issue(2000, 2100))))
        .await;
    let endpoint = endpoint(address).with_tls(tls(&authority));
    assert_eq!(endpoint.authentication(), Authentication::Tls);
    assert_eq!(
        client().describe_namespace(&endpoint, "default").await.unwrap().version,
        "1.31.2"
    );
}

#[tokio::test]
async fn a_server_of_another_authority_is_refused() {
    let (authority, frontend) = (Authority::new(), Frontend::default());
    let server = Authority::server(&Authority::new().issue(2000, 2100));
    let error = refused(&frontend, Some(server), |endpoint| endpoint.with_tls(tls(&authority))).await;
    assert_eq!(error.reason(), Reason::TLSHandshakeFailed);
    assert!(error.needs_a_person());
    assert_eq!(
        error.to_string(),
        "TLS handshake failed: the server's certificate is not signed by a trusted authority"
    );
}

#[tokio::test]
async fn the_systems_authorities_do_not_vouch_for_a_private_server() {
    let frontend = Frontend::default();
    let server = Authority::server(&Authority::new().issue(2000, 2100));
    let error = refused(&frontend, Some(server), |endpoint| endpoint.with_tls(Tls::default())).await;
    assert_eq!(error.reason(), Reason::TLSHandshakeFailed, "{error}");
}

#[tokio::test]
async fn a_server_with_another_name_is_refused_and_the_field_is_named() {
    let (authority, frontend) = (Authority::new(), Frontend::default());
    let server = Authority::server(&authority.issue(2000, 2100));
    let error = refused(&frontend, Some(server), |endpoint| {
        endpoint.with_tls(Tls {
            server_name: Some("another.example".into()),
            ..tls(&authority)
        })
    })
    .await;
    assert_eq!(error.reason(), Reason::TLSHandshakeFailed);
    assert!(error.to_string().contains("tls.serverName"), "{error}");
}

#[tokio::test]
async fn a_server_past_or_before_its_time_is_refused() {
    let (authority, frontend) = (Authority::new(), Frontend::default());
    let server = Authority::server(&authority.issue(2000, 2001));
    let error = refused(&frontend, Some(server), |endpoint| endpoint.with_tls(tls(&authority))).await;
    assert_eq!(error, Error::ServerCertificateExpired);
    assert_eq!(
        (error.reason(), error.class()),
        (Reason::CertificateExpired, Class::Unavailable)
    );
    let server = Authority::server(&authority.issue(2090, 2100));
    let error = refused(&frontend, Some(server), |endpoint| endpoint.with_tls(tls(&authority))).await;
    assert_eq!(
        error.to_string(),
        "TLS handshake failed: the server's certificate is not valid yet"
    );
}

#[tokio::test]
async fn both_sides_show_certificates() {
    let (authority, frontend) = (Authority::new(), Frontend::default());
    let server =
        || Authority::server(&authority.issue(2000, 2100)).client_ca_root(Certificate::from_pem(&authority.pem));
    let client_cert = authority.issue(2000, 2100).client();
    let address = frontend.serve(Some(server())).await;
    let mutual = endpoint(address).with_tls(Tls {
        client: Some(client_cert),
        ..tls(&authority)
    });
    assert_eq!(mutual.authentication(), Authentication::MutualTls);
    assert!(client().describe_namespace(&mutual, "default").await.is_ok());

    let nobody = Frontend::default();
    let error = refused(&nobody, Some(server()), |endpoint| endpoint.with_tls(tls(&authority))).await;
    assert_eq!(error.reason(), Reason::TLSHandshakeFailed, "{error}");
    assert!(error.to_string().contains("wants a client certificate"), "{error}");

    let stranger = Authority::new().issue(2000, 2100).client();
    let error = refused(&nobody, Some(server()), |endpoint| {
        endpoint.with_tls(Tls {
            client: Some(stranger),
            ..tls(&authority)
        })
    })
    .await;
    assert_eq!(error.reason(), Reason::TLSHandshakeFailed, "{error}");
    assert!(error.to_string().contains("refuses the client certificate"), "{error}");
}

#[tokio::test]
async fn an_expired_certificate_of_ours_is_not_shown_even_on_an_open_connection() {
    let (authority, frontend) = (Authority::new(), Frontend::default());
    let server = Authority::server(&authority.issue(2000, 2100)).client_ca_root(Certificate::from_pem(&authority.pem));
    let endpoint = endpoint(frontend.serve(Some(server)).await).with_tls(Tls {
        client: Some(authority.issue(2000, 2050).client()),
        ..tls(&authority)
    });
    let now = Arc::new(std::sync::Mutex::new(support::middle()));
    let clock = Arc::clone(&now);
    let client = client_at(Arc::new(move || *clock.lock().unwrap()));
    assert!(client.describe_namespace(&endpoint, "default").await.is_ok());
    *now.lock().unwrap() = "2050-01-01T00:00:00Z".parse().unwrap();
    let error = client.describe_namespace(&endpoint, "default").await.unwrap_err();
    assert_eq!(
        (error.class(), error.reason()),
        (Class::Invalid, Reason::CertificateExpired)
    );
    assert_eq!(
        error.to_string(),
        "the client certificate expired at 2050-01-01T00:00:00Z"
    );
}

#[tokio::test]
async fn tls_toward_plain_text_and_plain_text_toward_tls_fail() {
    let (authority, frontend) = (Authority::new(), Frontend::default());
    let error = refused(&frontend, None, |endpoint| endpoint.with_tls(tls(&authority))).await;
    assert_eq!(error.reason(), Reason::TLSHandshakeFailed, "{error}");
    let server = Authority::server(&authority.issue(2000, 2100));
    let error = refused(&frontend, Some(server), |endpoint| endpoint).await;
    assert_eq!(
        (error.class(), error.reason()),
        (Class::Unavailable, Reason::Unreachable),
        "{error}"
    );
}

#[tokio::test]
async fn an_api_key_is_sent_to_a_verified_server_and_to_no_other() {
    let (authority, frontend) = (Authority::new(), Frontend::default());
    let key = || ApiKey::parse(&Origin::new("cloud", "key"), b" canary-key \n").unwrap();
    let address = frontend
        .serve(Some(Authority::server(&authority.issue(2000, 2100))))
        .await;
    let trusted = endpoint(address).with_tls(tls(&authority)).with_api_key(key());
    assert_eq!(trusted.authentication(), Authentication::ApiKey);
    client().describe_namespace(&trusted, "default").await.unwrap();
    let sent = frontend.calls.lock().unwrap()[0].1.clone();
    assert_eq!(sent.as_deref(), Some("Bearer canary-key"));
    assert!(!format!("{trusted:?}").contains("canary"));

    let other = Frontend::default();
    let server = Authority::server(&Authority::new().issue(2000, 2100));
    refused(&other, Some(server), |endpoint| endpoint.with_api_key(key())).await;
}
