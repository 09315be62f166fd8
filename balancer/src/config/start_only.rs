//! Which keys are read at the start only, and whether a file that was read again changes one.
//!
//! | keys                                                    | at run time                       |
//! |---------------------------------------------------------|-----------------------------------|
//! | `algorithm`, `[[server]] weight`                        | for new calls from then on        |
//! | `[heartbeat]`, `[health]`, `[protection]`               | from then on; bans stay           |
//! | `listen`, `tcp_listen`, `nodes_listen`, `[metrics]`     | refused: sockets are open         |
//! | `[[server]]`: which there are, their names, addresses   | refused: they vote with the seat  |
//! | `key_file`, `state_file`, `[tcp]`, `[timers]`, `[pair]` | refused: in use since the start   |
//!
//! A file that changes one of the last three rows is refused whole: no half of it is taken.

use super::{Config, File};
use resilee_config::{ConfigError, Located, Place, Source};
use std::ops::Range;

/// Each key with its value as text, and why it cannot change.
pub(super) type StartOnly = Vec<(Located<String>, &'static str)>;

const SOCKETS: &str = "its socket is open since the start";
const VOTERS: &str = "which servers there are is fixed while it runs, since they vote with the \
                      balancer, and their views name them";
const IN_USE: &str = "it is in use since the start";

impl Config {
    /// Checks that `new`, the same file read again, may be taken while this one runs.
    ///
    /// # Errors
    /// The first key that is changed and is read at the start only.
    pub fn check_reload(&self, new: &Config) -> Result<(), ConfigError> {
        let mut keys = self.start_only.iter().zip(&new.start_only);
        match keys.find(|((running, _), (new, _))| running.value != new.value) {
            None => Ok(()),
            Some((_, (changed, why))) => Err(changed.place.error(format!(
                "changed, and {why}: restart the balancer for it, or put back what it was; until \
                 then nothing of this file is taken"
            ))),
        }
    }
}

/// The keys of a file in one order.
pub(super) fn collect(source: &Source<'_>, file: &File, config: &Config) -> StartOnly {
    let at = |key, span: Option<Range<usize>>| match span {
        Some(span) => source.place(key, span),
        None => source.absent(key),
    };
    let key = |place: Place, value: String, why| (Located { value, place }, why);
    let balancer = &config.balancer;
    let servers: Vec<_> = balancer.servers.iter().map(|it| (&it.name, it.address)).collect();
    let tcp_listen: Option<Vec<_>> =
        config.tcp_listen.as_ref().map(|it| it.iter().map(|it| it.value).collect());
    let value = |it: &Option<Located<_>>| format!("{:?}", it.as_ref().map(|it| it.value));
    let metrics = config.metrics_listen.as_ref().map(|it| it.place.clone());
    vec![
        key(at("listen", Some(file.listen.span())), format!("{:?}", balancer.listen), SOCKETS),
        key(
            at("tcp_listen", file.tcp_listen.as_ref().map(toml::Spanned::span)),
            format!("{tcp_listen:?}"),
            SOCKETS,
        ),
        key(
            at("nodes_listen", file.nodes_listen.as_ref().map(toml::Spanned::span)),
            value(&config.nodes_listen),
            SOCKETS,
        ),
        key(
            metrics.unwrap_or_else(|| source.absent("metrics.listen")),
            value(&config.metrics_listen),
            SOCKETS,
        ),
        key(at("server", Some(file.server.span())), format!("{servers:?}"), VOTERS),
        key(config.key_file.place.clone(), config.key_file.value.display().to_string(), IN_USE),
        key(config.state_file.place.clone(), config.state_file.value.display().to_string(), IN_USE),
        key(
            source.absent("pair"),
            format!("{:?} {:?}", balancer.pair, config.interface.as_ref().map(|it| &it.value)),
            IN_USE,
        ),
        key(source.absent("tcp"), format!("{:?}", config.tcp_limits), IN_USE),
        key(
            at("timers.t1_ms", file.timers.t1_ms.as_ref().map(toml::Spanned::span)),
            config.timers.t1_ms.to_string(),
            IN_USE,
        ),
    ]
}
