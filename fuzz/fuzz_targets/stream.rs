//! See `hostile/src/stream.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| resilee_hostile::stream(bytes));
