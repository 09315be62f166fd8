//! The specification of the container: one rule, one test.
//!
//! Chapters are those of JAIN SLEE 1.1.
//!
//! A node or a pair on virtual time. The protocol and the services are toys (`toy.rs`): what an SBB
//! does at a word, a test says (`script.rs`). Nothing may be left behind (`container.rs`, and the
//! `leaks.rs` of a node and of a pair).

mod activity_contexts;
mod adaptor_life_cycles;
mod adaptors;
mod calls;
mod cell_bytes;
mod cluster_names;
mod container;
mod entity_trees;
mod event_masks;
mod event_router;
mod failures;
mod frames;
mod hangs;
#[expect(dead_code, reason = "other tests need more of it")]
#[path = "../single_node/house.rs"]
mod house;
mod housekeeping;
mod initial_events;
mod limits;
mod limits_of_two_nodes;
mod migrated_trees;
mod migrations;
mod naming;
mod null_activities;
mod numbers;
#[expect(dead_code, reason = "other tests need more of it")]
#[path = "../pair/pair.rs"]
mod pair;
mod pending_rows;
mod post;
mod priorities;
mod processed_events;
mod roll_back;
mod roots;
mod roots_takeover;
mod script;
mod shared_rows;
mod suspension;
mod takeover;
mod timers;
mod toy;
mod transactions;
mod unit_deliveries;
mod unit_joiners;
mod unit_names;
mod unit_needs;
mod unit_removals;
mod unit_retries;
mod unit_ties;
mod unit_uploads;
mod units;
mod upgrades;
