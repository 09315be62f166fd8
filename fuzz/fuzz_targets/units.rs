//! See `hostile/src/units.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| resilee_hostile::units(bytes));
