//! See `hostile/src/envelope.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| resilee_hostile::envelope(bytes));
