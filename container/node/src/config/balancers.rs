//! Which balancers there are, if there are two: `cluster.balancers`.

use super::file;
use resilee_config::{ConfigError, Source};
use resilee_membership::{
    BALANCERS_MAX, Balancers, NodeName, PAIR_INTERVAL_MS_MAX, PAIR_NODES_MAX,
};

const KEY: &str = "cluster.balancers";

pub(super) fn read(
    source: &Source<'_>,
    file: &file::File,
    peers: usize,
    heartbeat_ms: u64,
) -> Result<Balancers, ConfigError> {
    let Some(list) = &file.cluster.balancers else { return Ok(Balancers::default()) };
    let wrong = |what: String| source.error(KEY, list.span(), what);
    let mut names: Vec<NodeName> = Vec::new();
    for text in list.get_ref() {
        let name: NodeName = source.parse(KEY, text)?;
        if names.contains(&name) {
            let what = format!("{name} is there twice: each balancer has its own name");
            return Err(source.error(KEY, text.span(), what));
        }
        names.push(name);
    }
    if names.len() != BALANCERS_MAX {
        return Err(wrong(format!(
            "{} names: {BALANCERS_MAX} are expected, the `pair.name` of each balancer; leave this \
             key out if there is one balancer",
            names.len()
        )));
    }
    if file.sip.behind_balancer.is_none() {
        let what = "clients come by them: set behind_balancer in [sip], or remove this key";
        return Err(wrong(what.to_owned()));
    }
    if 1 + peers > PAIR_NODES_MAX {
        return Err(wrong(format!(
            "with {} nodes: beside two balancers at most {PAIR_NODES_MAX} are expected, since they \
             decide who of the two serves",
            1 + peers
        )));
    }
    if heartbeat_ms > PAIR_INTERVAL_MS_MAX {
        return Err(wrong(format!(
            "with heartbeat.interval_ms = {heartbeat_ms}: at most {PAIR_INTERVAL_MS_MAX} are \
             expected, since a balancer serves by what nodes confirm in their heartbeats"
        )));
    }
    Ok(Balancers::new(names))
}
