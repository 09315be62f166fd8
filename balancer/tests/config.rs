//! `balancer.toml`: what is accepted, and what an operator reads when it is not. All of it goes
//! through the program itself, as `resilee-balancer --config FILE --check`.

use resilee_balancer::{Algorithm, Config, HealthConfig};
use resilee_config::ConfigError;
use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

const GOOD: &str = r#"
listen = "127.0.0.1:5060"
nodes_listen = "127.0.0.1:5061"
key_file = "cluster.key"
algorithm = "round-robin"

[[server]]
name = "server1"
address = "127.0.0.1:5081"

[[server]]
name = "server2"
address = "127.0.0.1:5082"

[heartbeat]
interval_ms = 20
"#;

/// A file of this folder and name; the name `server2.test` has an address.
fn parse_at(path: &str, text: &str) -> Result<Config, ConfigError> {
    Config::parse(Path::new(path), text, |name| match name {
        "server2.test:5082" => Ok(SocketAddr::from(([127, 0, 0, 1], 5082))),
        _ => Err("nobody knows it".to_owned()),
    })
}

fn parse_text(text: &str) -> Result<Config, ConfigError> {
    parse_at("balancer.toml", text)
}

/// Runs `--check` on a file beside good and bad keys; what it says if it refuses.
fn check(text: impl AsRef<[u8]>) -> Result<(), String> {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    fs::write(at("cluster.key"), "0123456789abcdef0123456789abcdef\n").unwrap();
    fs::write(at("short.key"), "secret").unwrap();
    fs::write(at("empty.key"), "").unwrap();
    fs::write(at("huge.key"), vec![b'k'; 100_000]).unwrap();
    fs::create_dir(at("folder")).unwrap();
    // Root may read everything; a link to itself nobody can.
    std::os::unix::fs::symlink("loop.key", at("loop.key")).unwrap();
    fs::write(at("damaged.state"), "damage").unwrap();
    fs::write(at("balancer.toml"), text).unwrap();
    let mut program = Command::new(env!("CARGO_BIN_EXE_resilee-balancer"));
    let output = program.arg("--check").arg("--config").arg(at("balancer.toml")).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    match output.status.code() {
        Some(0) => Ok(()),
        Some(1) => Err(said),
        other => panic!("{other:?}: {said}"),
    }
}

#[test]
fn a_good_file_is_read_with_paths_relative_to_it() {
    let config = parse_at("/etc/resilee/balancer.toml", GOOD).unwrap();
    assert_eq!(config.balancer.servers[1].name.as_str(), "server2");
    assert_eq!(config.balancer.algorithm, Algorithm::RoundRobin);
    assert_eq!((config.balancer.heartbeat_ms, config.balancer.missed), (20, 3));
    assert_eq!(config.key_file.value, Path::new("/etc/resilee/cluster.key"));
    assert_eq!(config.state_file.value, Path::new("/etc/resilee/balancer.state"));
    assert_eq!(config.nodes_listen.unwrap().value, "127.0.0.1:5061".parse().unwrap());
    assert!(config.tcp_listen.is_none(), "TCP clients connect to where datagrams come");
    assert_eq!((config.timers.t1_ms, config.timers.t2_ms), (500, 4_000));
    check(GOOD).unwrap();
    check(GOOD.replace("127.0.0.1:5061", "127.0.0.1")).unwrap();
}

