//! Write plugins for Atelier, a native host for image-generation plugins.
//!
//! A plugin is a Rust type with hooks. This one is complete: it darkens every picture by the share
//! that an option says, and reads that option from the run's snapshot, so that the same run gives
//! the same picture whatever happens to the option meanwhile.
//!
//! ```
//! use atelier_plugin_api::prelude::*;
//!
//! /// Darkens every finished picture.
//! pub struct Dim {
//!     keep: f64,
//! }
//!
//! #[plugin(id = "dim", name = "Dim")]
//! impl Run for Dim {
//!     fn options() -> Vec<OptionSpec> {
//!         vec![OptionSpec::float("dim_keep", 0.5).range(0.0, 1.0).label("Light to keep")]
//!     }
//!
//!     fn start(cx: &RunStart<'_>) -> Result<Self, PluginError> {
//!         Ok(Self { keep: cx.snapshot().get("dim_keep")? })
//!     }
//!
//!     fn postprocess_image(&mut self, cx: &mut ImageCx<'_>) -> HookResult {
//!         for byte in cx.image_mut().data {
//!             *byte = (f64::from(*byte) * self.keep) as u8;
//!         }
//!         Ok(())
//!     }
//! }
//! # fn main() {}
//! ```
//!
//! Build it as a `cdylib` with this crate as its one dependency, install it with
//! `atelier plugins install --trust FILE`, and its hooks are called. A plugin that keeps reading live options, as every
//! extension of A1111's web UI does, says `cx.live()` where this one says `cx.snapshot()`.
//!
//! The names and the order of hooks are those of A1111 v1.10.1; [`Run`] lists them.

#![deny(missing_docs)]
#![forbid(unsafe_code)]

mod adapter;
mod args;
pub mod cx;
mod error;
mod forward;
mod hooks;
mod options;
mod spec;
mod views;

pub use args::Args;
pub use atelier_plugin_abi::{Level, version::AbiVersion};
pub use atelier_plugin_macros::{plugin, plugin_run};
pub use error::{HookResult, OptionError, PluginError};
pub use hooks::{LinkedPlugin, Plugin, Run};
pub use options::{FromOption, IntoOption, Live, Overrides, RunOptions, Snapshot};
pub use spec::{ArgSpec, OptionSpec};
pub use views::{
    Conditioning, ConditioningMut, Image, ImageMut, Mask, MaskMut, Overlay, OverlayMut,
    OwnedConditioning, OwnedTensor, Tensor, TensorMut,
};

/// Everything a plugin usually needs.
pub mod prelude {
    pub use crate::{
        ArgSpec, Args, Conditioning, ConditioningMut, HookResult, Image, ImageMut, Level, Live,
        Mask, MaskMut, OptionError, OptionSpec, Overlay, OverlayMut, OwnedConditioning,
        OwnedTensor, Plugin, PluginError, Run, RunOptions, Snapshot, Tensor, TensorMut, cx::*,
        plugin, plugin_run,
    };
}

/// What the attributes expand to; not for people.
#[doc(hidden)]
pub mod expanded {
    pub use atelier_plugin_abi::{
        abi_stable, host::Module, manifest, plugin::Exports, tables::PluginModuleRef,
        version::ABI_VERSION_TEXT,
    };

    pub use crate::{
        adapter::{Adapter, DeclaredHooks, ManifestText, Standalone, linked},
        hooks::{LinkedPlugin, Plugin, Run},
    };
}

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
