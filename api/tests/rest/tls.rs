//! The service by TLS.

use std::path::PathBuf;
use std::sync::Arc;

use api::server::tls::{Certificate, TlsArgs};
use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls_pki_types::{CertificateDer, ServerName};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use crate::connections::{Server, start_with};
use crate::service::Service;

struct Files {
    folder: TempDir,
}

impl Files {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    fn args(&self) -> TlsArgs {
        let file = |name: &str| Some(self.path(name));
        TlsArgs { tls_certificate_file: file("tls.crt"), tls_key_file: file("tls.key") }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Puts a fresh certificate in place.
    fn renew(&self) -> CertificateDer<'static> {
        let CertifiedKey { cert, signing_key } =
            generate_simple_self_signed(["service.example".into()]).unwrap();
        std::fs::write(self.path("tls.crt"), cert.pem()).unwrap();
        std::fs::write(self.path("tls.key"), signing_key.serialize_pem()).unwrap();
        cert.der().clone()
    }
}

/// What a client that trusts this certificate alone gets as the answer.
async fn ask(server: &Server, trusted: &CertificateDer<'static>) -> std::io::Result<String> {
    let mut roots = RootCertStore::empty();
    roots.add(trusted.clone()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let config = config.with_root_certificates(roots).with_no_client_auth();
    let stream = TcpStream::connect(server.address).await?;
    let name = ServerName::try_from("service.example").unwrap();
    let mut stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await?;
    stream.write_all(b"GET /api/v1/version HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    Ok(answer)
}

#[tokio::test]
async fn a_renewed_certificate_is_taken_up_while_the_service_runs() {
    let files = Files::new();
    let first = files.renew();
    let certificate = Certificate::open(&files.args()).unwrap().unwrap();
    let server = start_with(&Service::new(), Some(certificate.acceptor().unwrap())).await;
    assert!(ask(&server, &first).await.unwrap().starts_with("HTTP/1.1 200"));
    assert!(!certificate.reload().unwrap());

    let second = files.renew();
    assert!(ask(&server, &second).await.is_err());
    assert!(certificate.reload().unwrap());
    assert!(ask(&server, &second).await.unwrap().starts_with("HTTP/1.1 200"));
    assert!(ask(&server, &first).await.is_err());
}

#[tokio::test]
async fn while_the_files_do_not_fit_the_certificate_stays() {
    let files = Files::new();
    let first = files.renew();
    let (old_key, certificate) =
        (std::fs::read(files.path("tls.key")).unwrap(), Certificate::open(&files.args()).unwrap().unwrap());
    let server = start_with(&Service::new(), Some(certificate.acceptor().unwrap())).await;
    files.renew();
    std::fs::write(files.path("tls.key"), &old_key).unwrap();
    assert!(certificate.reload().unwrap_err().to_string().contains("is not that of the certificate"));
    for (name, content) in [("tls.key", "hush"), ("tls.crt", "")] {
        std::fs::write(files.path(name), content).unwrap();
        let error = format!("{:#}", certificate.reload().unwrap_err());
        assert!(error.contains(name) && !error.contains("hush"), "{error}");
    }
    assert!(ask(&server, &first).await.is_ok());
}

#[tokio::test]
async fn a_client_that_speaks_no_tls_gets_no_answer() {
    let files = Files::new();
    files.renew();
    let certificate = Certificate::open(&files.args()).unwrap().unwrap();
    let server = start_with(&Service::new(), Some(certificate.acceptor().unwrap())).await;
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    stream.write_all(b"GET /api/v1/version HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    let mut answer = Vec::new();
    let _reset_or_closed = stream.read_to_end(&mut answer).await;
    assert!(!String::from_utf8_lossy(&answer).contains("HTTP"), "{answer:?}");
}

#[test]
fn one_file_alone_is_not_enough() {
    let args = TlsArgs {
        tls_certificate_file: Some("missing.crt".into()),
        tls_key_file: Some("missing.key".into()),
    };
    let error = format!("{:#}", Certificate::open(&args).err().unwrap());
    assert!(error.contains("missing.crt"), "{error}");
    let none = TlsArgs { tls_certificate_file: None, tls_key_file: None };
    assert!(Certificate::open(&none).unwrap().is_none());
}
