//! What end-to-end tests are made of: processes, phones, a browser, and conditions to wait for.

pub mod browser;
pub mod cluster;
pub mod condition;
pub mod handset;
pub mod line;
pub mod load;
pub mod ports;
pub mod process;
pub mod rest;
pub mod sipp;
pub mod small_disk;
pub mod softphone;
pub mod system_program;
pub mod units;
pub mod web_driver;
pub mod web_target;
