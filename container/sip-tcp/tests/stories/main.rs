//! What becomes of TCP clients, as stories in virtual time.

mod connecting;
mod repeating;
mod stage;
