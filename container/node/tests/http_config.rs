//! `[http]` of `node.toml`: what is accepted, and what an operator reads when it is not.

use resilee_http_ra::{AllowedHosts, HttpLimits};
use resilee_node::{ConfigError, NodeConfig};
use std::fs;

/// A node alone; what is behind it begins at line 8.
const NODE: &str = "[node]\nname = \"a\"\ndata_dir = \"d\"\n[sip]\nlisten = \"127.0.0.1:5060\"\n\
                    [cluster]\nkey_file = \"cluster.key\"\n";

fn parse(http: &str) -> Result<NodeConfig, ConfigError> {
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join("cluster.key"), [b'k'; 32]).expect("a key");
    fs::write(folder.path().join("ca.pem"), "anything").expect("a file");
    NodeConfig::parse(&folder.path().join("node.toml"), &format!("{NODE}{http}"))
}

#[test]
fn without_a_word_about_it_no_hook_comes_in_and_nobody_is_called() {
    let http = parse("").expect("a good file").http;
    assert_eq!((http.listen, http.ca_file, http.limits), (None, None, HttpLimits::default()));
    assert_eq!(HttpLimits::default().allow, AllowedHosts::default());
}

#[test]
fn all_of_it_is_read() {
    let text = "[http]\nlisten = \"127.0.0.1:8087\"\nallow = [\"a.test\", \"10.0.0.7:81\"]\n\
                body_bytes_max = 100\nrequest_timeout_ms = 5\nrequests_max = 6\n\
                call_timeout_ms = 7\ncalls_max = 8\nca_file = \"ca.pem\"\n";
    let http = parse(text).expect("a good file").http;
    assert_eq!(http.listen, Some("127.0.0.1:8087".parse().expect("an address")));
    assert!(http.ca_file.expect("it is given").ends_with("ca.pem"));
    let allow = AllowedHosts::parse(["a.test", "10.0.0.7:81"]).expect("hosts");
    let limits = HttpLimits {
        allow,
        body_bytes_max: 100,
        request_timeout_ms: 5,
        requests_max: 6,
        call_timeout_ms: 7,
        calls_max: 8,
    };
    assert_eq!(http.limits, limits);
}

#[test]
fn a_wrong_value_is_reported_with_line_key_and_what_is_expected() {
    for (line, key, expected) in [
        ("listen = \"8087\"", "http.listen", "an IP address and a port"),
        ("allow = [\"*\"]", "http.allow", "write host or host:port"),
        ("allow = [\"http://a.test/\"]", "http.allow", "write host or host:port"),
        ("body_bytes_max = 1000000", "http.body_bytes_max", "a number from 0 to 32768"),
        ("requests_max = 0", "http.requests_max", "a number from 1 to"),
        ("call_timeout_ms = 999999", "http.call_timeout_ms", "a number from 1 to 120000"),
        ("ca_file = \"none.pem\"", "http.ca_file", "none.pem"),
        ("alow = []", "http.alow", "expected one of"),
    ] {
        let error = parse(&format!("[http]\n{line}\n")).expect_err(line).to_string();
        assert!(error.contains(key) && error.contains(expected), "{error}");
        assert!(error.contains(":9: "), "{error}");
    }
    let taken = "[admin]\nlisten = \"127.0.0.1:8087\"\n[http]\nlisten = \"127.0.0.1:8087\"\n";
    let error = parse(taken).expect_err("both listen there").to_string();
    assert!(error.contains("http.listen"), "{error}");
}
