//! Both ends of a dialog, as our Record-Route says them: where the request that began it came from
//! and where it went, signed for its Call-ID and its sender's tag. Of a call it is used if no node
//! has it; other dialogs (SUBSCRIBE, REFER) have no state here, and are routed by it alone.
//!
//! A node that has lost the call can still send a request within it to the other end and nowhere
//! else, as one that has it does (`leg.rs`): neither Request-URI nor Route of its sender is obeyed.
//! Which end sent it, its tags say. An end that has moved since (INVITE, UPDATE) is not known.

use crate::element::Element;
use resilee_sip_proto::{HeaderName, Message, SipUri, name_addr};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// Which dialogs the ends are those of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dialogs {
    /// Of a call.
    Call,
    /// Of another request.
    Other,
}

impl Dialogs {
    /// Those that a request begins.
    pub(crate) fn of(request: &Message<'_>) -> Self {
        if request.method() == Some("INVITE") { Dialogs::Call } else { Dialogs::Other }
    }

    /// The parameter of our Record-Route.
    pub(crate) fn parameter(self) -> &'static str {
        match self {
            Dialogs::Call => "e",
            Dialogs::Other => "s",
        }
    }
}

/// Hexadecimal digits of a port.
const PORT_DIGITS: usize = 4;

/// Where the ends of a call were at its set-up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ends {
    pub(crate) caller: SocketAddr,
    pub(crate) callee: SocketAddr,
}

/// The ends, as the sender of a request sees them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Between {
    pub(crate) sender: SocketAddr,
    pub(crate) receiver: SocketAddr,
}

impl Between {
    /// Whether a request from there is its sender's: a NAT may give it another port.
    pub(crate) fn is_sent_from(&self, source: SocketAddr) -> bool {
        self.sender.ip().to_canonical() == source.ip().to_canonical()
    }
}

impl Ends {
    /// The value of the parameter.
    pub(crate) fn token(&self, element: &Element, request: &Message<'_>) -> String {
        let (caller, callee) = (digits(self.caller), digits(self.callee));
        let tag = request.from_tag().unwrap_or_default();
        let mac = mac(element, Dialogs::of(request), request.call_id(), &tag, (&caller, &callee));
        format!("{caller}.{callee}.{mac:016x}")
    }

    /// Between whom a request is, by our topmost Route; none unless we signed it for this call.
    pub(crate) fn of(
        element: &Element,
        request: &Message<'_>,
        dialogs: Dialogs,
    ) -> Option<Between> {
        let routes = request.values(HeaderName::Route);
        let uri = SipUri::parse(name_addr(routes.first()?)?.uri)?;
        let mut parts = uri.param(dialogs.parameter())?.split('.');
        let (caller, callee, signed) = (parts.next()?, parts.next()?, parts.next()?);
        let signed = u64::from_str_radix(signed, 16).ok().filter(|_| parts.next().is_none())?;
        let call_id = request.call_id();
        let is_caller = |tag: &str| mac(element, dialogs, call_id, tag, (caller, callee)) == signed;
        let ends = Ends { caller: address(caller)?, callee: address(callee)? };
        if is_caller(&request.from_tag()?) {
            Some(Between { sender: ends.caller, receiver: ends.callee })
        } else if is_caller(&request.to_tag()?) {
            Some(Between { sender: ends.callee, receiver: ends.caller })
        } else {
            None
        }
    }
}

fn mac(
    element: &Element,
    dialogs: Dialogs,
    call_id: &str,
    caller_tag: &str,
    (caller, callee): (&str, &str),
) -> u64 {
    let parts = [call_id, caller_tag, caller, callee].map(str::as_bytes);
    let purpose = match dialogs {
        Dialogs::Call => "ends",
        Dialogs::Other => "ends of no call",
    };
    element.secret.hash64(purpose, &parts)
}

/// Address and port in hexadecimal: nothing that a URI would have to escape.
fn digits(address: SocketAddr) -> String {
    let port = address.port();
    match address.ip() {
        IpAddr::V4(ip) => format!("{:08x}{port:04x}", ip.to_bits()),
        IpAddr::V6(ip) => format!("{:032x}{port:04x}", ip.to_bits()),
    }
}

fn address(digits: &str) -> Option<SocketAddr> {
    let (ip, port) = digits.split_at_checked(digits.len().checked_sub(PORT_DIGITS)?)?;
    let port = u16::from_str_radix(port, 16).ok()?;
    let ip = match ip.len() {
        8 => IpAddr::V4(Ipv4Addr::from_bits(u32::from_str_radix(ip, 16).ok()?)),
        32 => IpAddr::V6(Ipv6Addr::from_bits(u128::from_str_radix(ip, 16).ok()?)),
        _ => return None,
    };
    Some(SocketAddr::new(ip, port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_read_back() {
        for text in ["192.0.2.10:40000", "[2001:db8::7]:5060", "0.0.0.0:0"] {
            let one: SocketAddr = text.parse().unwrap();
            assert_eq!(address(&digits(one)), Some(one));
        }
        for text in ["", "13c4", "c000020a", "c000020a13c4ff", "g000020a13c4", "é00020a13c4"] {
            assert_eq!(address(text), None, "{text}");
        }
    }
}
