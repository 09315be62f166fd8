//! Which of the failures of a forked request its sender gets (RFC 3261 §16.7 step 6), with the
//! challenges of all targets that want a password (step 7). A 503 becomes a 500.
//!
//! Not here: redirection (a 3xx goes upstream as it is).

use resilee_sip_proto::transaction::RESPONSE_KEPT_MAX;
use resilee_sip_proto::{Edit, HeaderName, MESSAGE_BYTES_MAX, Message};
use serde::{Deserialize, Serialize};

/// The final failure of one target.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Failure {
    /// Status code, 300 to 699.
    pub(crate) status: u16,
    /// The response without our Via; empty: the target did not answer.
    #[serde(with = "serde_bytes")]
    pub(crate) response: Vec<u8>,
}

impl Failure {
    /// The same for an INVITE: one that is too large to be kept is only its status, for a response
    /// of our own. As one that means nothing without its headers it says that no answer came that
    /// could be passed on (§21.5.3).
    pub(crate) fn of_invite(status: u16, response: Vec<u8>) -> Self {
        match status {
            _ if response.len() <= RESPONSE_KEPT_MAX => Failure { status, response },
            300..=399 | 401 | 407 => Failure { status: 502, response: Vec::new() },
            503 => Failure { status: 500, response: Vec::new() },
            _ => Failure { status, response: Vec::new() },
        }
    }

    /// RFC 3261 §16.8: a target that never answered counts as 408.
    pub(crate) fn no_answer() -> Self {
        Failure { status: 408, response: Vec::new() }
    }
}

/// The best of them: a 6xx, else the lowest class, and in it what helps the sender most.
pub(crate) fn best<'a>(failures: impl Iterator<Item = &'a Failure> + Clone) -> Option<Failure> {
    let best = failures.clone().min_by_key(|failure| rank(failure.status))?;
    let is_challenge = |failure: &Failure| matches!(failure.status, 401 | 407);
    let others = failures.filter(|other| is_challenge(other) && !std::ptr::eq(*other, best));
    let response = match is_challenge(best) {
        true => with_challenges(&best.response, others),
        false => best.response.clone(),
    };
    Some(own_or_general(Failure { status: best.status, response }))
}

/// That a target is overloaded says nothing of this server: a proxy in front would go round it
/// (RFC 3261 §16.7 step 6).
fn own_or_general(failure: Failure) -> Failure {
    let message = Message::parse(&failure.response).ok().filter(|_| failure.status == 503);
    let Some(message) = message else { return failure };
    let rest = Edit::new(&message).remove("Retry-After").finish();
    let end = rest.iter().position(|byte| *byte == b'\n').unwrap_or_default();
    let end = if rest[..end].ends_with(b"\r") { end - 1 } else { end };
    let response = [b"SIP/2.0 500 Server Internal Error", &rest[end..]].concat();
    Failure { status: 500, response }
}

/// A challenge with those of the other targets: the sender answers all of them in one request.
fn with_challenges<'a>(response: &[u8], others: impl Iterator<Item = &'a Failure>) -> Vec<u8> {
    let mut others = others.filter_map(|other| Message::parse(&other.response).ok()).peekable();
    let message = Message::parse(response).ok().filter(|_| others.peek().is_some());
    let Some(message) = message else { return response.to_vec() };
    let mut edit = Edit::new(&message);
    for (name, _, value) in others.flat_map(|other| other.headers().collect::<Vec<_>>()) {
        if matches!(name, HeaderName::WwwAuthenticate | HeaderName::ProxyAuthenticate) {
            edit.add(name.long(), &value);
        }
    }
    let merged = edit.finish();
    if merged.len() <= MESSAGE_BYTES_MAX { merged } else { response.to_vec() }
}

fn rank(status: u16) -> (u16, bool, bool) {
    let class = if status >= 600 { 0 } else { status / 100 };
    let tells_what_to_change = matches!(status, 401 | 407 | 415 | 420 | 484);
    // A target that did not answer, or was cancelled, says less than one that did.
    let says_little = matches!(status, 408 | 487);
    (class, !tells_what_to_change, says_little)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn best_of(statuses: &[u16]) -> u16 {
        let failure = |status: &u16| Failure { status: *status, response: Vec::new() };
        let failures: Vec<_> = statuses.iter().map(failure).collect();
        best(failures.iter()).unwrap().status
    }

    #[test]
    fn the_best_failure_is_chosen_rfc_3261_16_7_step_6() {
        assert_eq!(best_of(&[486, 603, 302]), 603);
        assert_eq!(best_of(&[500, 486, 302]), 302);
        assert_eq!(best_of(&[408, 486]), 486);
        assert_eq!(best_of(&[487, 486, 407]), 407);
        assert_eq!(best_of(&[503, 404]), 404);
    }

    fn challenge(status: u16, challenges: &str) -> Failure {
        let text = format!(
            "SIP/2.0 {status} Who Are You\r\nVia: SIP/2.0/UDP a;branch=z9hG4bK1\r\n\
             From: <sip:a@b>;tag=1\r\nTo: <sip:c@d>;tag=2\r\nCall-ID: x\r\nCSeq: 1 INVITE\r\n\
             {challenges}Content-Length: 0\r\n\r\n"
        );
        Failure { status, response: text.into_bytes() }
    }

    #[test]
    fn a_challenge_has_those_of_all_targets_rfc_3261_16_7_step_7() {
        let one = challenge(407, "Proxy-Authenticate: Digest realm=\"one\", nonce=\"a, b\"\r\n");
        let two = challenge(
            401,
            "WWW-Authenticate: Digest realm=\"two\"\r\nProxy-Authenticate: Digest realm=\"3\"\r\n",
        );
        let busy = Failure { status: 486, response: Vec::new() };
        let best = best([&busy, &one, &two].into_iter()).expect("there are some");
        assert_eq!(best.status, 407);
        let message = Message::parse(&best.response).expect("it can be read");
        let of_proxy = message.values(HeaderName::ProxyAuthenticate);
        assert_eq!(of_proxy, ["Digest realm=\"one\", nonce=\"a, b\"", "Digest realm=\"3\""]);
        let of_server = message.values(HeaderName::WwwAuthenticate);
        assert_eq!(of_server, ["Digest realm=\"two\""]);
    }

    #[test]
    fn a_single_challenge_stays_as_it_came() {
        let one = challenge(401, "WWW-Authenticate: Digest realm=\"two\"\r\n");
        let best = best([&one].into_iter()).expect("there is one");
        assert_eq!(best, one);
    }
}
