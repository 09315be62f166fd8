//! | file              | what is tested                                                   |
//! |-------------------|------------------------------------------------------------------|
//! | `same.rs`         | a service and its twin in Rust (`twin.rs`) answer the same       |
//! | `contained.rs`    | what a service does wrong hurts its own delivery                 |
//! | `office_hours.rs` | the example, in a cluster whose servers die                      |
//! | `units.rs`        | how units are built                                              |

mod contained;
mod office_hours;
mod same;
mod twin;
mod units;
