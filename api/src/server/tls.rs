//! TLS by a certificate and key in files, which are read again when they change: certificates are renewed, by
//! cert-manager for one, while the service runs.

use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use anyhow::Context;
use clap::Args;
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use sha2::{Digest, Sha256};
use tokio_rustls::TlsAcceptor;

/// Where the certificate is.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "TLS")]
pub struct TlsArgs {
    /// File with the certificate and its chain (PEM), as tls.crt of a Secret of type kubernetes.io/tls. With it the
    /// service speaks HTTPS, else HTTP. It is read again when it changes
    #[arg(long, env = "TLS_CERTIFICATE_FILE", value_name = "FILE", requires = "tls_key_file")]
    pub tls_certificate_file: Option<PathBuf>,

    /// File with the certificate's private key (PEM), as tls.key of such a Secret
    #[arg(long, env = "TLS_KEY_FILE", value_name = "FILE", requires = "tls_certificate_file")]
    pub tls_key_file: Option<PathBuf>,
}

/// A certificate with its key, as they are in the files.
pub struct Certificate {
    certificate_file: PathBuf,
    key_file: PathBuf,
    current: RwLock<Current>,
}

/// What is shown to clients, and the hash of the files that it was read from.
type Current = (Arc<CertifiedKey>, [u8; 32]);

impl Certificate {
    /// Reads the certificate; none when there is to be none.
    ///
    /// # Errors
    /// Fails when a file cannot be read, or the key is not the certificate's.
    pub fn open(args: &TlsArgs) -> anyhow::Result<Option<Arc<Self>>> {
        let (Some(certificate_file), Some(key_file)) = (&args.tls_certificate_file, &args.tls_key_file)
        else {
            return Ok(None);
        };
        let (certificate_file, key_file) = (certificate_file.clone(), key_file.clone());
        let current = RwLock::new(read(&certificate_file, &key_file)?);
        Ok(Some(Arc::new(Self { certificate_file, key_file, current })))
    }

    /// Takes up what is in the files now, if it has changed; tells whether it has. When that cannot be used, as while
    /// one of the two is written before the other, the certificate stays as it was.
    ///
    /// # Errors
    /// As [`Certificate::open`].
    pub fn reload(&self) -> anyhow::Result<bool> {
        let read = read(&self.certificate_file, &self.key_file)?;
        let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
        let changed = current.1 != read.1;
        if changed {
            *current = read;
        }
        Ok(changed)
    }

    /// Speaks TLS 1.2 and 1.3 with clients, each time by the certificate as it is then.
    ///
    /// # Errors
    /// Fails when the program was built without what TLS needs.
    pub fn acceptor(self: &Arc<Self>) -> anyhow::Result<TlsAcceptor> {
        let builder = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()));
        let builder = builder.with_safe_default_protocol_versions()?.with_no_client_auth();
        let mut config = builder.with_cert_resolver(Arc::new(Resolver(self.clone())));
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(TlsAcceptor::from(Arc::new(config)))
    }
}

struct Resolver(Arc<Certificate>);

impl std::fmt::Debug for Resolver {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Resolver")
    }
}

impl ResolvesServerCert for Resolver {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.current.read().unwrap_or_else(PoisonError::into_inner).0.clone())
    }
}

fn read(certificate_file: &Path, key_file: &Path) -> anyhow::Result<Current> {
    let content =
        |file: &Path| std::fs::read(file).with_context(|| format!("cannot read {} for TLS", file.display()));
    let (certificate, key) = (content(certificate_file)?, content(key_file)?);
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&certificate).collect();
    let chain = chain.ok().filter(|chain| !chain.is_empty());
    let chain =
        chain.with_context(|| format!("{} holds no certificate in PEM", certificate_file.display()))?;
    // the error might quote the file
    let no_key = || anyhow::anyhow!("{} holds no private key in PEM that can be used", key_file.display());
    let private = PrivateKeyDer::from_pem_slice(&key).map_err(|_| no_key())?;
    let certified = CertifiedKey::from_der(chain, private, &aws_lc_rs::default_provider());
    let certified = certified
        .with_context(|| format!("the key in {} is not that of the certificate", key_file.display()))?;
    let hash = Sha256::new().chain_update(&certificate).chain_update(&key).finalize();
    Ok((Arc::new(certified), hash.into()))
}
