//! Messages the tests share; the odd ones are made after cases of RFC 4475 and RFC 5118.

use std::path::PathBuf;

/// Adds the Content-Length and turns line ends into CRLF.
pub fn wire(head: &str, body: &[u8]) -> Vec<u8> {
    let head = head.trim_start().replace('\n', "\r\n");
    let mut bytes = format!("{head}Content-Length : {}\r\n\r\n", body.len()).into_bytes();
    bytes.extend_from_slice(body);
    bytes
}

pub fn invite() -> Vec<u8> {
    wire(
        "
INVITE sip:bob@biloxi.com SIP/2.0
Via: SIP/2.0/UDP pc33.atlanta.com;branch=z9hG4bK776asdhds;rport
Max-Forwards: 70
To: Bob <sip:bob@biloxi.com>
From: Alice <sip:alice@atlanta.com>;tag=1928301774
Call-ID: a84b4c76e66710@pc33.atlanta.com
CSeq: 314159 INVITE
Contact: <sip:alice@pc33.atlanta.com>
Content-Type: application/sdp
",
        b"v=0\r\n",
    )
}

pub fn ringing() -> Vec<u8> {
    wire(
        "
SIP/2.0 180 Es klingelt
Via: SIP/2.0/UDP lb.example.test;branch=z9hG4bK1
Via: SIP/2.0/UDP pc33.atlanta.com;branch=z9hG4bK776asdhds;received=192.0.2.1
Record-Route: <sip:lb.example.test;lr>
To: Bob <sip:bob@biloxi.com>;tag=a6c85cf
From: Alice <sip:alice@atlanta.com>;tag=1928301774
Call-ID: a84b4c76e66710
CSeq: 314159 INVITE
",
        b"",
    )
}

/// After RFC 4475 §3.1.1.1: white space, folds, compact names, odd letter case.
pub fn tortuous() -> Vec<u8> {
    wire(
        r#"
INVITE sip:vivekg@chair-dnrc.example.com;unknownparam SIP/2.0
TO :
 sip:vivekg@chair-dnrc.example.com ;   tag    = 1918181833n
from   : "J Rosenberg \\\""       <sip:jdrosen@example.com>
  ;
  tag = 98asjd8
MaX-fOrWaRdS: 0068
Call-ID: wsinv.ndaksdj@192.0.2.1
cseq: 0009
  INVITE
Via  : SIP  /   2.0
 /UDP
    192.0.2.2;branch=390skdjuw
s :
NewFangledHeader:   newfangled value
 continued newfangled value
UnknownHeaderWithUnusualValue: ;;,,;;,;
Content-Type: application/sdp
Route:
 <sip:services.example.com;lr;unknownwith=value;unknown-no-value>
v:  SIP  / 2.0  / TCP     spindle.example.com   ;
  branch  =   z9hG4bK9ikj8  ,
 SIP  /    2.0   / UDP  192.168.255.111   ; branch=
 z9hG4bK30239
m:"Quoted string \"\"" <sip:jdrosen@example.com> ; newparam =
      newvalue ;
  secondparam ; q = 0.33
"#,
        b"v=0\r\no=mhandley 29739 7272939 IN IP4 192.0.2.3\r\n",
    )
}

/// After RFC 4475 §3.1.1.8: two requests in one datagram, compact names.
pub fn two_requests() -> Vec<u8> {
    let head = "
REGISTER sip:example.com SIP/2.0
t: sip:j.user@example.com
f: sip:j.user@example.com;tag=43251j3j324
i: dblreq.0ha0isndaksdj99sdfafnl3lk233412
m: sip:j.user@host.example.com
CSeq: 8 REGISTER
v: SIP/2.0/UDP 192.0.2.125;branch=z9hG4bKkdjuw23492
l: 0
";
    let mut bytes = head.trim_start().replace('\n', "\r\n").into_bytes();
    bytes.extend_from_slice(b"\r\n\r\n");
    bytes.extend_from_slice(&invite());
    bytes
}

/// After RFC 4475 §3.1.1.11: a body that is no text.
pub fn binary_body() -> Vec<u8> {
    wire(
        "
MESSAGE sip:kumiko@example.org SIP/2.0
Via: SIP/2.0/UDP 127.0.0.1:5070;branch=z9hG4bK-d87543-4dade06d0bdb11ee-1--d87543-;rport
Max-Forwards: 70
Route: <sip:127.0.0.1:5080>, <sip:next.example.org;lr>
Call-ID: 3d9485ad0c49859b@Zmx1ZmZ5LW1hYy0xNi5sb2NhbA..
Content-Type: multipart/mixed;boundary=7a9cbec02ceef655
CSeq: 1 MESSAGE
From: \"\u{d6}l\" <sip:fluffy@example.com>;tag=2fb0dcc9
To: <sip:kumiko@example.org>
",
        &[0xff, 0xfe, 0, b'\r', b'\n', b'\r', b'\n', 0x80],
    )
}

/// After RFC 5118 §4: IPv6 in Request-URI, Via and Contact.
pub fn ipv6() -> Vec<u8> {
    wire(
        "
BYE sip:user@[2001:db8::10]:5070 SIP/2.0
Via: SIP/2.0/UDP [2001:db8::9:1]:5066;received=[2001:db8::9:255];branch=z9hG4bKas3
Via: SIP/2.0/TCP 192.0.2.9, SIP/2.0/TLS [::1];branch=z9hG4bKx
Max-Forwards: 70
To: sip:user@example.com;tag=2
From: sip:user@[2001:db8::20];tag=81x2
Call-ID: SSG9559905523997077@hlau_4100
Contact: <sip:a@[2001:db8::1];gr=urn:uuid:1-2>;+sip.instance=\"<urn:uuid:f,81>\"
CSeq: 8612 BYE
",
        b"",
    )
}

/// The vectors of RFC 4475 and RFC 5118, byte by byte as in the archives of the RFCs.
pub fn vectors() -> Vec<Vec<u8>> {
    let folder = |rfc: &str| [env!("CARGO_MANIFEST_DIR"), "tests", rfc].iter().collect::<PathBuf>();
    let files = ["rfc4475", "rfc5118"].map(|rfc| std::fs::read_dir(folder(rfc)).unwrap());
    let mut paths: Vec<_> = files.into_iter().flatten().map(|file| file.unwrap().path()).collect();
    paths.sort();
    paths.into_iter().map(|path| std::fs::read(path).unwrap()).collect()
}

pub fn all() -> Vec<Vec<u8>> {
    vec![invite(), ringing(), tortuous(), two_requests(), binary_body(), ipv6()]
}
