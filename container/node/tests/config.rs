//! `node.toml`: what is accepted, and what an operator reads when it is not.

use resilee_cluster::{Authority, TRIAL_DAYS, make_certificates};
use resilee_membership::Unclean;
use resilee_node::{ConfigError, NodeConfig};
use resilee_sip_api::{ACCOUNTS, Account};
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, SystemTime};

const BALANCER: &str = "\"127.0.0.1:5060\"";

const GOOD: &str = r#"
[node]
name = "server1"
data_dir = "data"
[sip]
listen = "127.0.0.1:5063"
behind_balancer = "127.0.0.1:5060"
[cluster]
listen = "127.0.0.1:5065"
peers = [{ name = "server2", address = "127.0.0.1:5066" }]
key_file = "cluster.key"
[admin]
listen = "127.0.0.1:8081"
token_file = "admin.token"
[[account]]
user = "alice"
realm = "resilee.example"
ha1 = "3704F510f70c074040fe68391a5e0f36"
[[tariff]]
prefix = ""
currency = "EUR"
connect_fee = "0.05"
per_minute = "0.12"
increment_s = 6
"#;

fn parse(text: &str) -> Result<NodeConfig, ConfigError> {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("cluster.key"), "0123456789abcdef0123456789abcdef\n").unwrap();
    fs::write(folder.path().join("short.key"), "secret").unwrap();
    fs::write(folder.path().join("admin.token"), " token \n").unwrap();
    fs::write(folder.path().join("empty"), "\n").unwrap();
    fs::create_dir(folder.path().join("folder")).unwrap();
    NodeConfig::parse(&folder.path().join("node.toml"), text)
}

#[test]
fn a_good_file_is_read_with_defaults_and_paths_relative_to_it() {
    let config = parse(GOOD).unwrap();
    assert_eq!(config.name.as_str(), "server1");
    assert!(config.data_dir.is_absolute() && config.data_dir.ends_with("data"));
    assert!(config.advertise.addresses().eq(["127.0.0.1:5060".parse().unwrap()]));
    assert!(config.behind_balancer && !config.open_calls);
    assert_eq!(config.peers[0].name.as_str(), "server2");
    assert_eq!(config.admin.as_ref().unwrap().token.as_deref(), Some("token"));
    assert_eq!((config.heartbeat_ms, config.missed, config.cold_start_ms), (50, 6, 3000));
    assert_eq!(config.limits, resilee_core::Limits::default());
    assert_eq!((config.timers.t1_ms, config.timers.t2_ms, config.timers.t4_ms), (500, 4000, 5000));
    assert_eq!(config.unclean, Unclean::Refuse);
    let serve = GOOD.replacen("key_file", "unclean = \"serve\"\nkey_file", 1);
    assert_eq!(parse(&serve).unwrap().unclean, Unclean::Serve);
    let tables = config.tables().unwrap();
    let row = tables.get(ACCOUNTS, "alice@resilee.example").unwrap();
    let account: Account = resilee_sbb::decode(row).unwrap();
    assert_eq!(account.ha1, "3704f510f70c074040fe68391a5e0f36");
}

#[test]
fn a_node_alone_needs_four_lines() {
    let text = "[node]\nname = \"a\"\ndata_dir = \"d\"\n[sip]\nlisten = \"127.0.0.1:5060\"\n\
                [cluster]\nkey_file = \"cluster.key\"\n";
    let config = parse(text).unwrap();
    assert!(!config.behind_balancer && config.peers.is_empty() && config.admin.is_none());
    assert!(config.advertise.addresses().eq([config.sip_listen]));
}

