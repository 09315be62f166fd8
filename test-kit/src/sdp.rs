//! As much SDP as two phones with PCMU need (RFC 8866, RFC 3264): one audio stream, one address.
//! Not here: codecs to choose from, ICE, several streams, hold.

use std::net::{IpAddr, SocketAddr};

/// Media type of a body in SDP.
pub const CONTENT_TYPE: &str = "application/sdp";

/// A session with PCMU at `rtp`, or with a refused stream if there is no socket for it.
pub fn session(user: &str, session_id: u64, host: IpAddr, rtp: Option<SocketAddr>) -> String {
    let host = rtp.map_or(host, |rtp| rtp.ip());
    let family = if host.is_ipv4() { "IP4" } else { "IP6" };
    let port = rtp.map_or(0, |rtp| rtp.port());
    let user = if user.is_empty() || user.contains(char::is_whitespace) { "-" } else { user };
    format!(
        "v=0\r\no={user} {session_id} 1 IN {family} {host}\r\ns=-\r\nc=IN {family} {host}\r\n\
         t=0 0\r\nm=audio {port} RTP/AVP 0\r\na=rtpmap:0 PCMU/8000\r\na=ptime:20\r\n"
    )
}

/// Where the other side wants its audio; `None` if it wants none or says it in a way not known
/// here.
pub fn audio_address(body: &[u8]) -> Option<SocketAddr> {
    let text = std::str::from_utf8(body).ok()?;
    let mut session_host = None;
    let mut audio: Option<(u16, Option<IpAddr>)> = None;
    let mut is_audio = false;
    for line in text.lines() {
        let Some((kind, value)) = line.split_once('=') else { continue };
        match kind {
            "c" if is_audio => audio = audio.map(|(port, host)| (port, address(value).or(host))),
            "c" if audio.is_none() => session_host = address(value),
            "m" => {
                let mut words = value.split_ascii_whitespace();
                is_audio = words.next() == Some("audio") && audio.is_none();
                if is_audio {
                    audio = Some((words.next()?.parse().ok()?, None));
                }
            }
            _ => {}
        }
    }
    let (port, host) = audio?;
    (port != 0).then_some(SocketAddr::new(host.or(session_host)?, port))
}

fn address(value: &str) -> Option<IpAddr> {
    value.split_ascii_whitespace().nth(2)?.split('/').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_reads_back_from_its_session() {
        for text in ["127.0.0.1:4000", "[::1]:4000"] {
            let rtp: SocketAddr = text.parse().unwrap();
            let body = session("alice", 7, rtp.ip(), Some(rtp));
            assert_eq!(audio_address(body.as_bytes()), Some(rtp));
        }
    }

    #[test]
    fn a_refused_stream_has_no_address() {
        let body = session("a b", 7, IpAddr::from([127, 0, 0, 1]), None);
        assert!(body.contains("o=- 7"));
        assert_eq!(audio_address(body.as_bytes()), None);
        assert_eq!(audio_address(b"\xff"), None);
        assert_eq!(audio_address(b"m=audio 40 RTP/AVP 0\r\n"), None);
    }

    #[test]
    fn the_address_of_the_stream_goes_before_that_of_the_session() {
        let body = b"c=IN IP4 10.0.0.1\nm=video 8 x 9\nc=IN IP4 10.0.0.2\nm=audio 40 RTP/AVP 0\n\
            c=IN IP4 10.0.0.3\n";
        assert_eq!(audio_address(body), Some("10.0.0.3:40".parse().unwrap()));
    }
}
