//! What the container's alarms come from: all of it is in this list, and nothing that is uploaded
//! may be called so, since its alarms would be taken for the container's.

macro_rules! sources {
    ($($name:ident = $text:literal: $about:literal,)*) => {
        $(#[doc = $about] pub(crate) const $name: &str = $text;)*

        /// All of them, which no unit may be called.
        pub const ALARM_SOURCES: &[&str] = &[$($name),*];
    };
}

sources! {
    BALANCER = "balancer": "The balancers, as this node hears them.",
    CLOCK = "clock": "Times that differ.",
    CLUSTER = "cluster": "The other nodes and the view; the runtime's alarms about links, too.",
    LIFE_CYCLE = "life-cycle": "Services and adaptors that are not as an operator wants them.",
    OVERLOAD = "overload": "New calls that are refused.",
    SLEE = "slee": "Handlers that hang, and events that are lost.",
    STORE = "store": "The node's store, and its votes.",
    TAKEOVER = "takeover": "What an adaptor could not take over.",
    UNIT = "unit": "Deployable units.",
}