/// A part of the good file, what stands there instead, the line and the key of the error, and
/// what else it says.
const BAD: &[(&str, &str, usize, &str, &str)] = &[
    ("\"127.0.0.1:5060\"", "\"here\"", 2, "listen", "an IP address and a port"),
    ("\"127.0.0.1:5060\"", "[]", 2, "listen", "from 1 to 16"),
    ("\"127.0.0.1:5060\"", "5060", 2, "listen", "a list of strings (at: listen = 5060)"),
    ("\"127.0.0.1:5060\"", "[\n\"127.0.0.1:5060\",\n5061]", 4, "listen", "expected a string"),
    ("\"127.0.0.1:5060\"", "[\n\"127.0.0.1:1\",\n\"::1\"]", 4, "listen", "an IP address and"),
    (
        "\"127.0.0.1:5060\"",
        "[\n\"0.0.0.0:1\",\n\"127.0.0.1:1\"]",
        4,
        "listen",
        "in line 3) already",
    ),
    (
        "\"127.0.0.1:5060\"",
        "\"127.0.0.1:5062\"",
        3,
        "nodes_listen",
        "127.0.0.1:5062: this is listen",
    ),
    ("\"127.0.0.1:5060\"", "\"0.0.0.0:5081\"", 9, "server.address", "this is listen (0.0.0.0:5081"),
    ("listen = \"127.0.0.1:5060\"", "", 1, "listen", "missing field `listen`"),
    ("\"127.0.0.1:5061\"", "\"[::1]:1\"", 3, "nodes_listen", "IP version"),
    ("\"127.0.0.1:5061\"", "\"127.0.0.1:65535\"", 3, "nodes_listen", "each of 2 servers"),
    ("\"127.0.0.1:5061\"", "\"127.0.0.1:5081\"", 9, "server.address", "this is nodes_listen"),
    ("\"127.0.0.1:5061\"", "true", 3, "nodes_listen", "expected a string"),
    ("key_file", "keyfile", 4, "keyfile", "unknown field `keyfile`, expected one of"),
    ("key_file = \"cluster.key\"", "", 1, "key_file", "missing field `key_file`"),
    ("cluster.key", "no.key", 4, "key_file", "no.key: No such file"),
    ("cluster.key", "folder", 4, "key_file", "folder: Is a directory"),
    ("cluster.key", "loop.key", 4, "key_file", "cannot read"),
    ("cluster.key", "cluster.key/x", 4, "key_file", "Not a directory"),
    ("cluster.key", "empty.key", 4, "key_file", "the key has 0 bytes"),
    ("cluster.key", "short.key", 4, "key_file", "openssl rand -hex 32"),
    ("cluster.key", "huge.key", 4, "key_file", "larger than 64 KiB"),
    ("\"cluster.key\"", "7", 4, "key_file", "(at: key_file = 7)"),
    ("round-robin", "random", 5, "algorithm", "first-alive, call-id or round-robin"),
    ("\"round-robin\"", "1", 5, "algorithm", "expected a string"),
    ("[[server]]\nname = \"server1\"", "name = \"server1\"", 8, "address", "unknown field"),
    ("server1", "Server 1", 8, "server.name", "lower-case letters"),
    ("\"server1\"", "1", 8, "server.name", "(at: name = 1)"),
    ("server2", "server1", 12, "server.name", "server1 is there twice"),
    ("name = \"server2\"", "", 11, "server.name", "missing field `name` (at: [[server]])"),
    ("name = \"server2\"", "name = \"x\"\nport = 1", 13, "server.port", "unknown field `port`"),
    ("5082", "5081", 13, "server.address", "127.0.0.1:5081 is there twice"),
    ("127.0.0.1:5082", "localhost", 13, "server.address", "an IP address or a name, and a port"),
    ("127.0.0.1:5082", "127.0.0.1:0", 13, "server.address", "other than 0"),
    ("127.0.0.1:5082", "localhost:0", 13, "server.address", "other than 0"),
    ("127.0.0.1:5082", "localhost:65536", 13, "server.address", "other than 0"),
    ("127.0.0.1:5082", "no such:5082", 13, "server.address", "an IP address or a name"),
    ("= 20", "= 1", 16, "heartbeat.interval_ms", "from 10 to 5000"),
    ("= 20", "= \"50\"", 16, "heartbeat.interval_ms", "(at: interval_ms = \"50\")"),
    ("= 20", "= -1", 16, "heartbeat.interval_ms", "`-1`"),
    ("= 20", "= 2.5", 16, "heartbeat.interval_ms", "2.5"),
    ("= 20", "= ", 16, "heartbeat.interval_ms", "(at: interval_ms =)"),
    ("= 20", "= 20\ninterval_ms = 30", 17, "heartbeat.interval_ms", "duplicate key"),
    ("interval_ms = 20", "missed = \"x\"", 16, "heartbeat.missed", "expected a whole number"),
    ("interval_ms = 20", "missed = 1", 16, "heartbeat.missed", "from 2 to 100"),
    ("interval_ms = 20", "mised = 2", 16, "heartbeat.mised", "`missed`"),
    ("= 20", "= 20\n[pair]\nname = \"X\"\npeer = \"y\"", 18, "pair.name", "lower-case letters"),
    ("= 20", "= 20\n[pair]\nname = \"x\"\npeer = \"x\"", 19, "pair.peer", "balancer itself"),
    ("= 20", "= 20\n[pair]\nname = \"x\"", 17, "pair.peer", "missing field `peer`"),
    ("= 20", "= 90\n[pair]\nname = \"x\"\npeer = \"y\"", 16, "heartbeat.interval_ms", "at most 80"),
    (
        "= 20",
        "= 20\n[pair]\nname = \"x\"\npeer = \"y\"\ninterface = \"eth0/1\"",
        20,
        "pair.interface",
        "the name of a network interface",
    ),
    (
        "\"round-robin\"",
        "\"round-robin\"\ntcp_listen = \"0.0.0.0:5060\"\n\
         [pair]\nname = \"x\"\npeer = \"y\"\ninterface = \"eth0\"",
        6,
        "tcp_listen",
        "the address that is added to it",
    ),
    (
        "[heartbeat]",
        "[[server]]\nname = \"c\"\naddress = \"127.0.0.1:5083\"\n\
         [pair]\nname = \"x\"\npeer = \"y\"\n[heartbeat]",
        7,
        "server",
        "3 servers: beside [pair] at most 2",
    ),
    ("= 20", "= 20\n[timers]\nt1_ms = 1", 18, "timers.t1_ms", "from 10 to 5000"),
    ("= 20", "= 20\n[timers]\nt2_ms = 1", 18, "timers.t2_ms", "`t1_ms`"),
    ("5082\"", "5082\"\nweight = 0", 14, "server.weight", "0: a number from 1 to 100"),
    ("5082\"", "5082\"\nweight = 101", 14, "server.weight", "from 1 to 100"),
    ("= 20", "= 20\n[health]\nwindow_s = 0", 18, "health.window_s", "from 1 to 3600"),
    ("= 20", "= 20\n[health]\nramp_up_s = 3601", 18, "health.ramp_up_s", "from 0 to 3600"),
    (
        "= 20",
        "= 20\n[health]\nserver_error_max_percent = 101",
        18,
        "health.server_error_max_percent",
        "from 1 to 100",
    ),
    ("= 20", "= 20\n[health]\nminimum = 1", 18, "health.minimum", "`requests_min`"),
    (
        "= 20",
        "= 20\n[metrics]\nlisten = \"0.0.0.0:9160\"",
        18,
        "metrics.listen",
        "beyond_loopback = true",
    ),
    (
        "= 20",
        "= 20\n[metrics]\nlisten = \"127.0.0.1:5060\"",
        18,
        "metrics.listen",
        "this is listen (127.0.0.1:5060 in line 2) already",
    ),
    ("[heartbeat]", "[heartbeat", 15, "heartbeat", "(at: [heartbeat)"),
    ("key_file", "state_file = \"cluster.key\"\nkey_file", 4, "state_file", "is the key file"),
    ("key_file", "state_file = \"balancer.toml\"\nkey_file", 4, "state_file", "is this file"),
    ("key_file", "state_file = \"folder\"\nkey_file", 4, "state_file", "Is a directory"),
    ("key_file", "state_file = \"no/x\"\nkey_file", 4, "state_file", "No such file"),
    ("key_file", "state_file = \"damaged.state\"\nkey_file", 4, "state_file", "is damaged"),
];

