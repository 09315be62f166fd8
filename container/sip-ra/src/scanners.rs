//! Scanners: programs that look for SIP servers and try out names, by what they call themselves.
//! Their requests are dropped before anything else is looked at, as an answer would only tell
//! them that somebody is here.

use resilee_sip_proto::{HeaderName, Message};

/// Parts of a User-Agent, in lower case, by which a scanner is known.
#[derive(Clone, Debug)]
pub(crate) struct Scanners(Vec<String>);

impl Scanners {
    pub(crate) fn new(parts: impl IntoIterator<Item = impl AsRef<str>>) -> Self {
        Scanners(parts.into_iter().map(|part| part.as_ref().to_ascii_lowercase()).collect())
    }

    /// Whether the request says that it comes from one of them.
    pub(crate) fn have_sent(&self, request: &Message<'_>) -> bool {
        request.header(HeaderName::UserAgent).is_some_and(|agent| self.are(&agent))
    }

    /// Whether one of them calls itself so.
    pub(crate) fn are(&self, agent: &str) -> bool {
        let agent = agent.to_ascii_lowercase();
        self.0.iter().any(|part| agent.contains(part))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use resilee_sip_proto::SCANNERS_DEFAULT;

    fn is_scanner(scanners: &Scanners, agent: &str) -> bool {
        let text = format!(
            "OPTIONS sip:100@c SIP/2.0\r\nVia: SIP/2.0/UDP a;branch=z9hG4bK1\r\n\
             From: <sip:a@b>;tag=1\r\nTo: <sip:b@c>\r\nCall-ID: 1\r\nCSeq: 1 OPTIONS\r\n\
             {agent}\r\n"
        );
        scanners.have_sent(&Message::parse(text.as_bytes()).expect("a request"))
    }

    #[test]
    fn a_scanner_is_known_by_a_part_of_its_name_and_phones_are_left_alone() {
        let scanners = Scanners::new(SCANNERS_DEFAULT);
        for agent in ["friendly-scanner", "SIPVicious/0.3", "sipcli/v1.8", "pplsip"] {
            assert!(is_scanner(&scanners, &format!("User-Agent: {agent}\r\n")), "{agent}");
        }
        let phones = ["baresip v3.9.0", "Linphone/5.2", "MicroSIP/3.21", "PJSUA v2.14", "Yealink"];
        // The last one is what all programs call themselves that are made with that library.
        let names_alike = ["SIPClient/2.0", "sipclient", "Acme SIPClient", "VaxSIPUserAgent/3.1"];
        for agent in phones.into_iter().chain(names_alike) {
            assert!(!is_scanner(&scanners, &format!("User-Agent: {agent}\r\n")), "{agent}");
        }
        assert!(!is_scanner(&scanners, ""));
        assert!(
            !is_scanner(&Scanners::new([""; 0]), "User-Agent: sipcli/v1.8\r\n"),
            "none, if told so"
        );
        assert!(is_scanner(&Scanners::new(["Nmap"]), "User-Agent: nmap NSE\r\n"));
    }
}
