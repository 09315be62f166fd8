//! See `hostile/src/units.rs`.
#![no_main]

// A node catches what the compiler and its parsers panic at, and so does this: only a panic that
// nobody catches ends it.
libfuzzer_sys::fuzz_target!(
    init: std::panic::set_hook(Box::new(|_| ())),
    |bytes: &[u8]| resilee_hostile::units(bytes)
);
