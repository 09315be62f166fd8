//! Nobody here calls premium numbers; and how long the others talked stands in the log.
//!
//! | version                | in each call           | in the cluster              |
//! |------------------------|------------------------|-----------------------------|
//! | [`CallScreening`] 1.0  | [`ScreenedCall`]       |                             |
//! | [`CallScreening2`] 2.0 | the same, more numbers | how many calls were refused |
//!
//! Two versions are two services, each a unit of its own: the second one is deployed beside the
//! first and replaces it while calls run. A call stays with the version that began it, until an
//! operator migrates it.

mod first;
mod screened_call;
mod second;

pub use first::CallScreening;
pub use screened_call::ScreenedCall;
pub use second::{CallScreening2, FORGOTTEN_AFTER};

#[cfg(all(target_arch = "wasm32", not(feature = "version-2")))]
resilee_guest::export!(CallScreening);

#[cfg(all(target_arch = "wasm32", feature = "version-2"))]
resilee_guest::export!(CallScreening2);
