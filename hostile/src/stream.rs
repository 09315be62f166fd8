//! What a client sends over TCP. The first byte says in how large pieces it comes, and whether a
//! node answers.

use crate::alone::{START, address};
use resilee_sbb::Timestamp;
use resilee_sip_proto::framing::{Frame, Framing, FramingError, STREAM_MESSAGE_BYTES_MAX};
use resilee_sip_proto::{Message, TimerConfig, build};
use resilee_sip_tcp::{TcpClients, TcpInput, TcpLimits, TcpOutput};
use std::time::Duration;

/// Nothing of a client is there any more after this, unless it goes on.
const LONG: Duration = Duration::from_secs(10_000);
/// Timeouts until then, for each message of the stream.
const TIMEOUTS_MAX: usize = 32;

/// Pieces change nothing; what is cut out is one message each; the client is forgotten.
///
/// # Panics
/// A rule is broken.
pub fn stream(bytes: &[u8]) {
    let Some((first, stream)) = bytes.split_first() else { return };
    let piece = usize::from(first & 0x3f) + 1;
    let (whole, error) = cut(stream, stream.len().max(1));
    let (pieces, same_error) = cut(stream, piece);
    assert_eq!((&whole, error), (&pieces, same_error));
    for frame in &whole {
        let Frame::Message(message) = frame else { continue };
        assert!(message.len() <= STREAM_MESSAGE_BYTES_MAX);
        if let Ok(read) = Message::parse(message) {
            assert_eq!(read.bytes().len(), message.len(), "nothing before or behind it");
        }
    }
    serve(stream, piece, first & 0x80 != 0);
}

/// The frames, and what ended them.
fn cut(stream: &[u8], piece: usize) -> (Vec<Frame>, Option<FramingError>) {
    let (mut framing, mut frames) = (Framing::default(), Vec::new());
    for bytes in stream.chunks(piece) {
        framing.handle_bytes(bytes);
        loop {
            match framing.poll_frame() {
                Ok(Some(frame)) => frames.push(frame),
                Ok(None) => break,
                Err(error) => return (frames, Some(error)),
            }
        }
    }
    (frames, None)
}

fn serve(stream: &[u8], piece: usize, answers: bool) {
    let mut clients = TcpClients::new(TcpLimits::default(), TimerConfig::default());
    let (remote, local) = (address("192.0.2.10:40000"), address("198.51.100.1:5060"));
    let connection = clients.accept(START, remote, local).expect("it is the first");
    let mut messages = 1;
    for bytes in stream.chunks(piece) {
        clients.handle_input(START, TcpInput::Received { connection, bytes });
        messages += on_outputs(&mut clients, START, answers);
    }
    for _ in 0..TIMEOUTS_MAX * messages {
        let Some(at) = clients.poll_timeout().filter(|at| *at < START + LONG) else { break };
        clients.handle_input(at, TcpInput::Timeout);
        on_outputs(&mut clients, at, false);
        assert!(clients.poll_timeout().is_none_or(|next| next > at), "a timer in the past");
    }
    assert_eq!((clients.connections(), clients.remembered()), (0, (0, 0)));
}

/// How many messages a node got; it may answer each, and send it to the client as its own.
fn on_outputs(clients: &mut TcpClients, now: Timestamp, answers: bool) -> usize {
    let mut messages = 0;
    while let Some(output) = clients.poll_output() {
        let TcpOutput::Message { flow, bytes } = output else { continue };
        messages += 1;
        if !answers {
            continue;
        }
        // It is said once: what the client answers to itself would go round for ever.
        clients.handle_input(now, TcpInput::Send { flow, bytes: &bytes });
        let Ok(request) = Message::parse(&bytes) else { continue };
        if request.is_request() && request.method() != Some("ACK") {
            for status in [180, 486] {
                let bytes = build::response(&request, status, "", Some("t"), &[], &[]);
                clients.handle_input(now, TcpInput::Send { flow, bytes: &bytes });
            }
        }
    }
    messages
}
