//! A node with my service, beside call control, billing and the registrar.

use my_service::MyService;

fn main() -> anyhow::Result<()> {
    let config = std::env::args().nth(1).unwrap_or_else(|| "node.toml".to_owned());
    resilee_node::Node::builder().service::<MyService>().config(config).run()
}