#[test]
fn a_wrong_value_is_reported_with_file_line_key_and_what_is_expected() {
    for (good, bad, line, key, words) in BAD {
        let text = GOOD.replacen(good, bad, 1);
        assert_ne!(text, GOOD, "{good}");
        let error = check(&text).expect_err(bad);
        assert!(error.starts_with("error: /"), "{bad}: {error}");
        assert!(error.contains(&format!("/balancer.toml:{line}: {key}: ")), "{bad}: {error}");
        assert!(error.contains(words), "{bad}: {words:?} is missing in: {error}");
        assert_eq!(error.lines().count(), 1, "{error}");
        assert!(!error.contains("taken by another program"), "{error}");
        println!("{}", error.trim_end());
    }
}

#[test]
fn a_file_that_cannot_be_read_is_named() {
    let error = check(b"listen = 1\n\xff\n").unwrap_err();
    assert!(error.contains("balancer.toml:2: text in UTF-8 is expected"), "{error}");
    let mut program = Command::new(env!("CARGO_BIN_EXE_resilee-balancer"));
    let output = program.args(["--check", "--config", "/no/such.toml"]).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(said.contains("/no/such.toml: cannot read this configuration: No such"), "{said}");
}

#[test]
fn a_server_may_have_a_name_in_place_of_an_address() {
    let config = parse_text(&GOOD.replace("127.0.0.1:5082", "server2.test:5082")).unwrap();
    assert_eq!(config.balancer.servers[1].address, SocketAddr::from(([127, 0, 0, 1], 5082)));
    let error = parse_text(&GOOD.replace("127.0.0.1:5082", "server3.test:5082")).unwrap_err();
    let expected =
        "\"server3.test:5082\": this name is not found (nobody knows it): give an address";
    assert!(error.to_string().contains(expected), "{error}");
}

#[test]
fn t1_is_as_in_the_file_and_the_other_timers_follow() {
    let text = format!("{GOOD}[timers]\nt1_ms = 20\n");
    let timers = parse_text(&text).unwrap().timers;
    assert_eq!((timers.t1_ms, timers.t2_ms, timers.t4_ms), (20, 160, 200));
}

