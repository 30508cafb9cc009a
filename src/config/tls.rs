//! `[tls]`: the files of our own certificate. They are read when the server starts, and by no other command.

use std::path::PathBuf;

use super::layers::Layers;

/// Where the certificate chain and its key lie, as PEM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    pub certificate: PathBuf,
    pub key: PathBuf,
}

/// `None`: plain HTTP, behind a proxy that speaks TLS. `base_url`: what browsers have to see.
pub(super) fn read(layers: &mut Layers, base_url: &str) -> Option<TlsFiles> {
    let file = |name: &str| layers.text(name).map(PathBuf::from);
    let files = (file("tls.certificate_file"), file("tls.key_file"));
    let (Some(certificate), Some(key)) = files else {
        if files != (None, None) {
            layers.problem("tls.certificate_file and tls.key_file belong together".into());
        }
        return None;
    };
    if base_url.starts_with("http://") {
        layers.refuse("base_url", "is not https, and tls.certificate_file is set");
    }
    Some(TlsFiles { certificate, key })
}

#[cfg(test)]
mod tests {
    use super::super::{Config, MasterKey, Sources};

    fn load(pairs: &[(&str, &str)]) -> anyhow::Result<Config> {
        let environment =
            pairs.iter().map(|(name, value)| (format!("TESSERA__{name}"), (*value).to_owned())).collect();
        Config::load(&Sources { environment, ..Sources::default() }, MasterKey::Optional)
    }

    #[test]
    fn both_files_or_none() {
        assert_eq!(load(&[]).unwrap().tls, None);
        let one = load(&[("TLS__KEY_FILE", "/key.pem")]).unwrap_err().to_string();
        assert!(one.contains("- tls.certificate_file and tls.key_file belong together"), "{one}");
        let both = [("TLS__KEY_FILE", "/key.pem"), ("TLS__CERTIFICATE_FILE", "/chain.pem")];
        let plain = load(&both).unwrap_err().to_string();
        assert!(plain.contains("- base_url is not https, and tls.certificate_file is set"), "{plain}");
        let https = [&both[..], &[("BASE_URL", "https://id.example")]].concat();
        assert!(load(&https).unwrap().tls.is_some());
    }
}
