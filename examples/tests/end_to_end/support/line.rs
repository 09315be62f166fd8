//! What connects a phone: a UDP socket, or a TCP connection and the port at which it takes others.

use resilee_sip_proto::framing::{Frame, Framing};
use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::time::Duration;

/// By what a phone is connected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// Datagrams.
    Udp,
    /// Connections.
    Tcp,
}

/// See the module.
#[derive(Debug)]
pub enum Line {
    /// Datagrams.
    Udp(UdpSocket),
    /// A connection.
    Tcp(TcpLine),
}

/// A phone over TCP.
#[derive(Debug)]
pub struct TcpLine {
    proxy: SocketAddr,
    listener: TcpListener,
    stream: Option<TcpStream>,
    framing: Framing,
    messages: VecDeque<Vec<u8>>,
    wait: Duration,
}

impl Line {
    /// One to this proxy, at a free port of the address of its own IP version. Reading takes this
    /// long at most.
    pub fn open(transport: Transport, proxy: SocketAddr, wait: Duration) -> Line {
        let any = SocketAddr::new(proxy.ip(), 0);
        match transport {
            Transport::Udp => Line::udp(any, wait),
            Transport::Tcp => {
                let listener = TcpListener::bind(any).expect("a port for a phone");
                listener.set_nonblocking(true).expect("a listener need not block");
                Line::Tcp(TcpLine {
                    proxy,
                    listener,
                    stream: None,
                    framing: Framing::default(),
                    messages: VecDeque::new(),
                    wait,
                })
            }
        }
    }

    /// A socket at this address.
    pub fn udp(address: SocketAddr, wait: Duration) -> Line {
        let socket = UdpSocket::bind(address).expect("a port for a phone");
        socket.set_read_timeout(Some(wait)).expect("a socket has a timeout");
        Line::Udp(socket)
    }

    /// The phone's own address.
    pub fn address(&self) -> SocketAddr {
        let address = match self {
            Line::Udp(socket) => socket.local_addr(),
            Line::Tcp(line) => line.listener.local_addr(),
        };
        address.expect("a bound socket has an address")
    }

    /// What cannot be sent is lost, like what gets lost on its way.
    pub fn send(&mut self, destination: SocketAddr, bytes: &[u8]) {
        match self {
            Line::Udp(socket) => {
                let _ = socket.send_to(bytes, destination);
            }
            Line::Tcp(line) => line.send(bytes),
        }
    }

    /// The next message and where it came from, or nothing for a while.
    pub fn receive(&mut self) -> Option<(SocketAddr, Vec<u8>)> {
        match self {
            Line::Udp(socket) => {
                let mut buffer = vec![0; 65_535];
                // An error is a timeout, or tells of an earlier datagram: SIP repeats those.
                let (length, source) = socket.recv_from(&mut buffer).ok()?;
                Some((source, buffer[..length].to_vec()))
            }
            Line::Tcp(line) => Some((line.proxy, line.receive()?)),
        }
    }

    /// The connection breaks.
    pub fn hang(&mut self) {
        if let Line::Tcp(line) = self {
            line.stream = None;
        }
    }
}

impl TcpLine {
    fn send(&mut self, bytes: &[u8]) {
        if self.stream.is_none() {
            self.stream = self.connect().ok();
        }
        if let Some(stream) = &mut self.stream
            && stream.write_all(bytes).is_err()
        {
            self.stream = None;
        }
    }

    fn connect(&mut self) -> io::Result<TcpStream> {
        self.framing = Framing::default();
        let stream = TcpStream::connect(self.proxy)?;
        stream.set_read_timeout(Some(self.wait))?;
        Ok(stream)
    }

    fn receive(&mut self) -> Option<Vec<u8>> {
        if let Ok((stream, _)) = self.listener.accept() {
            stream.set_nonblocking(false).ok()?;
            stream.set_read_timeout(Some(self.wait)).ok()?;
            self.framing = Framing::default();
            self.stream = Some(stream);
        }
        if self.messages.is_empty() {
            self.read();
        }
        self.messages.pop_front()
    }

    fn read(&mut self) {
        let Some(stream) = &mut self.stream else { return std::thread::park_timeout(self.wait) };
        let mut buffer = [0; 8_192];
        match stream.read(&mut buffer) {
            Ok(0) => self.stream = None,
            Ok(length) => self.framing.handle_bytes(&buffer[..length]),
            // Nothing came for a while.
            Err(_) => return,
        }
        while let Some(frame) = self.framing.poll_frame().expect("a balancer writes SIP") {
            if let Frame::Message(message) = frame {
                self.messages.push_back(message);
            }
        }
    }
}
