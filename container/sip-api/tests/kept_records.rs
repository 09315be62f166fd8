//! Rows of shared tables as they were in the first format: they must be read for ever.

use resilee_sbb::Timestamp;
use resilee_sip_api::{Account, Contact, Registrations, UsedNonce};
use resilee_test_kit::kept_records::assert_read;

#[test]
fn registrations_of_the_first_format_are_read() {
    let time = Timestamp::from_millis(1_700_000_000_123);
    let contact = Contact {
        uri: "sip:alice@192.0.2.1:5062;transport=udp".to_owned(),
        source: "192.0.2.1:5062".to_owned(),
        q_thousandths: 700,
        expires_at: time,
        call_id: "a84b4c76e66710".to_owned(),
        cseq: 2,
        ..Contact::default()
    };
    let nonce = UsedNonce { nonce: "n0nce".to_owned(), count: 3, cseq: 2, until: time };
    let row = Registrations { contacts: vec![contact], nonces: vec![nonce] };
    assert_read(include_str!("kept_records/first.txt"), "registrations", &row);
}

/// A profile, which an operator may have written.
#[test]
fn accounts_of_the_first_format_are_read() {
    let account = Account::with_password("alice", "example.org", "secret");
    assert_read(include_str!("kept_records/first.txt"), "account", &account);
}
