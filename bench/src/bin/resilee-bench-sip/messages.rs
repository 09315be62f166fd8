//! The messages that are worked on.

pub fn invite() -> Vec<u8> {
    let body = description();
    let head = format!(
        "INVITE sip:bob@example.test SIP/2.0\r\n\
         Via: SIP/2.0/UDP 192.0.2.10:5060;rport;branch=z9hG4bKPjcLKRxDLcSFlBhBxoVDEv\r\n\
         Max-Forwards: 70\r\nFrom: \"Alice\" <sip:alice@example.test>;tag=9fxced76sl\r\n\
         To: \"Bob\" <sip:bob@example.test>\r\nContact: <sip:alice@192.0.2.10:5060;ob>\r\n\
         Call-ID: 3848276298220188511@192.0.2.10\r\nCSeq: 28763 INVITE\r\n\
         Allow: PRACK, INVITE, ACK, BYE, CANCEL, UPDATE, INFO, NOTIFY, REFER, OPTIONS\r\n\
         Supported: replaces, 100rel, timer, norefersub\r\nSession-Expires: 1800\r\n\
         Min-SE: 90\r\nUser-Agent: Softphone 3.21.1\r\nContent-Type: application/sdp\r\n\
         Content-Length: {:>3}\r\n",
        body.len()
    );
    padded(head, body, 933)
}

/// `route` is a header line, or nothing.
pub fn bye(route: &str) -> Vec<u8> {
    let head = format!(
        "BYE sip:bob@192.0.2.20:5060;ob SIP/2.0\r\n\
         Via: SIP/2.0/UDP 192.0.2.10:5060;rport;branch=z9hG4bKPjHangUp\r\nMax-Forwards: 70\r\n\
         From: \"Alice\" <sip:alice@example.test>;tag=9fxced76sl\r\n\
         To: \"Bob\" <sip:bob@example.test>;tag=314159\r\n\
         {route}Call-ID: 3848276298220188511@192.0.2.10\r\nCSeq: 28764 BYE\r\n\
         User-Agent: Softphone 3.21.1\r\nContent-Length: 0\r\n"
    );
    padded(head, "", if route.is_empty() { 464 } else { 480 })
}

/// What a node answers to the INVITE.
pub fn answer() -> Vec<u8> {
    let body = description();
    let head = format!(
        "SIP/2.0 200 OK\r\n\
         Via: SIP/2.0/UDP 192.0.2.10:5060;rport=5060;received=192.0.2.10;\
         branch=z9hG4bKPjcLKRxDLcSFlBhBxoVDEv\r\n\
         Record-Route: <sip:198.51.100.1:5060;lr;c=000000000000000a.fee9460723f0b85a>\r\n\
         From: \"Alice\" <sip:alice@example.test>;tag=9fxced76sl\r\n\
         To: \"Bob\" <sip:bob@example.test>;tag=314159\r\n\
         Call-ID: 3848276298220188511@192.0.2.10\r\nCSeq: 28763 INVITE\r\n\
         Contact: <sip:bob@192.0.2.20:5060;ob>\r\n\
         Allow: PRACK, INVITE, ACK, BYE, CANCEL, UPDATE, INFO, NOTIFY, REFER, OPTIONS\r\n\
         Supported: replaces, 100rel, timer, norefersub\r\nContent-Type: application/sdp\r\n\
         Content-Length: {:>3}\r\n",
        body.len()
    );
    padded(head, body, 933)
}

/// A further header makes the message as long as others measured it.
fn padded(head: String, body: &str, bytes: usize) -> Vec<u8> {
    let room = bytes - head.len() - body.len() - 2 - "X-Pad: \r\n".len();
    let message = format!("{head}X-Pad: {}\r\n\r\n{body}", "x".repeat(room));
    assert_eq!(message.len(), bytes);
    message.into_bytes()
}

fn description() -> &'static str {
    "v=0\r\no=alice 2890844526 2890844526 IN IP4 192.0.2.10\r\ns=-\r\n\
                c=IN IP4 192.0.2.10\r\nt=0 0\r\nm=audio 49170 RTP/AVP 0 8 101\r\n\
                a=rtpmap:0 PCMU/8000\r\na=rtpmap:8 PCMA/8000\r\n\
                a=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-15\r\na=sendrecv\r\n"
}
