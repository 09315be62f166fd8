//! A node with call forwarding on no answer, beside call control, billing and the registrar.

use call_forward_no_answer::CallForward;

fn main() -> anyhow::Result<()> {
    let config = std::env::args().nth(1).unwrap_or_else(|| "node.toml".to_owned());
    resilee_node::Node::builder().service::<CallForward>().config(config).run()
}
