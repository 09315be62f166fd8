//! Units of services in JavaScript, built from their source by `cargo xtask unit`. All of it is in
//! one module, since `cargo xtask test` leaves its tests out by that name where there is no npm.

mod javascript;
