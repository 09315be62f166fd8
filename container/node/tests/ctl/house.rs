//! A whole node for tests of `resilee ctl`: alone, on loopback, with its files in a folder.

use resilee_node::{NodeBuilder, SleeOrder, Token, slee};
use std::fs;
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::path::PathBuf;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// Nothing here takes so long unless it hangs.
pub const DEADLINE: Duration = Duration::from_secs(60);

/// A node alone, which runs until the tests end.
pub struct House {
    folder: TempDir,
    pub sip: SocketAddr,
    pub admin: String,
}

impl House {
    /// Starts the node and waits until it serves; `more` is put at the end of its configuration.
    pub fn start(builder: NodeBuilder, more: &str) -> House {
        let folder = tempfile::tempdir().unwrap();
        let sip = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let admin = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let house = House { folder, sip, admin: admin.to_string() };
        let write = |name: &str, text: &str| fs::write(house.file(name), text).unwrap();
        write("cluster.key", "0123456789abcdef0123456789abcdef\n");
        write("token", "s3cret\n");
        let config = format!(
            "[node]\nname = \"alone\"\ndata_dir = \"data\"\n[sip]\nlisten = \"{sip}\"\n\
             [cluster]\nkey_file = \"cluster.key\"\n\
             [admin]\nlisten = \"{admin}\"\ntoken_file = \"token\"\n{more}"
        );
        write("node.toml", &config);
        let file = house.file("node.toml");
        std::thread::spawn(move || builder.config(file).run().expect("it runs"));
        wait_for("it runs", || house.is_running().then_some(()));
        house
    }

    fn is_running(&self) -> bool {
        slee(&self.admin, &SleeOrder::Status).is_ok_and(|text| text.contains("running"))
    }

    pub fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn token(&self) -> Token {
        Token { token_file: self.file("token") }
    }
}

/// Asks again and again until there is something.
#[track_caller]
pub fn wait_for<T>(what: &str, look: impl Fn() -> Option<T>) -> T {
    let since = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(since.elapsed() < DEADLINE, "in vain: {what}");
        // sleep: the deadline above ends it.
        std::thread::sleep(Duration::from_millis(20));
    }
}
