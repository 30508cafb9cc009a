//! `[mail]`: who writes, and which server takes it.

use std::time::Duration;

use super::layers::Layers;
use crate::mail::{Pooling, Sender, SmtpSettings, SmtpTls, are_certificates};
use crate::secret::Secret;

/// `None` when no server is named: mail waits in the outbox.
pub(super) fn read(layers: &mut Layers) -> Option<SmtpSettings> {
    let from = layers.text("mail.from").map(str::to_owned);
    let sender = from.as_deref().and_then(Sender::parse);
    if from.is_some() && sender.is_none() {
        layers.refuse("mail.from", "is a mail address, with or without a name: \"Name <name@host>\"");
    }
    let port = layers.number("mail.smtp.port", 1..=65535);
    let tls = layers.read(
        "mail.smtp.tls",
        "is \"starttls\", \"implicit\" or \"off\"",
        SmtpTls::Starttls,
        SmtpTls::from_text,
    );
    let pooling = Pooling {
        connections: layers.number("mail.smtp.connections", 0..=4),
        idle: Duration::from_secs(layers.number("mail.smtp.idle_seconds", 1..=240)),
    };
    let password = password(layers);
    let username = layers.text("mail.smtp.username").map(str::to_owned);
    let extra_roots = extra_roots(layers);
    let Some(host) = layers.text("mail.smtp.host").map(str::to_owned) else {
        if username.is_some() {
            layers.refuse("mail.smtp.username", "is of no use without mail.smtp.host");
        }
        return None;
    };
    if from.is_none() {
        layers.problem("mail.from is missing: mail.smtp.host needs it".into());
    }
    let credentials = match (username, password) {
        (Some(username), Some(password)) => Some((username, password)),
        (None, None) => None,
        _ => {
            layers.problem(
                "mail.smtp.username and mail.smtp.password (or password_file) belong together".into(),
            );
            None
        }
    };
    let is_here = ["localhost", "127.0.0.1", "::1"].contains(&host.as_str());
    if credentials.is_some() && tls == SmtpTls::Off && !is_here {
        layers.refuse("mail.smtp.tls", "is \"off\", and a password would travel in the clear");
    }
    Some(SmtpSettings { host, port, tls, credentials, extra_roots, from: sender?, pooling })
}

fn password(layers: &mut Layers) -> Option<Secret> {
    let text = layers.text("mail.smtp.password").map(Secret::new);
    let Some(file) = layers.text("mail.smtp.password_file").map(str::to_owned) else { return text };
    if text.is_some() {
        layers.problem("mail.smtp.password and mail.smtp.password_file are both set: one is enough".into());
        return None;
    }
    match std::fs::read_to_string(file) {
        Ok(text) => Some(Secret::new(text.trim_end_matches(['\r', '\n']))),
        Err(error) => {
            layers.refuse("mail.smtp.password_file", &format!("is not usable: {error}"));
            None
        }
    }
}

/// The certificates of a file, checked here so that a broken one is told at start.
fn extra_roots(layers: &mut Layers) -> Option<Vec<u8>> {
    let file = layers.text("mail.smtp.ca_file")?.to_owned();
    match std::fs::read(file) {
        Ok(pem) if are_certificates(&pem) => return Some(pem),
        Ok(_) => layers.refuse("mail.smtp.ca_file", "holds no certificate in PEM form"),
        Err(error) => layers.refuse("mail.smtp.ca_file", &format!("is not usable: {error}")),
    }
    None
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::{Config, MasterKey, Sources};
    use crate::mail::{Pooling, SmtpTls};

    fn load(pairs: &[(&str, &str)]) -> anyhow::Result<Config> {
        let name = |short: &str| format!("TESSERA__MAIL__{short}");
        let environment = pairs.iter().map(|(short, value)| (name(short), (*value).to_owned())).collect();
        Config::load(&Sources { environment, ..Sources::default() }, MasterKey::Optional)
    }

    fn problems(pairs: &[(&str, &str)]) -> Vec<String> {
        let error = load(pairs).unwrap_err().to_string();
        error.lines().skip(1).map(|line| line.split(" (set in ").next().unwrap().to_owned()).collect()
    }

    #[test]
    fn a_server_is_described_in_full() {
        assert!(load(&[]).unwrap().smtp.is_none());
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("password");
        std::fs::write(&file, "hunter2\n").unwrap();
        let config = load(&[
            ("FROM", "Tessera <no-reply@id.example>"),
            ("SMTP__HOST", "smtp.example"),
            ("SMTP__PORT", "465"),
            ("SMTP__TLS", "implicit"),
            ("SMTP__USERNAME", "tessera"),
            ("SMTP__PASSWORD_FILE", file.to_str().unwrap()),
        ]);
        let config = config.unwrap();
        assert!(!format!("{config:?}").contains("hunter2"));
        let smtp = config.smtp.unwrap();
        assert_eq!((smtp.host.as_str(), smtp.port, smtp.tls), ("smtp.example", 465, SmtpTls::Implicit));
        assert_eq!(smtp.from.domain(), "id.example");
        assert_eq!(smtp.pooling, Pooling { connections: 4, idle: Duration::from_secs(30) });
        let (username, password) = smtp.credentials.unwrap();
        assert_eq!((username.as_str(), password.expose()), ("tessera", "hunter2"));
    }

    #[test]
    fn what_does_not_fit_is_told() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("ca.pem");
        std::fs::write(&file, "no certificate").unwrap();
        let found = problems(&[
            ("FROM", "nobody"),
            ("SMTP__HOST", "smtp.example"),
            ("SMTP__PORT", "0"),
            ("SMTP__TLS", "maybe"),
            ("SMTP__CONNECTIONS", "5"),
            ("SMTP__IDLE_SECONDS", "0"),
            ("SMTP__USERNAME", "tessera"),
            ("SMTP__CA_FILE", file.to_str().unwrap()),
        ]);
        let expected = [
            "- mail.from is a mail address, with or without a name: \"Name <name@host>\"",
            "- mail.smtp.port is a whole number from 1 to 65535",
            "- mail.smtp.tls is \"starttls\", \"implicit\" or \"off\"",
            "- mail.smtp.connections is a whole number from 0 to 4",
            "- mail.smtp.idle_seconds is a whole number from 1 to 240",
            "- mail.smtp.ca_file holds no certificate in PEM form",
            "- mail.smtp.username and mail.smtp.password (or password_file) belong together",
        ];
        assert_eq!(found, expected);
        let found = problems(&[("SMTP__HOST", "smtp.example")]);
        assert_eq!(found, ["- mail.from is missing: mail.smtp.host needs it"]);
        let found = problems(&[("SMTP__USERNAME", "tessera")]);
        assert_eq!(found, ["- mail.smtp.username is of no use without mail.smtp.host"]);
    }

    #[test]
    fn a_password_does_not_travel_in_the_clear() {
        let settings = |host| {
            let pairs = [("FROM", "a@id.example"), ("SMTP__HOST", host), ("SMTP__TLS", "off")];
            let login = [("SMTP__USERNAME", "tessera"), ("SMTP__PASSWORD", "hunter2")];
            [&pairs[..], &login[..]].concat()
        };
        assert!(load(&settings("localhost")).unwrap().smtp.is_some());
        let found = problems(&settings("relay.example"));
        assert_eq!(found, ["- mail.smtp.tls is \"off\", and a password would travel in the clear"]);
    }
}
