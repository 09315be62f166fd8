//! The site against a made-up node: each page and each resource, without sockets or a browser.

mod fake_node;
mod fake_profiles;
mod fake_units;

mod bills;
mod cluster;
mod events;
mod facilities;
mod hostile;
mod housekeeping;
mod overview;
mod profiles;
mod rest;
mod serving;
mod site;
mod units;
