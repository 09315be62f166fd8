//! A web server that services call: it writes down what comes, and answers `thanks`, at once or
//! when it is told to go on.

use super::ports::loopback;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;

/// See the module. Its threads end with the test's process.
#[derive(Debug)]
pub struct WebTarget {
    address: SocketAddr,
    state: Arc<(Mutex<State>, Condvar)>,
}

#[derive(Debug, Default)]
struct State {
    got: Vec<Got>,
    holds: bool,
}

/// A request that came.
#[derive(Clone, Debug)]
pub struct Got {
    /// Its path.
    pub path: String,
    /// Its `Idempotency-Key`.
    pub key: String,
    /// Its body.
    pub body: String,
}

impl WebTarget {
    /// Listens on a port of its own.
    #[track_caller]
    pub fn start() -> Self {
        let listener = TcpListener::bind(loopback(0)).expect("a port");
        let address = listener.local_addr().expect("it listens");
        let state = Arc::<(Mutex<State>, Condvar)>::default();
        let shared = state.clone();
        thread::spawn(move || {
            for connection in listener.incoming().map_while(Result::ok) {
                let state = shared.clone();
                // A client that is killed breaks its connection.
                thread::spawn(move || serve(connection, &state).unwrap_or_default());
            }
        });
        WebTarget { address, state }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What came for a path so far.
    pub fn of(&self, path: &str) -> Vec<Got> {
        let state = self.state.0.lock().expect("no thread panics");
        state.got.iter().filter(|got| got.path == path).cloned().collect()
    }

    /// It answers nothing from now on.
    pub fn hold(&self) {
        self.state.0.lock().expect("no thread panics").holds = true;
    }

    /// It answers again, also what came meanwhile.
    pub fn go_on(&self) {
        self.state.0.lock().expect("no thread panics").holds = false;
        self.state.1.notify_all();
    }
}

fn serve(connection: TcpStream, state: &(Mutex<State>, Condvar)) -> std::io::Result<()> {
    let mut reader = BufReader::new(connection.try_clone()?);
    let mut writer = connection;
    loop {
        let mut head = Vec::new();
        for line in reader.by_ref().lines() {
            match line? {
                line if line.is_empty() => break,
                line => head.push(line),
            }
        }
        let Some(first) = head.first() else { return Ok(()) };
        let path = first.split(' ').nth(1).unwrap_or_default().to_owned();
        let header = |name: &str| {
            let lines = head.iter().filter_map(|line| line.split_once(": "));
            let mut found = lines.filter(|(known, _)| known.eq_ignore_ascii_case(name));
            found.next().map(|(_, value)| value.to_owned()).unwrap_or_default()
        };
        let mut body = vec![0; header("content-length").parse().unwrap_or_default()];
        reader.read_exact(&mut body)?;
        let body = String::from_utf8_lossy(&body).into_owned();
        let key = header("idempotency-key");
        let mut locked = state.0.lock().expect("no thread panics");
        locked.got.push(Got { path, key, body });
        drop(state.1.wait_while(locked, |state| state.holds).expect("no thread panics"));
        writer.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\nthanks")?;
    }
}
