//! A node with wake-up calls, beside call control, billing and the registrar.

use wake_up_call::{BookingDesk, WakeUp};

fn main() -> anyhow::Result<()> {
    let config = std::env::args().nth(1).unwrap_or_else(|| "node.toml".to_owned());
    let node = resilee_node::Node::builder().service::<BookingDesk>().service::<WakeUp>();
    node.config(config).run()
}
