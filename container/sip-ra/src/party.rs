//! What services read of a message: parties, contacts, and the events made of them.

use crate::client::Client;
use crate::incoming::Incoming;
use crate::step::Step;
use resilee_sip_api::{Binding, Credentials, Invite, OtherRequest, Party, Register};
use resilee_sip_proto::{HeaderName, Message, SipUri, name_addr};

/// `q` of a contact without one, or with one that cannot be read.
const Q_DEFAULT: u16 = 1000;

/// The credentials of a request, and what is known of those who try out its account's password.
#[derive(Clone, Debug, Default)]
pub(crate) struct Authorization {
    pub(crate) credentials: Option<Credentials>,
    /// See [`Register::barred_s`].
    pub(crate) barred_s: Option<u32>,
}

pub(crate) fn invite(
    step: &Step<'_>,
    incoming: &Incoming<'_>,
    authorization: Authorization,
) -> Invite {
    let message = incoming.message;
    let request_uri = message.request_uri().unwrap_or_default();
    Invite {
        call_id: message.call_id().to_owned(),
        request_uri: request_uri.to_owned(),
        callee: party("", request_uri),
        caller: party_of(message, HeaderName::From),
        set_up_at: step.now(),
        source: Client::of(&incoming.flow).to_string(),
        credentials: authorization.credentials,
        barred_s: authorization.barred_s,
    }
}

pub(crate) fn register(incoming: &Incoming<'_>, authorization: Authorization) -> Register {
    let message = incoming.message;
    let contacts = message.values(HeaderName::Contact);
    Register {
        to: party_of(message, HeaderName::To),
        domain: domain(message.request_uri().unwrap_or_default()),
        call_id: message.call_id().to_owned(),
        cseq: message.cseq().0,
        bindings: contacts.iter().filter_map(|contact| binding(contact)).collect(),
        wildcard: contacts.iter().any(|contact| contact.trim() == "*"),
        expires_s: message.header(HeaderName::Expires).and_then(|expires| seconds(&expires)),
        source: Client::of(&incoming.home()).to_string(),
        credentials: authorization.credentials,
        path: message.values_named("Path").into_iter().map(String::from).collect(),
        barred_s: authorization.barred_s,
    }
}

pub(crate) fn other_request(incoming: &Incoming<'_>, authorization: Authorization) -> OtherRequest {
    let message = incoming.message;
    OtherRequest {
        method: incoming.method().to_owned(),
        request_uri: message.request_uri().unwrap_or_default().to_owned(),
        callee: party("", message.request_uri().unwrap_or_default()),
        from: party_of(message, HeaderName::From),
        to: party_of(message, HeaderName::To),
        credentials: authorization.credentials,
        source: Client::of(&incoming.flow).to_string(),
        barred_s: authorization.barred_s,
    }
}

/// URI of the first Contact: the sender's remote target.
pub(crate) fn contact_uri(message: &Message<'_>) -> Option<String> {
    let contacts = message.values(HeaderName::Contact);
    Some(name_addr(contacts.first()?)?.uri.to_owned())
}

fn party_of(message: &Message<'_>, name: HeaderName) -> Party {
    let value = message.header(name).unwrap_or_default();
    name_addr(&value).map(|it| party(it.display, it.uri)).unwrap_or_default()
}

fn party(display: &str, uri: &str) -> Party {
    let address = SipUri::parse(uri).map(|it| it.address_of_record()).unwrap_or_default();
    // Without needless escapes, as the address has it: who is charged for a prefix, or barred by
    // one, could write it in another way.
    let user = SipUri::parse(&address).and_then(|it| it.user).unwrap_or_default().to_owned();
    Party { display: display.to_owned(), uri: uri.to_owned(), user, address_of_record: address }
}

/// The host of a SIP URI as an address of record has it.
fn domain(uri: &str) -> String {
    let host = SipUri::parse(uri).map(|uri| SipUri { user: None, ..uri }.address_of_record());
    host.as_deref().and_then(|host| host.split_once(':')).map_or("", |(_, host)| host).to_owned()
}

fn binding(contact: &str) -> Option<Binding> {
    let contact = name_addr(contact).filter(|contact| contact.uri != "*")?;
    Some(Binding {
        uri: contact.uri.to_owned(),
        q_thousandths: contact.param("q").and_then(q_thousandths).unwrap_or(Q_DEFAULT),
        expires_s: contact.param("expires").and_then(seconds),
        instance: contact.param("+sip.instance").map(|it| it.trim_matches('"').to_owned()),
        // RFC 5626 §6: without an instance it says nothing.
        reg_id: contact.param("reg-id").and_then(|it| it.parse().ok()).filter(|id| *id > 0),
    })
}

/// A count of seconds; one too large for us is as long as we can count.
fn seconds(text: &str) -> Option<u32> {
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| text.parse().unwrap_or(u32::MAX))
}

/// A qvalue (RFC 3261 §25.1): `0.5`, `1`, `0.125`.
fn q_thousandths(text: &str) -> Option<u16> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let is_number = fraction.len() <= 3 && fraction.bytes().all(|byte| byte.is_ascii_digit());
    let whole: u16 = whole.parse().ok().filter(|_| is_number)?;
    let thousandths: u16 = format!("{fraction:0<3}").parse().ok()?;
    Some(whole.checked_mul(1000)?.checked_add(thousandths)?.min(1000))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_contact_becomes_a_binding() {
        let found = binding("\"A\" <sip:a@192.0.2.1:5070;ob>;q=0.25;expires=60").unwrap();
        assert_eq!(found.uri, "sip:a@192.0.2.1:5070;ob");
        assert_eq!((found.q_thousandths, found.expires_s), (250, Some(60)));
        let plain = binding("<sip:a@b>;expires=99999999999").unwrap();
        assert_eq!((plain.q_thousandths, plain.expires_s), (1000, Some(u32::MAX)));
        assert_eq!(binding("*"), None);
        let phone = "<sip:a@b>;reg-id=1;+sip.instance=\"<urn:uuid:0C67446E>\"";
        let phone = binding(phone).unwrap();
        let instance = phone.instance.as_deref();
        assert_eq!((instance, phone.reg_id), (Some("<urn:uuid:0C67446E>"), Some(1)));
    }

    #[test]
    fn a_domain_is_written_as_in_an_address_of_record() {
        for (uri, expected) in [
            ("sip:Example.Test:5070;transport=tcp", "example.test"),
            ("sip:alice@example.test", "example.test"),
            ("sip:[2001:DB8::1]:5060", "[2001:db8::1]"),
            ("tel:+49", ""),
        ] {
            assert_eq!(domain(uri), expected, "{uri}");
        }
    }

    #[test]
    fn qvalues_are_thousandths() {
        let read = [("1", 1000), ("1.000", 1000), ("0", 0), ("0.5", 500), ("0.125", 125)];
        for (text, thousandths) in read {
            assert_eq!(q_thousandths(text), Some(thousandths), "{text}");
        }
        for text in ["", "x", "0.1234", "-1", "0.x"] {
            assert_eq!(q_thousandths(text), None, "{text}");
        }
    }
}
