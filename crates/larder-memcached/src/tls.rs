//! TLS, with certificates verified.

use std::{fmt, io, path::Path, sync::Arc};

use larder_core::{Error, ErrorKind, Result};
use tokio::net::TcpStream;
use tokio_rustls::{
    TlsConnector,
    client::TlsStream,
    rustls::{
        ClientConfig, RootCertStore,
        crypto::ring,
        pki_types::{CertificateDer, ServerName, pem::PemObject as _},
    },
};

/// How to speak TLS with the servers of one store.
#[derive(Clone)]
pub(crate) struct Tls(TlsConnector);

impl Tls {
    /// Trusts the certificates in a PEM file, or without one what the machine trusts.
    pub(crate) fn new(ca: Option<&Path>) -> Result<Self> {
        let mut roots = RootCertStore::empty();
        let (certificates, none) = if let Some(path) = ca {
            let wrong =
                |what: &str| Error::new(ErrorKind::Config, format!("`ca`: {what} ({})", path.display()));
            let certificates = CertificateDer::pem_file_iter(path)
                .and_then(Iterator::collect::<Result<Vec<_>, _>>)
                .map_err(|cause| wrong("not a readable PEM file").with_source(cause))?;
            (certificates, wrong("no certificate in the file"))
        } else {
            let none = "this machine has no trusted certificates: set `ca` to a PEM file";
            (rustls_native_certs::load_native_certs().certs, Error::new(ErrorKind::Config, none))
        };
        let (added, _) = roots.add_parsable_certificates(certificates);
        if added == 0 {
            return Err(none);
        }
        let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("the provider has the default versions")
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Self(Arc::new(config).into()))
    }

    pub(crate) async fn connect(&self, host: &str, stream: TcpStream) -> io::Result<TlsStream<TcpStream>> {
        let name = ServerName::try_from(host.to_owned())
            .map_err(|cause| io::Error::new(io::ErrorKind::InvalidInput, cause))?;
        self.0.connect(name, stream).await
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tls")
    }
}
