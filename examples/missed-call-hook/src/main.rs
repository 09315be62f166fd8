//! A node with the missed call hook, beside call control, billing and the registrar.

use missed_call_hook::MissedCallHook;

fn main() -> anyhow::Result<()> {
    let config = std::env::args().nth(1).unwrap_or_else(|| "node.toml".to_owned());
    resilee_node::Node::builder().service::<MissedCallHook>().config(config).run()
}
