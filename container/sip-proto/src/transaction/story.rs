//! Words the tests of the four machines share: moments, messages, outputs.

use super::{Outputs, TimerConfig, TransactionOutput};
use resilee_sbb::Timestamp;

/// T1 = 500 ms, UDP.
pub fn udp() -> TimerConfig {
    TimerConfig::default()
}

pub fn tcp() -> TimerConfig {
    TimerConfig { reliable: true, ..TimerConfig::default() }
}

/// A moment, in milliseconds after the story began.
pub fn at(ms: u64) -> Timestamp {
    Timestamp::from_millis(1_000_000 + ms)
}

pub fn invite() -> Vec<u8> {
    b"INVITE sip:bob@b SIP/2.0\r\nVia: SIP/2.0/UDP lb;branch=z9hG4bK1\r\nMax-Forwards: 69\r\n\
      From: <sip:a@a>;tag=1\r\nTo: <sip:bob@b>\r\nCall-ID: c\r\nCSeq: 1 INVITE\r\n\r\n"
        .to_vec()
}

/// A response to [`invite`].
pub fn response(status: u16) -> Vec<u8> {
    let text = format!(
        "SIP/2.0 {status} X\r\nVia: SIP/2.0/UDP lb;branch=z9hG4bK1\r\nFrom: <sip:a@a>;tag=1\r\n\
         To: <sip:bob@b>;tag={status}\r\nCall-ID: c\r\nCSeq: 1 INVITE\r\n\r\n"
    );
    text.into_bytes()
}

/// The same, so large that it is not kept.
pub fn large_response(status: u16) -> Vec<u8> {
    let mut large = response(status);
    large.resize(large.len() + super::RESPONSE_KEPT_MAX, b'x');
    large
}

/// Short names of the outputs: `send INVITE`, `user 200`, `timeout`, ...
pub fn told(outputs: &Outputs) -> Vec<String> {
    outputs.iter().map(tell).collect()
}

fn tell(output: &TransactionOutput) -> String {
    match output {
        TransactionOutput::Send(bytes) => format!("send {}", first_word(bytes)),
        TransactionOutput::ToUser(bytes) => format!("user {}", first_word(bytes)),
        TransactionOutput::Timeout => "timeout".to_owned(),
        TransactionOutput::Terminated => "terminated".to_owned(),
    }
}

/// The method or the status.
fn first_word(bytes: &[u8]) -> String {
    let text = String::from_utf8(bytes.to_vec()).unwrap();
    let text = text.strip_prefix("SIP/2.0 ").unwrap_or(&text);
    text.split(' ').next().unwrap().to_owned()
}