#[test]
fn a_timer_base_scales_the_other_timers_and_policy_is_read() {
    let more = "[timers]\nt1_ms = 50\n[policy]\nopen_calls = true\n\
                [heartbeat]\ninterval_ms = 20\nmissed = 3\ncold_start_ms = 100\n\
                [limits]\ncalls_max = 1000\ndeliveries_max = 20\ndelivery_age_ms = 50\n";
    let config = parse(&format!("{GOOD}{more}")).unwrap();
    assert_eq!((config.timers.t1_ms, config.timers.t2_ms, config.timers.t4_ms), (50, 400, 500));
    assert!(config.open_calls);
    assert_eq!((config.heartbeat_ms, config.missed, config.cold_start_ms), (20, 3, 100));
    let limits = config.limits;
    assert_eq!((limits.cells_max, limits.deliveries_max), (1_000, 20));
    assert_eq!(limits.delivery_age_ms_max, 50);
    assert_eq!(config.actors_max, resilee_runtime::ACTORS_MAX);
}

#[test]
fn when_calls_are_looked_after_is_read_and_0_switches_it_off() {
    let seconds = std::time::Duration::from_secs;
    let calls = parse(GOOD).unwrap().calls;
    assert_eq!((calls.ask_after, calls.longest), (Some(seconds(900)), Some(seconds(43_200))));
    assert_eq!((calls.session_expires_s, calls.longest_ringing), (Some(1_800), Some(seconds(600))));
    let more =
        "[calls]\nask_after_s = 60\nsession_expires_s = 90\nmax_s = 0\nringing_max_s = 180\n";
    let calls = parse(&format!("{GOOD}{more}")).unwrap().calls;
    assert_eq!((calls.ask_after, calls.longest), (Some(seconds(60)), None));
    assert_eq!((calls.session_expires_s, calls.longest_ringing), (Some(90), Some(seconds(180))));
    let calls = parse(&format!("{GOOD}[calls]\nringing_max_s = 0\n")).unwrap().calls;
    assert_eq!(calls.longest_ringing, None);
}

#[test]
fn what_a_call_may_grow_to_is_read() {
    let more = "[limits]\ninbox_max = 1\ninbox_age_ms = 200\nevents_per_turn_max = 8\n\
                suspended_events_max = 3\nsuspended_s_max = 4\ntimers_max = 5\n\
                entities_max = 6\nstate_bytes_max = 7000\nattributes_max = 8\n\
                attribute_bytes_max = 9000\nnames_max = 10\nnull_activities_max = 11\n\
                actors_max = 12\nhung_handlers_max = 13\ncell_bytes_max = 70000\n\
                turn_bytes_max = 80000\ndelivery_deadline_ms = 5000\nmirrors_max = 6000\n\
                alarms_max = 200\nunit_time_ms = 60\nunit_memory_bytes_max = 3000000\n\
                unit_host_calls_max = 14\nbirths_per_turn_max = 200\n";
    let config = parse(&format!("{GOOD}{more}")).unwrap();
    let expected = resilee_core::Limits {
        inbox_max: 1,
        inbox_age_ms_max: 200,
        events_per_turn_max: 8,
        births_per_turn_max: 200,
        suspended_events_max: 3,
        timers_per_cell_max: 5,
        hung_handlers_max: 13,
        cell_bytes_max: 70_000,
        turn_bytes_max: 80_000,
        delivery_deadline_ms: 5_000,
        mirrors_per_cell_max: 6_000,
        alarms_max: 200,
        delivery: resilee_sbb::DeliveryLimits {
            suspended_max: std::time::Duration::from_secs(4),
            entities_per_tree_max: 6,
            state_bytes_max: 7_000,
            attributes_max: 8,
            attribute_bytes_max: 9_000,
            names_max: 10,
            null_activities_max: 11,
        },
        ..resilee_core::Limits::default()
    };
    assert_eq!((config.limits, config.actors_max), (expected, 12));
    let units = resilee_sbb::UnitLimits {
        memory_bytes_max: 3_000_000,
        time_max: std::time::Duration::from_millis(60),
        // Of the deadline half, which is less than a hundred times as long.
        wall_max: std::time::Duration::from_millis(2_500),
        host_calls_max: 14,
    };
    assert_eq!(config.unit_limits, units);
    assert_eq!(parse(GOOD).unwrap().unit_limits, resilee_sbb::UnitLimits::default());
}

