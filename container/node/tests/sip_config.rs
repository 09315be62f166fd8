//! `[sip]` of `node.toml`: how clients prove who they are, and who is not listened to.

use resilee_node::{ConfigError, NodeConfig, SipConfig};
use resilee_sip_api::Algorithm;
use std::fs;

/// A node alone that listens there, with these further lines of `[sip]`, and what follows.
fn parse_node(listen: &str, sip: &str, more: &str) -> Result<NodeConfig, ConfigError> {
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join("cluster.key"), "0123456789abcdef0123456789abcdef\n")
        .expect("written");
    let text = format!(
        "[node]\nname = \"a\"\ndata_dir = \"d\"\n[cluster]\nkey_file = \"cluster.key\"\n\
         [sip]\nlisten = \"{listen}\"\n{sip}\n{more}"
    );
    NodeConfig::parse(&folder.path().join("node.toml"), &text)
}

fn parse(sip: &str, more: &str) -> Result<SipConfig, ConfigError> {
    parse_node("127.0.0.1:5060", sip, more).map(|config| config.sip)
}

fn account(more: &str) -> String {
    let ha1 = "0".repeat(32);
    format!("[[account]]\nuser = \"a\"\nrealm = \"h\"\nha1 = \"{ha1}\"\n{more}\n")
}

#[test]
fn clients_know_one_address_or_one_of_each_ip_version() {
    let parse = |line: &str| {
        let config = parse_node("[::]:5060", line, "");
        config.map(|config| config.advertise.addresses().map(|it| it.to_string()).collect())
    };
    let one: Vec<String> = parse("advertise = \"192.0.2.1:5060\"").expect("a good file");
    assert_eq!(one, ["192.0.2.1:5060"]);
    let both = parse("advertise = [\"192.0.2.1:5060\", \"[2001:db8::1]:5070\"]");
    assert_eq!(both.expect("a good file"), ["192.0.2.1:5060", "[2001:db8::1]:5070"]);
    let error = parse("").expect_err("nobody can send to ::").to_string();
    assert!(error.contains("set advertise"), "{error}");
}

#[test]
fn every_phone_can_prove_who_it_is_and_scanners_are_dropped_by_default() {
    let sip = parse("", &account("")).expect("a good file");
    assert_eq!(sip.digest_algorithms, [Algorithm::Md5]);
    assert!(sip.scanners.iter().any(|it| it == "friendly-scanner"), "{:?}", sip.scanners);
}

#[test]
fn what_is_offered_is_read_in_its_order() {
    let both = "digest_algorithms = [\"SHA-256\", \"MD5\"]";
    let sip = parse(both, &account("")).expect("a good file");
    assert_eq!(sip.digest_algorithms, [Algorithm::Sha256, Algorithm::Md5]);
    let sha256 = format!("ha1_sha256 = \"{}\"", "0".repeat(64));
    let sip = parse("digest_algorithms = [\"SHA-256\"]", &account(&sha256)).expect("a good file");
    assert_eq!(sip.digest_algorithms, [Algorithm::Sha256]);
    assert!(parse("scanners = []", "").expect("a good file").scanners.is_empty());
    assert_eq!(parse("scanners = [\"Nmap\"]", "").expect("a good file").scanners, ["Nmap"]);
}

#[test]
fn what_nobody_could_prove_or_what_would_drop_phones_is_refused() {
    let many = format!("scanners = [{}]", "\"abc\", ".repeat(65));
    for (sip, key, what) in [
        ("digest_algorithms = []", "digest_algorithms", "at least one is expected"),
        ("digest_algorithms = [\"SHA-1\"]", "digest_algorithms", "\"SHA-1\": \"SHA-256\" or"),
        ("digest_algorithms = [\"MD5\", \"MD5\"]", "digest_algorithms", "is there twice"),
        (
            "digest_algorithms = [\"SHA-256\"]",
            "digest_algorithms",
            "\"a\" of \"h\" has no ha1_sha256",
        ),
        ("scanners = [\"ab\"]", "scanners", "\"ab\": 3 to 64 characters"),
        (&many, "scanners", "65: at most 64 are expected"),
    ] {
        let error = parse(sip, &account("")).expect_err(sip).to_string();
        assert!(error.contains(&format!("sip.{key}")) && error.contains(what), "{error}");
        assert!(error.contains("node.toml:8"), "{error}");
    }
}
