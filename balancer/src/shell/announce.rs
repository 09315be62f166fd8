//! Tells the neighbours on a link that an address is at this host now: gratuitous ARP (RFC 5227
//! §2.3, an ARP announcement) and the unsolicited Neighbor Advertisement (RFC 4861 §7.2.6).

use pnet_datalink::{Channel, Config, NetworkInterface};
use socket2::{Domain, Protocol, SockAddr, Socket, Type};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddrV6};

const BROADCAST: [u8; 6] = [0xff; 6];

/// All nodes on the link (RFC 4291 §2.7.1).
const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);

/// Says once on the interface that `ip` is there. On one without neighbours, such as the loopback
/// interface, there is nobody to be told.
pub(super) fn announce(interface: &str, ip: IpAddr) -> io::Result<()> {
    let known = pnet_datalink::interfaces().into_iter().find(|it| it.name == interface);
    let interface = known.ok_or_else(|| io::Error::other("the interface is gone"))?;
    let Some(mac) = interface.mac.map(|mac| mac.octets()).filter(|mac| *mac != [0; 6]) else {
        return Ok(());
    };
    match ip {
        IpAddr::V4(ip) => send_frame(&interface, &arp_announcement(mac, ip)),
        IpAddr::V6(ip) => send_advertisement(interface.index, ip, &advertisement(mac, ip)),
    }
}

/// Whether this process could say so at all. On an interface without neighbours it would not.
pub(super) fn rehearse(ip: IpAddr) -> io::Result<()> {
    let socket = match ip {
        // Of no protocol: no frame comes to it.
        IpAddr::V4(_) => Socket::new(Domain::PACKET, Type::RAW, None),
        IpAddr::V6(_) => Socket::new(Domain::IPV6, Type::RAW, Some(Protocol::ICMPV6)),
    };
    socket.map(drop)
}

fn send_frame(interface: &NetworkInterface, frame: &[u8]) -> io::Result<()> {
    let config = Config { promiscuous: false, ..Config::default() };
    let Channel::Ethernet(mut sender, _) = pnet_datalink::channel(interface, config)? else {
        return Err(io::Error::other("it is no Ethernet"));
    };
    sender.send_to(frame, None).unwrap_or_else(|| Err(io::Error::other("the frame is too long")))
}

fn send_advertisement(interface: u32, ip: Ipv6Addr, message: &[u8]) -> io::Result<()> {
    let socket = Socket::new(Domain::IPV6, Type::RAW, Some(Protocol::ICMPV6))?;
    // Whoever gets one that crossed a router drops it (RFC 4861 §7.1.2).
    socket.set_multicast_hops_v6(255)?;
    socket.set_multicast_if_v6(interface)?;
    socket.bind(&SockAddr::from(SocketAddrV6::new(ip, 0, 0, interface)))?;
    socket.send_to(message, &SockAddr::from(SocketAddrV6::new(ALL_NODES, 0, 0, interface)))?;
    Ok(())
}

/// An Ethernet frame: ARP request for `ip` that names `ip` as its sender.
fn arp_announcement(mac: [u8; 6], ip: Ipv4Addr) -> Vec<u8> {
    let mut frame = Vec::with_capacity(42);
    frame.extend(BROADCAST);
    frame.extend(mac);
    // ARP; Ethernet, IPv4, lengths of their addresses, request.
    frame.extend([0x08, 0x06, 0, 1, 0x08, 0, 6, 4, 0, 1]);
    frame.extend(mac);
    frame.extend(ip.octets());
    frame.extend([0; 6]);
    frame.extend(ip.octets());
    frame
}

/// The ICMPv6 message; the system fills in its checksum.
fn advertisement(mac: [u8; 6], ip: Ipv6Addr) -> Vec<u8> {
    let mut message = Vec::with_capacity(32);
    // Type, code, checksum; unsolicited, and it overrides what was known before.
    message.extend([136, 0, 0, 0, 0x20, 0, 0, 0]);
    message.extend(ip.octets());
    // Target link-layer address, one unit of 8 bytes.
    message.extend([2, 1]);
    message.extend(mac);
    message
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAC: [u8; 6] = [2, 0, 0, 0, 0, 7];

    #[test]
    fn an_arp_announcement_asks_everybody_for_its_own_address() {
        let frame = arp_announcement(MAC, Ipv4Addr::new(192, 0, 2, 10));
        assert_eq!(frame.len(), 42);
        assert_eq!((&frame[..6], &frame[6..12]), (&BROADCAST[..], &MAC[..]));
        assert_eq!(frame[12..14], [0x08, 0x06], "ARP");
        assert_eq!(frame[20..22], [0, 1], "a request");
        let (sender, target) = (&frame[28..32], &frame[38..42]);
        assert_eq!((sender, target), (&[192, 0, 2, 10][..], &[192, 0, 2, 10][..]));
    }

    #[test]
    fn an_unsolicited_advertisement_overrides_and_names_the_link_layer_address() {
        let ip: Ipv6Addr = "2001:db8::10".parse().unwrap();
        let message = advertisement(MAC, ip);
        assert_eq!((message[0], message[4]), (136, 0x20));
        assert_eq!(message[8..24], ip.octets());
        assert_eq!((&message[24..26], &message[26..]), (&[2, 1][..], &MAC[..]));
    }
}