#[test]
fn a_limit_out_of_its_range_is_refused_and_so_is_what_does_not_fit_into_a_frame() {
    let line = GOOD.lines().count() + 2;
    for (text, key, what) in [
        ("entities_max = 0", "entities_max", "a number from 1 to 1024 is expected"),
        ("state_bytes_max = 1048577", "state_bytes_max", "from 1024 to 1048576"),
        ("suspended_s_max = 100000", "suspended_s_max", "from 1 to 86400"),
        ("names_max = 257", "names_max", "from 1 to 256"),
        ("unit_time_ms = 5", "unit_time_ms", "from 10 to 500"),
        (
            "unit_time_ms = 200\ndelivery_deadline_ms = 1000",
            "unit_time_ms",
            "200 ms of a processor in half of delivery_deadline_ms, which is 500 ms",
        ),
        ("unit_memory_bytes_max = 4096", "unit_memory_bytes_max", "from 2097152 to 268435456"),
        ("inbox_age_ms = 1", "inbox_age_ms", "from 100 to 60000"),
        ("entities_max = 65", "entities_max", "65 of 65536 bytes are 4259840 together"),
        ("state_bytes_max = 65537", "state_bytes_max", "4194304 may be replicated at once"),
        ("attribute_bytes_max = 20000", "attribute_bytes_max", "lower one of the two"),
        ("state_bytes = 2000", "state_bytes", "unknown field"),
    ] {
        let error = parse(&format!("{GOOD}[limits]\n{text}\n")).unwrap_err().to_string();
        assert!(error.contains(&format!("limits.{key}")), "{error}");
        assert!(error.contains(what), "{text}: {error}");
        assert!(error.contains(&line.to_string()), "line {line}: {error}");
    }
    let both = "[limits]\nentities_max = 128\nstate_bytes_max = 32768\n";
    assert!(parse(&format!("{GOOD}{both}")).is_ok());
}

