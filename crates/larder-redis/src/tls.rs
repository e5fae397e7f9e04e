//! Whom to trust, and as whom to be trusted.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use fred::types::config::{TlsConfig, TlsConnector, TlsHostMapping};
use larder_core::{Error, ErrorKind, Result};
use rustls::{
    ClientConfig, RootCertStore,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
};

use crate::{address::Topology, settings::TlsFiles};

fn unreadable(
    setting: &str,
    path: &Path,
    what: &str,
    cause: impl std::error::Error + Send + Sync + 'static,
) -> Error {
    Error::new(ErrorKind::Config, format!("`{setting}`: {} {what}", path.display())).with_source(cause)
}

fn certificates(setting: &str, path: &Path) -> Result<Vec<CertificateDer<'static>>> {
    let read = |cause| unreadable(setting, path, "cannot be read as PEM certificates", cause);
    let found: Vec<_> =
        CertificateDer::pem_file_iter(path).map_err(read)?.collect::<Result<_, _>>().map_err(read)?;
    if found.is_empty() {
        return Err(Error::new(
            ErrorKind::Config,
            format!("`{setting}`: there is no certificate in {}", path.display()),
        ));
    }
    Ok(found)
}

fn roots(ca: Option<&PathBuf>) -> Result<RootCertStore> {
    let mut roots = RootCertStore::empty();
    if let Some(path) = ca {
        for certificate in certificates("ca", path)? {
            roots.add(certificate).map_err(|cause| {
                unreadable("ca", path, "holds a certificate that cannot be trusted", cause)
            })?;
        }
    } else {
        // Those that cannot be read are left out: what they would have vouched for is then refused.
        let (added, _) = roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        if added == 0 {
            return Err(Error::new(
                ErrorKind::Config,
                "this system has no certificates to trust: name a file of them with `ca`",
            ));
        }
    }
    Ok(roots)
}

/// What the client needs to speak TLS. Certificates are always verified.
pub(crate) fn config(files: &TlsFiles, topology: &Topology) -> Result<TlsConfig> {
    let refused = |cause: rustls::Error| {
        Error::new(ErrorKind::Config, "`client_cert` and `client_key` do not go together").with_source(cause)
    };
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|cause| Error::new(ErrorKind::Config, "no TLS here").with_source(cause))?
        .with_root_certificates(roots(files.ca.as_ref())?);
    let config = match &files.client {
        None => builder.with_no_client_auth(),
        Some((certificate, key)) => {
            let chain = certificates("client_cert", certificate)?;
            let key = PrivateKeyDer::from_pem_file(key).map_err(|cause| {
                unreadable("client_key", key, "cannot be read as a PEM private key", cause)
            })?;
            builder.with_client_auth_cert(chain, key).map_err(refused)?
        }
    };
    // A cluster tells its servers by IP address; their certificate is then that of the one name the address has.
    let hostnames = match topology {
        Topology::Cluster(hosts) => match hosts.as_slice() {
            [one] if one.name.parse::<std::net::IpAddr>().is_err() => TlsHostMapping::DefaultHost,
            _ => TlsHostMapping::None,
        },
        _ => TlsHostMapping::None,
    };
    Ok(TlsConfig { connector: TlsConnector::from(config), hostnames })
}
