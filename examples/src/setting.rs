//! Which processes a story has, and their property files. The files are copied into the data folder
//! with the ports of the run, so that what runs can be read and run again by hand.

use std::net::Ipv4Addr;

/// See the module.
#[derive(Clone, Copy, Debug)]
pub struct Setting {
    /// Names of the balancers, and the role in which each is started.
    pub balancers: &'static [(&'static str, &'static str)],
    /// Property files, and the key and the token that they name.
    pub files: &'static [(&'static str, &'static str)],
    /// The address of the phones.
    pub entry: Ipv4Addr,
}

/// Two servers behind one balancer, whose sockets a parent keeps.
pub const ONE_BALANCER: Setting = Setting {
    balancers: &[("balancer", "balancer")],
    files: &[
        ("balancer.toml", include_str!("../resilient_billing/balancer.toml")),
        ("server1.toml", include_str!("../resilient_billing/server1.toml")),
        ("server2.toml", include_str!("../resilient_billing/server2.toml")),
        ("cluster.key", include_str!("../resilient_billing/cluster.key")),
        ("admin.token", include_str!("../resilient_billing/admin.token")),
    ],
    entry: Ipv4Addr::LOCALHOST,
};

/// Two servers behind two balancers, of which one is at the phones' address.
pub const TWO_BALANCERS: Setting = Setting {
    balancers: &[("balancer1", "balancer-worker"), ("balancer2", "balancer-worker")],
    files: &[
        ("balancer1.toml", include_str!("../resilient_balancers/balancer1.toml")),
        ("balancer2.toml", include_str!("../resilient_balancers/balancer2.toml")),
        ("server1.toml", include_str!("../resilient_balancers/server1.toml")),
        ("server2.toml", include_str!("../resilient_balancers/server2.toml")),
        ("cluster.key", include_str!("../resilient_balancers/cluster.key")),
        ("admin.token", include_str!("../resilient_balancers/admin.token")),
    ],
    entry: Ipv4Addr::new(127, 0, 0, 2),
};