/// A part of the good file, what stands there instead, the line and the key of the error, and
/// what else it says.
const BAD: &[(&str, &str, usize, &str, &str)] = &[
    ("name = \"server1\"", "name = \"Server 1\"", 3, "node.name", "lower-case letters"),
    ("name = \"server1\"", "nmae = \"server1\"", 3, "node.nmae", "expected `name` or"),
    ("name = \"server1\"", "name = 1", 3, "node.name", "expected a string (at: name = 1)"),
    ("name = \"server1\"", "name = ", 3, "node.name", "(at: name =)"),
    ("data_dir = \"data\"", "", 2, "node.data_dir", "missing field `data_dir` (at: [node])"),
    ("\"data\"", "\"cluster.key\"", 4, "node.data_dir", "is a file: a folder is expected"),
    ("\"data\"", "\"cluster.key/x\"", 4, "node.data_dir", "Not a directory"),
    ("\"data\"", "7", 4, "node.data_dir", "expected a string"),
    ("[node]", "[node", 2, "node", "(at: [node)"),
    ("[node]\nname = \"server1\"\ndata_dir = \"data\"", "", 1, "node", "missing field `node`"),
    ("127.0.0.1:5063", "127.0.0.1", 6, "sip.listen", "an IP address and a port"),
    ("127.0.0.1:5063", "localhost:5063", 6, "sip.listen", "an IP address and a port"),
    ("127.0.0.1:5063", "127.0.0.1:0", 6, "sip.listen", "other than 0"),
    ("127.0.0.1:5060", "0.0.0.0:5060", 7, "sip.behind_balancer", "0.0.0.0:5060"),
    ("127.0.0.1:5060", "127.0.0.1:5063", 7, "sip.behind_balancer", "this is sip.listen"),
    (BALANCER, "[]", 7, "sip.behind_balancer", "one address, or one of each IP version"),
    (BALANCER, "[\"127.0.0.1:5060\", \"127.0.0.1:5069\"]", 7, "sip.behind_balancer", "other IP v"),
    (BALANCER, "[\"127.0.0.1:5060\", \"[::]:5060\"]", 7, "sip.behind_balancer", "[::]:5060"),
    ("127.0.0.1:5060", "127.0.0.1:5065", 7, "sip.behind_balancer", "this is cluster.listen"),
    ("127.0.0.1:5063", "0.0.0.0:5060", 7, "sip.behind_balancer", "this is sip.listen (0.0.0.0"),
    ("behind_balancer = ", "listen = ", 7, "sip.listen", "duplicate key"),
    (
        "behind_balancer = \"127.0.0.1:5060\"",
        "advertise = \"127.0.0.1:5060\"\nbehind_balancer = \"127.0.0.1:5060\"",
        7,
        "sip.advertise",
        "remove",
    ),
    ("behind_balancer = \"127.0.0.1:5060\"", "", 10, "cluster.peers", "set behind_balancer"),
    ("127.0.0.1:5065", "192.0.2.1:5065", 9, "cluster.listen", "not a loopback address: without"),
    ("127.0.0.1:5065", "0.0.0.0:5065", 9, "cluster.listen", "that of one interface"),
    ("key_file", "certificate_file = \"x\"\nkey_file", 11, "cluster.certificate_file", KEY_MISSING),
    ("key_file", "ca_file = \"x\"\nkey_file", 11, "cluster.ca_file", "certificate_file is missing"),
    ("127.0.0.1:5065", "127.0.0.1:5063", 9, "cluster.listen", "this is sip.listen"),
    ("127.0.0.1:5065", "127.0.0.1:5066", 10, "cluster.peers.address", "this is cluster.listen"),
    ("listen = \"127.0.0.1:5065\"", "", 10, "cluster.peers", "set listen in [cluster]"),
    ("127.0.0.1:5066", "192.0.2.1:5066", 10, "cluster.peers.address", "not a loopback"),
    ("127.0.0.1:5066", "127.0.0.1:5063", 10, "cluster.peers.address", "this is sip.listen"),
    ("127.0.0.1:5066", "127.0.0.1:5060", 10, "cluster.peers.address", "this is the balancer's"),
    ("\"127.0.0.1:5066\"", "5066", 10, "cluster.peers.address", "expected a string"),
    ("\"server2\"", "\"server1\"", 10, "cluster.peers.name", "is this node itself"),
    (PEER, SAME_NAME, 11, "cluster.peers.name", "server2 is there twice"),
    (PEER, SAME_ADDRESS, 11, "cluster.peers.address", "127.0.0.1:5066 is there twice"),
    (
        "key_file",
        "balancers = [\"x\"]\nkey_file",
        11,
        "cluster.balancers",
        "1 names: 2 are expected",
    ),
    (
        "key_file",
        "balancers = [\"x\",\n\"x\"]\nkey_file",
        12,
        "cluster.balancers",
        "x is there twice",
    ),
    ("key_file", "balancers = [\"X\", \"y\"]\nkey_file", 11, "cluster.balancers", "lower-case"),
    (PEER, THREE_NODES, 11, "cluster.balancers", "with 3 nodes: beside two balancers at most 2"),
    ("[admin]", SELDOM_HEARD, 12, "cluster.balancers", "interval_ms = 81: at most 80"),
    ("key_file", "unclean = \"yes\"\nkey_file", 11, "cluster.unclean", "neither \"refuse\""),
    ("\"cluster.key\"", "\"no.key\"", 11, "cluster.key_file", "no.key: No such file"),
    ("\"cluster.key\"", "\"folder\"", 11, "cluster.key_file", "folder: Is a directory"),
    ("\"cluster.key\"", "\"empty\"", 11, "cluster.key_file", "0 bytes"),
    ("\"cluster.key\"", "\"short.key\"", 11, "cluster.key_file", "openssl rand -hex 32"),
    ("\"admin.token\"", "\"empty\"", 14, "admin.token_file", "a line of text"),
    ("127.0.0.1:8081", "8081", 13, "admin.listen", "an IP address and a port"),
    ("127.0.0.1:8081", "127.0.0.1:5065", 13, "admin.listen", "this is cluster.listen"),
    ("127.0.0.1:8081", "0.0.0.0:5065", 13, "admin.listen", "this is cluster.listen"),
    ("user = \"alice\"", "user = \"alice@x\"", 16, "account.user", "without spaces and @"),
    ("3704F5", "alice-secret", 18, "account.ha1", "32 hex digits"),
    ("\"3704F510f70c074040fe68391a5e0f36\"", "123456", 18, "account.ha1", "expected a string"),
    ("\"3704F510f70c074040fe68391a5e0f36\"", "alice-secret", 18, "account.ha1", "(at: ha1)"),
    ("ha1 = \"3704F5", "password = \"alice-secret", 18, "account.password", "unknown field"),
    ("connect_fee = \"0.05\"", "connect_fee = 0.05", 22, "tariff.connect_fee", "a string"),
    ("connect_fee = \"0.05\"", "connect_fee = \"5 ct\"", 22, "tariff.connect_fee", "5 ct"),
    ("per_minute = \"0.12\"", "per_minute = \"-1\"", 23, "tariff.per_minute", "not negative"),
    ("increment_s = 6", "increment_s = 0", 24, "tariff.increment_s", "from 1 to 3600"),
    ("increment_s = 6", "increment_s = \"6\"", 24, "tariff.increment_s", "a whole number (at: i"),
    ("_s = 6", "_s = 6\n[timers]\nt1_ms = 1", 26, "timers.t1_ms", "from 10"),
    ("_s = 6", "_s = 6\n[heartbeat]\nmissed = 1", 26, "heartbeat.missed", "from 2 to 100"),
    ("_s = 6", "_s = 6\n[calls]\nmax_s = 59", 26, "calls.max_s", "59: 0 or a number from 60"),
    (
        "_s = 6",
        "_s = 6\n[calls]\nringing_max_s = 179",
        26,
        "calls.ringing_max_s",
        "179: 0 or a number from 180 to 86400",
    ),
    ("_s = 6", "_s = 6\n[policy]\nopen = true", 26, "policy.open", "unknown field `open`"),
];

