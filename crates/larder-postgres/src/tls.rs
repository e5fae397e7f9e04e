//! TLS by rustls, verified.

use std::path::Path;

use larder_core::{Error, ErrorKind, Result};
use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, pem::PemObject as _},
};
use tokio_postgres_rustls::MakeRustlsConnect;

/// What makes connections that trust the certificates of this file, or of the system.
pub(crate) fn connector(ca: Option<&Path>) -> Result<MakeRustlsConnect> {
    let roots = match ca {
        Some(path) => of_file(path)?,
        None => of_system()?,
    };
    let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("ring has what the default versions need")
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(MakeRustlsConnect::new(config))
}

fn of_file(path: &Path) -> Result<RootCertStore> {
    let wrong = |what: &str| Error::new(ErrorKind::Config, format!("`ca` is `{}`: {what}", path.display()));
    let mut roots = RootCertStore::empty();
    let unreadable = "it cannot be read as a PEM file of certificates";
    for certificate in
        CertificateDer::pem_file_iter(path).map_err(|cause| wrong(unreadable).with_source(cause))?
    {
        let certificate = certificate.map_err(|cause| wrong(unreadable).with_source(cause))?;
        roots
            .add(certificate)
            .map_err(|cause| wrong("a certificate in it is not valid").with_source(cause))?;
    }
    if roots.is_empty() {
        return Err(wrong("it holds no certificate"));
    }
    Ok(roots)
}

fn of_system() -> Result<RootCertStore> {
    let mut roots = RootCertStore::empty();
    let found = rustls_native_certs::load_native_certs();
    // Systems hold certificates that no one can read any more: those are nobody's fault.
    roots.add_parsable_certificates(found.certs);
    if roots.is_empty() {
        return Err(Error::new(
            ErrorKind::Config,
            "`sslmode` asks for TLS, but this system has no certificates to trust: name a file by `ca`",
        ));
    }
    Ok(roots)
}
