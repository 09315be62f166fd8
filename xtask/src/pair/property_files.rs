//! The property files of a pair under load: authentication of calls off, 200 users, one tariff.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use anyhow::Result;
use md5::{Digest, Md5};

use super::{ADDRESSES, NAMES};

/// Domain of all users; also the realm of their passwords.
pub const DOMAIN: &str = "resilee.example";
/// How many users there are.
pub const USERS: u32 = 200;
/// Where phones send to.
pub const SIP: &str = "127.0.0.1:5060";
/// Management of the servers.
pub const ADMIN: [&str; 2] = ["127.0.0.1:8081", "127.0.0.1:8082"];

/// What writing through management needs.
pub const TOKEN: &str = "the token of the load tasks";

/// The file that it is in.
pub const TOKEN_FILE: &str = "admin.token";

/// The cluster's secret.
pub const KEY: &str = "the load tasks sign with this and nobody else does\n";

/// Name and password of a user, counted from 1.
pub fn user(number: u32) -> (String, String) {
    (format!("desk{number}"), format!("desk{number}-secret"))
}

/// Writes all of them into `folder`; the balancer's ends with `tables`.
pub fn write(folder: &Path, tables: &str) -> Result<()> {
    fs::write(folder.join("cluster.key"), KEY)?;
    fs::write(folder.join(TOKEN_FILE), TOKEN)?;
    fs::write(
        folder.join("balancer.toml"),
        format!(
            "{}
{tables}",
            balancer()
        ),
    )?;
    for server in [1, 2] {
        fs::write(folder.join(format!("{}.toml", NAMES[server])), node(server))?;
    }
    Ok(())
}

fn balancer() -> String {
    let mut text = format!(
        "listen = \"{SIP}\"\nnodes_listen = \"{}:5061\"\nkey_file = \"cluster.key\"\n\
         algorithm = \"first-alive\"\n\n[heartbeat]\ninterval_ms = 50\nmissed = 6\n\
         [health]\nramp_up_s = 0\n",
        ADDRESSES[0]
    );
    for server in [1, 2] {
        let (name, address) = (NAMES[server], ADDRESSES[server]);
        let _ = write!(text, "\n[[server]]\nname = \"{name}\"\naddress = \"{address}:5063\"\n");
    }
    text
}

fn node(server: usize) -> String {
    let (name, address) = (NAMES[server], ADDRESSES[server]);
    let (peer, peer_address) = (NAMES[3 - server], ADDRESSES[3 - server]);
    let admin = ADMIN[server - 1];
    let mut text = format!(
        "[node]\nname = \"{name}\"\ndata_dir = \"{name}.data\"\n\n\
         [sip]\nlisten = \"{address}:5063\"\nbehind_balancer = \"{SIP}\"\n\n\
         [cluster]\nlisten = \"{address}:5065\"\nkey_file = \"cluster.key\"\n\
         peers = [{{ name = \"{peer}\", address = \"{peer_address}:5065\" }}]\n\n\
         [admin]\nlisten = \"{admin}\"\ntoken_file = \"{TOKEN_FILE}\"\n\n"
    );
    text.push_str(&service_tables());
    text
}

/// The tables of a node that say who may call, and what it costs.
pub fn service_tables() -> String {
    let mut text = String::from(
        "[policy]\nopen_calls = true\n\n\
         [[tariff]]\nprefix = \"\"\ncurrency = \"EUR\"\nconnect_fee = \"0.05\"\n\
         per_minute = \"0.12\"\nincrement_s = 1\n",
    );
    for number in 1..=USERS {
        let (user, password) = user(number);
        let ha1 = ha1(&user, &password);
        let _ = write!(
            text,
            "\n[[account]]\nuser = \"{user}\"\nrealm = \"{DOMAIN}\"\nha1 = \"{ha1}\"\n"
        );
    }
    text
}

/// RFC 2617 §3.2.2.2.
fn ha1(user: &str, password: &str) -> String {
    let hash = Md5::digest(format!("{user}:{DOMAIN}:{password}"));
    hash.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