const KEY_MISSING: &str = "cluster.private_key_file is missing";
const THREE_NODES: &str = "[{ name = \"server2\", address = \"127.0.0.1:5066\" }, \
                           { name = \"server3\", address = \"127.0.0.1:5067\" }]\n\
                           balancers = [\"x\", \"y\"]";
const SELDOM_HEARD: &str = "balancers = [\"x\", \"y\"]\n[heartbeat]\ninterval_ms = 81\n[admin]";
const PEER: &str = "[{ name = \"server2\", address = \"127.0.0.1:5066\" }]";
const SAME_NAME: &str = "[{ name = \"server2\", address = \"127.0.0.1:5066\" },\n\
                         { name = \"server2\", address = \"127.0.0.1:5067\" }]";
const SAME_ADDRESS: &str = "[{ name = \"server2\", address = \"127.0.0.1:5066\" },\n\
                            { name = \"server3\", address = \"127.0.0.1:5066\" }]";

#[test]
fn a_wrong_value_is_reported_with_file_line_key_and_what_is_expected() {
    for (good, bad, line, key, words) in BAD {
        let text = GOOD.replacen(good, bad, 1);
        assert_ne!(text, GOOD, "{good}");
        let error = parse(&text).expect_err(bad).to_string();
        assert!(error.contains(&format!("/node.toml:{line}: {key}: ")), "{bad}: {error}");
        assert!(error.contains(words), "{bad}: {words:?} is missing in: {error}");
        let secrets = ["alice-secret", "123456"];
        assert!(
            !secrets.iter().any(|secret| error.contains(secret)),
            "no secrets in logs: {error}"
        );
    }
}

