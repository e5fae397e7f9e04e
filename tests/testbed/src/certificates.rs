//! A certificate authority of the run's own, and a certificate of the servers on this machine.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose};

use crate::run::Run;

/// Files in the run's directory, as PEM.
#[derive(Clone, Debug)]
pub struct Certificates {
    ca: PathBuf,
    certificate: PathBuf,
    key: PathBuf,
}

impl Certificates {
    /// Makes both; they are good for `localhost` and 127.0.0.1.
    pub fn make(run: &Run) -> Result<Self> {
        let directory = run.directory(&format!("tls-{}", crate::secret::random_word()?))?;
        let [ca, certificate, key] = ["ca.pem", "server.pem", "server.key"].map(|name| directory.join(name));

        let ca_key = KeyPair::generate().context("cannot make a key")?;
        let mut ca_params = params(&[], "Larder testbed CA")?;
        ca_params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        ca_params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let ca_certificate = ca_params.self_signed(&ca_key).context("cannot make a CA")?;
        let issuer = Issuer::new(ca_params, ca_key);

        let server_key = KeyPair::generate().context("cannot make a key")?;
        let server = params(&["localhost", "127.0.0.1"], "localhost")?;
        let server = server.signed_by(&server_key, &issuer).context("cannot make a certificate")?;

        run.secret_file(&ca, &ca_certificate.pem())?;
        run.secret_file(&certificate, &server.pem())?;
        run.secret_file(&key, &server_key.serialize_pem())?;
        Ok(Self { ca, certificate, key })
    }

    /// What a client is to trust.
    pub fn ca(&self) -> &Path {
        &self.ca
    }

    /// The servers' certificate.
    pub fn certificate(&self) -> &Path {
        &self.certificate
    }

    /// The servers' private key; only their user may read it.
    pub fn key(&self) -> &Path {
        &self.key
    }
}

fn params(names: &[&str], common_name: &str) -> Result<CertificateParams> {
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let mut params = CertificateParams::new(names).context("no such name in a certificate")?;
    params.distinguished_name.push(DnType::CommonName, common_name);
    Ok(params)
}
