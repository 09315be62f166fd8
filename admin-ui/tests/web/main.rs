//! The site against a made-up node: each page and each resource, without sockets or a browser.

mod fake_node;

mod bills;
mod cluster;
mod events;
mod facilities;
mod hostile;
mod overview;
mod rest;
mod serving;
mod site;