/// The good file with certificates, and addresses that are not of loopback.
fn encrypted() -> String {
    let files = "certificate_file = \"server1.pem\"\nprivate_key_file = \"server1-key.pem\"\n\
                 ca_file = \"ca.pem\"\n[admin]";
    let text = GOOD.replace("127.0.0.1:5065", "192.0.2.1:5065").replace("[admin]", files);
    text.replace("127.0.0.1:5066", "192.0.2.2:5066")
}

/// Reads `encrypted` beside certificates, after `change`.
fn parse_encrypted(text: &str, change: impl FnOnce(&Path)) -> Result<NodeConfig, ConfigError> {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("cluster.key"), "0123456789abcdef0123456789abcdef\n").unwrap();
    fs::write(folder.path().join("admin.token"), "token").unwrap();
    let nodes = ["server1".to_owned(), "server2".to_owned()];
    make_certificates(folder.path(), &nodes, SystemTime::now(), TRIAL_DAYS).unwrap();
    change(folder.path());
    NodeConfig::parse(&folder.path().join("node.toml"), text)
}

#[test]
fn with_certificates_the_links_may_leave_the_machine() {
    let config = parse_encrypted(&encrypted(), |_| {}).unwrap();
    assert!(config.tls.is_some());
    assert_eq!(config.cluster_listen, Some("192.0.2.1:5065".parse().unwrap()));
    let mixed = encrypted().replace("192.0.2.2:5066", "127.0.0.1:5066");
    let error = parse_encrypted(&mixed, |_| {}).unwrap_err().to_string();
    assert!(error.contains(":10: cluster.peers.address: 127.0.0.1:5066 cannot be reac"), "{error}");
}

#[test]
fn certificates_that_peers_would_refuse_are_found_at_the_start() {
    type Change = fn(&Path);
    let expired: Change = |folder| {
        let now = SystemTime::now();
        let (hour, day) = (Duration::from_secs(3600), Duration::from_secs(24 * 3600));
        let authority = Authority::new(now - day..now + day).unwrap();
        let pair = authority.sign_for("server1", now - day..now - hour).unwrap();
        fs::write(folder.join("ca.pem"), authority.certificate()).unwrap();
        fs::write(folder.join("server1.pem"), pair.certificate).unwrap();
        fs::write(folder.join("server1-key.pem"), pair.private_key).unwrap();
    };
    let early: Change = |folder| {
        let now = SystemTime::now();
        let day = Duration::from_secs(24 * 3600);
        let authority = Authority::new(now - day..now + day).unwrap();
        let pair = authority.sign_for("server1", now + day..now + 2 * day).unwrap();
        fs::write(folder.join("ca.pem"), authority.certificate()).unwrap();
        fs::write(folder.join("server1.pem"), pair.certificate).unwrap();
        fs::write(folder.join("server1-key.pem"), pair.private_key).unwrap();
    };
    let of_another: Change = |folder| {
        fs::copy(folder.join("server2.pem"), folder.join("server1.pem")).unwrap();
        fs::copy(folder.join("server2-key.pem"), folder.join("server1-key.pem")).unwrap();
    };
    let other_key: Change = |folder| {
        fs::copy(folder.join("server2-key.pem"), folder.join("server1-key.pem")).unwrap();
    };
    let other_ca: Change = |folder| {
        let now = SystemTime::now();
        let authority = Authority::new(now..now + Duration::from_secs(3600)).unwrap();
        fs::write(folder.join("ca.pem"), authority.certificate()).unwrap();
    };
    let no_pem: Change = |folder| fs::write(folder.join("server1-key.pem"), "key").unwrap();
    let cut: Change = |folder| {
        let text = fs::read_to_string(folder.join("server1.pem")).unwrap();
        fs::write(folder.join("server1.pem"), &text[..text.len() / 2]).unwrap();
    };
    let gone: Change = |folder| fs::remove_file(folder.join("ca.pem")).unwrap();
    let cases: [(Change, &str, &str); 8] = [
        (expired, ":12: cluster.certificate_file: ", "the certificate ended at "),
        (early, ":12: cluster.certificate_file: ", "is the clock of this machine right?"),
        (of_another, ":12: cluster.certificate_file: ", "but \"server1\" is expected"),
        (other_key, ":13: cluster.private_key_file: ", "not the key of the certificate"),
        (other_ca, ":14: cluster.ca_file: ", "not signed by this CA"),
        (no_pem, ":13: cluster.private_key_file: ", "BEGIN PRIVATE KEY"),
        (cut, ":12: cluster.certificate_file: ", "BEGIN CERTIFICATE"),
        (gone, ":14: cluster.ca_file: ", "ca.pem: cannot read it: No such file"),
    ];
    for (change, place, words) in cases {
        let error = parse_encrypted(&encrypted(), change).unwrap_err().to_string();
        assert!(error.contains(place) && error.contains(words), "{words}: {error}");
    }
}

