//! The attributes of `atelier-plugin-api`; their documentation is there.

#![forbid(unsafe_code)]

mod expand;
mod manifest;

use proc_macro::TokenStream;

/// Makes a library a plugin.
///
/// Goes on `impl Run for …`, or on `impl Plugin for …` where the plugin keeps something between runs.
/// The hooks are the methods that are there. Arguments:
///
/// - `id = "…"` (needed): lower-case letters, digits, `-` and `_`; never change it, users' settings
///   and other plugins' orders name it;
/// - `name = "…"`: what people see; the id otherwise;
/// - `before = ["…"]`, `after = ["…"]`: ids of plugins whose hooks run after, or before, this one's;
///   `"id:hook"` orders one hook only;
/// - `isolation = "worker"`: asks to be run in a process of its own;
/// - `needs(network, processes, memory_mb = 8192, cpu_seconds = 600, write = ["…"])`: what it needs there
///   beyond what every plugin has. The user sees it and grants it, or not.
#[proc_macro_attribute]
pub fn plugin(args: TokenStream, item: TokenStream) -> TokenStream {
    expand::plugin(args.into(), item.into()).unwrap_or_else(|error| error.to_compile_error()).into()
}

/// Marks the `impl Run for …` that belongs to an `impl Plugin for …` marked with [`macro@plugin`].
#[proc_macro_attribute]
pub fn plugin_run(args: TokenStream, item: TokenStream) -> TokenStream {
    expand::plugin_run(&args.into(), item.into())
        .unwrap_or_else(|error| error.to_compile_error())
        .into()
}
