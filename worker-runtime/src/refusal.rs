//! Why a TLS connection fails, in words.
//!
//! With TLS 1.3 a server refuses a client's certificate only after the handshake, and the gRPC client then knows no more than that the
//! connection was closed. So after a failure the handshake is made once more, without gRPC, for the text alone: nothing is sent.

use std::{
    io,
    net::{TcpStream, ToSocketAddrs as _},
    sync::Arc,
    time::Duration,
};

use rustls::{
    AlertDescription, CertificateError, ClientConfig, ClientConnection, RootCertStore,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject as _},
};

use crate::connect::TlsFiles;

/// Limit of the connection, and of the wait for each answer.
const TIMEOUT: Duration = Duration::from_secs(3);

/// The reason for which a server at `host:port`, asked for under `name`, cannot be talked to over TLS; `None` if that is not the reason.
pub(crate) async fn refusal(host: String, port: u16, name: String, files: TlsFiles) -> Option<String> {
    let handshake = tokio::task::spawn_blocking(move || {
        if let Some(unreadable) = unreadable(&files) {
            return Some(unreadable.to_owned());
        }
        let error = handshake(&host, port, &name, &files).ok().flatten()?;
        Some(words(&error, &name))
    });
    handshake.await.ok().flatten()
}

/// What is wrong with the files themselves: gRPC's own words for it name neither.
fn unreadable(files: &TlsFiles) -> Option<&'static str> {
    let certificate = |pem: &Vec<u8>| CertificateDer::pem_slice_iter(pem).flatten().next().is_some();
    let TlsFiles {
        client_cert,
        client_key,
        server_ca,
    } = files;
    if server_ca.as_ref().is_some_and(|pem| !certificate(pem)) {
        return Some(
            "there is no certificate in the file of the server's authority (TEMPORAL_TLS_SERVER_CA_CERT_PATH)",
        );
    }
    if client_cert.as_ref().is_some_and(|pem| !certificate(pem)) {
        return Some("there is no certificate in the client's file (TEMPORAL_TLS_CLIENT_CERT_PATH)");
    }
    let key = |pem: &Vec<u8>| PrivateKeyDer::from_pem_slice(pem).is_ok();
    if client_key.as_ref().is_some_and(|pem| !key(pem)) {
        return Some("there is no key in the client's file (TEMPORAL_TLS_CLIENT_KEY_PATH)");
    }
    None
}

/// The error of either side; none if the server begins to talk.
fn handshake(host: &str, port: u16, name: &str, files: &TlsFiles) -> io::Result<Option<rustls::Error>> {
    let mut roots = RootCertStore::empty();
    match &files.server_ca {
        Some(pem) => roots.add_parsable_certificates(CertificateDer::pem_slice_iter(pem).flatten()),
        None => roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs),
    };
    let config = ClientConfig::builder().with_root_certificates(roots);
    let mut config = match (&files.client_cert, &files.client_key) {
        (Some(cert), Some(key)) => {
            let chain = CertificateDer::pem_slice_iter(cert).flatten().collect();
            let key = PrivateKeyDer::from_pem_slice(key).map_err(io::Error::other)?;
            config.with_client_auth_cert(chain, key).map_err(io::Error::other)?
        }
        _ => config.with_no_client_auth(),
    };
    config.alpn_protocols = vec![b"h2".to_vec()];
    let name = ServerName::try_from(name.to_owned()).map_err(io::Error::other)?;
    let mut tls = ClientConnection::new(Arc::new(config), name).map_err(io::Error::other)?;

    let address = (host, port).to_socket_addrs()?.next();
    let address = address.ok_or_else(|| io::Error::other("the name has no address"))?;
    let mut socket = TcpStream::connect_timeout(&address, TIMEOUT)?;
    socket.set_read_timeout(Some(TIMEOUT))?;
    loop {
        while tls.wants_write() {
            tls.write_tls(&mut socket)?;
        }
        if tls.read_tls(&mut socket)? == 0 {
            return Ok(None);
        }
        match tls.process_new_packets() {
            Err(error) => return Ok(Some(error)),
            Ok(state) if state.plaintext_bytes_to_read() > 0 => return Ok(None),
            Ok(_) => {}
        }
    }
}

fn words(error: &rustls::Error, name: &str) -> String {
    let text = match error {
        rustls::Error::InvalidCertificate(error) => match error {
            // The latter: another authority of the same name.
            CertificateError::UnknownIssuer | CertificateError::BadSignature => {
                "the server's certificate is not signed by a trusted authority (TEMPORAL_TLS_SERVER_CA_CERT_PATH)"
            }
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
                "the server's certificate has expired"
            }
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
                "the server's certificate is not valid yet"
            }
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                return format!("the server's certificate is for another name than {name} (TEMPORAL_TLS_SERVER_NAME)");
            }
            other => return format!("the server's certificate is not acceptable: {other}"),
        },
        rustls::Error::AlertReceived(AlertDescription::CertificateRequired | AlertDescription::NoCertificate) => {
            "the server wants a client certificate (TEMPORAL_TLS_CLIENT_CERT_PATH)"
        }
        rustls::Error::AlertReceived(AlertDescription::CertificateExpired) => {
            "the server says that the client certificate has expired"
        }
        rustls::Error::AlertReceived(AlertDescription::UnknownCA) => {
            "the server refuses the client certificate: it does not know its authority"
        }
        rustls::Error::AlertReceived(
            AlertDescription::BadCertificate
            | AlertDescription::CertificateUnknown
            | AlertDescription::CertificateRevoked
            | AlertDescription::UnsupportedCertificate
            | AlertDescription::DecryptError
            | AlertDescription::AccessDenied,
        ) => "the server refuses the client certificate",
        rustls::Error::InvalidMessage(_) => "the server does not speak TLS",
        other => return format!("the TLS handshake fails: {other}"),
    };
    text.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_not_what_it_should_be_is_named_by_its_variable() {
        let garbage = || Some(b"not PEM".to_vec());
        let authority = TlsFiles {
            server_ca: garbage(),
            ..TlsFiles::default()
        };
        let key = rcgen::KeyPair::generate().expect("a key").serialize_pem().into_bytes();
        let swapped = TlsFiles {
            client_cert: Some(key.clone()),
            client_key: Some(key.clone()),
            ..TlsFiles::default()
        };
        let keyless = TlsFiles {
            client_key: garbage(),
            ..TlsFiles::default()
        };
        for (files, variable) in [
            (authority, "TEMPORAL_TLS_SERVER_CA_CERT_PATH"),
            (swapped, "TEMPORAL_TLS_CLIENT_CERT_PATH"),
            (keyless, "TEMPORAL_TLS_CLIENT_KEY_PATH"),
        ] {
            let said = unreadable(&files).expect("a reason");
            assert!(said.contains(variable), "{said}");
        }
        let fine = TlsFiles {
            client_key: Some(key),
            ..TlsFiles::default()
        };
        assert_eq!(unreadable(&fine), None);
    }
}