#[test]
fn the_program_makes_certificates_once() {
    let folder = tempfile::tempdir().unwrap();
    let make = || {
        let mut program = Command::new(env!("CARGO_BIN_EXE_resilee"));
        program.args(["ctl", "cluster", "certificates", "--node", "server1", "--node", "server2"]);
        program.arg("--out").arg(folder.path().join("made")).output().unwrap()
    };
    let first = make();
    assert!(first.status.success());
    assert!(String::from_utf8(first.stdout).unwrap().contains("server2-key.pem"));
    let again = String::from_utf8(make().stderr).unwrap();
    assert!(again.contains("is there already and is not overwritten"), "{again}");
}

#[test]
fn what_is_there_twice_is_refused() {
    let (account, tariff) = (GOOD.find("[[account]]").unwrap(), GOOD.find("[[tariff]]").unwrap());
    let twice = [
        (
            &GOOD[account..tariff],
            ":26: account.user: \"alice\" of \"resilee.example\" is there twice",
        ),
        (&GOOD[tariff..], ":26: tariff.prefix: the prefix \"\" is there twice"),
    ];
    for (again, message) in twice {
        let error = parse(&format!("{GOOD}{again}")).expect_err("twice").to_string();
        assert!(error.contains(message), "{error}");
    }
}

#[test]
fn the_program_checks_a_file_and_says_one_line() {
    let check = |path: &Path| {
        let mut program = Command::new(env!("CARGO_BIN_EXE_resilee"));
        let output = program.args(["node", "--check", "--config"]).arg(path).output().unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("node.toml");
    let name = path.display();
    let (code, said) = check(&path);
    assert_eq!(code, Some(1));
    assert!(said.starts_with(&format!("error: {name}: cannot read this configuration")), "{said}");
    fs::write(&path, GOOD).unwrap();
    let (code, said) = check(&path);
    assert_eq!((code, said.lines().count()), (Some(1), 1), "{said}");
    assert!(said.starts_with(&format!("error: {name}:11: cluster.key_file: cannot")), "{said}");
    fs::write(folder.path().join("cluster.key"), "0123456789abcdef0123456789abcdef").unwrap();
    fs::write(folder.path().join("admin.token"), "token").unwrap();
    assert_eq!(check(&path), (Some(0), String::new()));
}

#[test]
fn the_configurations_of_the_examples_are_sound() {
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples");
    let files = ["resilient_billing/server1.toml", "resilient_billing/server2.toml"];
    for file in files {
        let config = resilee_node::load(&examples.join(file)).unwrap();
        assert!(config.behind_balancer, "{file}");
    }
}
