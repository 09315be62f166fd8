//! Makes a deployable unit of a service: [`export!`] in the crate of the service, which is then
//! built for `wasm32-unknown-unknown` (`cargo xtask unit`) and uploaded to a cluster while it runs.
//!
//! ```ignore
//! #[cfg(target_arch = "wasm32")]
//! resilee_guest::export!(MyService);
//! ```
//!
//! The unit computes whole deliveries, as a node does with a service that is linked into it, by the
//! same code. It has no clock, no file and no socket: the node gives it a delivery, and rows of
//! tables as they are read. A panic ends it; its text becomes the reason of the roll back.

#[cfg(target_arch = "wasm32")]
mod node;

#[cfg(target_arch = "wasm32")]
#[doc(hidden)]
pub use node::{answer, describe};
#[cfg(target_arch = "wasm32")]
#[doc(hidden)]
pub use resilee_sbb::LinkedSbb;

/// The two sides of a unit, generated of `wit/sbb.wit`.
#[cfg(target_arch = "wasm32")]
#[doc(hidden)]
#[allow(missing_docs, reason = "generated")]
pub mod bindings {
    wit_bindgen::generate!({
        path: "wit",
        world: "sbb",
        pub_export_macro: true,
        export_macro_name: "export_unit",
        default_bindings_module: "resilee_guest::bindings",
    });
}

/// Exports services as a unit: `resilee_guest::export!(MyService)`. Once in a crate, which has the
/// crate type `cdylib` besides `lib`, under `#[cfg(target_arch = "wasm32")]`.
#[macro_export]
macro_rules! export {
    ($($service:ty),+ $(,)?) => {
        const _: () = {
            struct Unit;

            impl $crate::bindings::exports::resilee::sbb::unit::Guest for Unit {
                fn describe() -> Vec<u8> {
                    $crate::describe(&[$($crate::LinkedSbb::of::<$service>()),+])
                }

                fn deliver(service: String, delivery: Vec<u8>) -> Vec<u8> {
                    let services = [$($crate::LinkedSbb::of::<$service>()),+];
                    $crate::answer(&services, &service, &delivery)
                }
            }

            $crate::bindings::export_unit!(Unit with_types_in $crate::bindings);
        };
    };
}