#[test]
fn tcp_has_addresses_and_limits_of_its_own() {
    let parse = |line: &str, table: &str| {
        let text = GOOD.replace("nodes_listen =", &format!("{line}\nnodes_listen ="));
        parse_text(&format!("{text}[tcp]\n{table}\n"))
    };
    let config = parse("tcp_listen = [\"127.0.0.1:5060\", \"[::1]:5060\"]", "idle_s = 60").unwrap();
    let addresses: Vec<_> = config.tcp_listen.unwrap().iter().map(|it| it.value).collect();
    assert_eq!(addresses, ["127.0.0.1:5060", "[::1]:5060"].map(|it| it.parse().unwrap()));
    assert_eq!((config.tcp_limits.idle_ms, config.tcp_limits.message_within_ms), (60_000, 10_000));
    assert!(parse("tcp_listen = []", "").unwrap().tcp_listen.unwrap().is_empty(), "no TCP");
    for (line, table, key, what) in [
        ("tcp_listen = \"127.0.0.1\"", "", "tcp_listen", "an IP address and a port"),
        ("tcp_listen = \"127.0.0.1:5070\"", "", "tcp_listen", "no address of listen has this port"),
        ("", "connections_max = 0", "tcp.connections_max", "from 1 to 1000000"),
        ("", "message_within_ms = 1", "tcp.message_within_ms", "from 100 to 600000"),
        ("", "connections = 7", "tcp", "connections_max"),
    ] {
        let error = parse(line, table).unwrap_err().to_string();
        assert!(error.contains(key) && error.contains(what), "{error}");
    }
}

#[test]
fn health_weights_and_metrics_are_read_and_have_defaults() {
    let parse = |text: &str| parse_text(text).unwrap();
    let config = parse(GOOD);
    assert_eq!((config.balancer.servers[0].weight, config.balancer.health.ramp_up_s), (1, 10));
    assert!(config.metrics_listen.is_none());
    let text = GOOD.replace("5082\"", "5082\"\nweight = 7");
    let config = parse(&format!(
        "{text}[health]\nramp_up_s = 0\nwindow_s = 5\nno_response_max_percent = 20\n\
         server_error_max_percent = 30\nrequests_min = 3\n\
         [metrics]\nlisten = \"0.0.0.0:9160\"\nbeyond_loopback = true\n"
    ));
    let health = HealthConfig {
        ramp_up_s: 0,
        window_s: 5,
        no_response_max_percent: 20,
        server_error_max_percent: 30,
        requests_min: 3,
    };
    assert_eq!((config.balancer.servers[1].weight, config.balancer.health), (7, health));
    assert_eq!(config.metrics_listen.unwrap().value, "0.0.0.0:9160".parse().unwrap());
}

/// What is another thing when the file is read again, and where the error stands; none: it is
/// taken.
const AGAIN: &[(&str, &str, Option<&str>)] = &[
    ("round-robin", "call-id", None),
    ("5082\"", "5082\"\nweight = 3", None),
    ("= 20", "= 30\nmissed = 3\n[health]\nwindow_s = 3", None),
    ("\"127.0.0.1:5060\"", "[\"127.0.0.1:5060\"]", None),
    ("127.0.0.1:5060", "127.0.0.1:5070", Some(":2: listen: changed, and its socket")),
    ("listen =", "tcp_listen = []\nlisten =", Some(":2: tcp_listen: ")),
    ("nodes_listen = \"127.0.0.1:5061\"", "", Some("nodes_listen: ")),
    ("cluster.key", "other.key", Some(":4: key_file: ")),
    ("key_file", "state_file = \"other\"\nkey_file", Some(":4: state_file: ")),
    ("server2", "server3", Some(":7: server: changed, and which servers there are is fixed")),
    ("5082", "5083", Some(":7: server: ")),
    ("127.0.0.1:5082", "server2.test:5082", None),
    ("= 20", "= 20\n[pair]\nname = \"x\"\npeer = \"y\"", Some("pair: changed")),
    ("= 20", "= 20\n[tcp]\nidle_s = 60", Some("tcp: changed")),
    ("= 20", "= 20\n[timers]\nt1_ms = 400", Some(":18: timers.t1_ms: ")),
    ("= 20", "= 20\n[metrics]\nlisten = \"127.0.0.1:9160\"", Some(":18: metrics.listen: ")),
];

#[test]
fn a_file_that_is_read_again_may_change_what_is_no_socket_and_no_voter() {
    let running = parse_text(GOOD).unwrap();
    for (before, after, error) in AGAIN {
        let text = GOOD.replacen(before, after, 1);
        assert_ne!(text, GOOD, "{before}");
        let new = parse_text(&text).unwrap();
        let said = running.check_reload(&new).map_err(|error| error.to_string());
        match (error, said) {
            (None, Ok(())) => {}
            (Some(error), Err(said)) => {
                assert!(said.contains(error) && said.contains("restart the balancer"), "{said}");
            }
            (_, said) => panic!("{after}: {said:?}"),
        }
    }
}
