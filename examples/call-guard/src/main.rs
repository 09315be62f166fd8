//! A node with the call guard, beside call control, billing and the registrar.

use call_guard::{CallCounter, CallGuard};

fn main() -> anyhow::Result<()> {
    let config = std::env::args().nth(1).unwrap_or_else(|| "node.toml".to_owned());
    let node = resilee_node::Node::builder().service::<CallGuard>().service::<CallCounter>();
    node.config(config).run()
}
