//! A node with call screening linked into it, beside call control, billing and the registrar.

use call_screening::CallScreening;

fn main() -> anyhow::Result<()> {
    let config = std::env::args().nth(1).unwrap_or_else(|| "node.toml".to_owned());
    resilee_node::Node::builder().service::<CallScreening>().config(config).run()
}
