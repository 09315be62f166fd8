//! A node that says what a test has written down: answers that a whole node gives at no moment
//! that a test could choose.

use serde_json::Value;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, channel};

/// See the module. It answers as many requests as it has answers for, in this order.
pub struct ScriptedNode {
    pub admin: String,
    asked: Receiver<String>,
}

impl ScriptedNode {
    /// Each answer is a status with a body.
    pub fn start(answers: impl IntoIterator<Item = (u16, Value)>) -> ScriptedNode {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let admin = listener.local_addr().unwrap().to_string();
        let (ask, asked) = channel();
        let answers: Vec<_> = answers.into_iter().collect();
        std::thread::spawn(move || {
            for (status, body) in answers {
                let (mut stream, _) = listener.accept().unwrap();
                // Before the answer, so who has that finds it.
                ask.send(read_request(&stream)).unwrap();
                answer(&mut stream, status, &body.to_string());
            }
        });
        ScriptedNode { admin, asked }
    }

    /// What was asked for so far, as `get /path`.
    pub fn asked(&self) -> Vec<String> {
        self.asked.try_iter().collect()
    }
}

/// Reads a whole request; its method and path.
fn read_request(stream: &TcpStream) -> String {
    let mut reader = BufReader::new(stream);
    let mut head = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        match line.trim_end() {
            "" => break,
            line => head.push(line.to_ascii_lowercase()),
        }
    }
    let length = head.iter().find_map(|line| line.strip_prefix("content-length:"));
    let length = length.map_or(0, |length| length.trim().parse().unwrap());
    reader.read_exact(&mut vec![0; length]).unwrap();
    head[0].split(' ').take(2).collect::<Vec<_>>().join(" ")
}

/// Gives the answer. The connection ends with it.
fn answer(stream: &mut TcpStream, status: u16, body: &str) {
    let text = format!(
        "HTTP/1.1 {status} As Written\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(text.as_bytes()).unwrap();
}
