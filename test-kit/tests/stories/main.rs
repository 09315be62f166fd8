//! Stories of two phones that call each other over a bad network, on a virtual clock.

mod calls;
mod crossings;
mod registrations;
mod relay;
mod wire;
