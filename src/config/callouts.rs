//! `[callouts]`: which addresses of others may be called, and whom they may trust.

use super::layers::Layers;
use crate::callout::{CalloutSettings, Reach, are_authorities};

pub(super) fn read(layers: &mut Layers) -> CalloutSettings {
    let reach =
        layers.choice("callouts.allow_private_addresses", ("false", Reach::Public), ("true", Reach::Private));
    CalloutSettings { reach, extra_roots: extra_roots(layers), ..CalloutSettings::default() }
}

/// The certificates of a file, checked here so that a broken one is told at start.
fn extra_roots(layers: &mut Layers) -> Option<Vec<u8>> {
    let file = layers.text("callouts.ca_file")?.to_owned();
    match std::fs::read(file) {
        Ok(pem) if are_authorities(&pem) => return Some(pem),
        Ok(_) => layers.refuse("callouts.ca_file", "holds something else than certificates in PEM form"),
        Err(error) => layers.refuse("callouts.ca_file", &format!("is not usable: {error}")),
    }
    None
}

#[cfg(test)]
mod tests {
    use super::super::{Config, MasterKey, Sources};
    use crate::callout::Reach;

    fn load(pairs: &[(&str, &str)]) -> anyhow::Result<Config> {
        let name = |short: &str| format!("TESSERA__CALLOUTS__{short}");
        let environment = pairs.iter().map(|(short, value)| (name(short), (*value).to_owned())).collect();
        Config::load(&Sources { environment, ..Sources::default() }, MasterKey::Optional)
    }

    #[test]
    fn our_own_network_is_opened_on_purpose() {
        assert_eq!(load(&[]).unwrap().callouts.reach, Reach::Public);
        assert_eq!(load(&[("ALLOW_PRIVATE_ADDRESSES", "true")]).unwrap().callouts.reach, Reach::Private);
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("ca.pem");
        std::fs::write(&file, "no certificate").unwrap();
        let found = load(&[("ALLOW_PRIVATE_ADDRESSES", "yes"), ("CA_FILE", file.to_str().unwrap())]);
        let found = found.unwrap_err().to_string();
        assert!(found.contains("- callouts.allow_private_addresses is \"false\" or \"true\""), "{found}");
        assert!(found.contains("- callouts.ca_file holds something else than certificates"), "{found}");
    }
}
