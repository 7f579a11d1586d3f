//! What the attributes turn an `impl` block into.

use darling::{FromMeta, ast::NestedMeta};
use proc_macro2::{Span, TokenStream};
use quote::quote;
use syn::{ImplItem, ItemImpl, Result, Type, spanned::Spanned};

use crate::manifest::Arguments;

/// Methods of the two traits that are no hooks.
const NO_HOOKS: [&str; 4] = ["options", "args", "create", "start"];
/// Methods of `Run` that are the plugin's own matter; where there is a `Plugin`, they are its.
const OF_THE_PLUGIN: [&str; 5] = ["options", "args", "start", "model_loaded", "before_process"];

#[derive(Clone, Copy, PartialEq)]
enum Trait {
    Plugin,
    Run,
}

fn which(block: &ItemImpl) -> Result<Trait> {
    let path = block.trait_.as_ref().map(|(_, path, _)| path);
    match path.and_then(|path| path.segments.last()).map(|last| last.ident.to_string()).as_deref() {
        Some("Plugin") => Ok(Trait::Plugin),
        Some("Run") => Ok(Trait::Run),
        _ => Err(syn::Error::new(
            block.span(),
            "#[plugin] goes on `impl Run for YourType` or `impl Plugin for YourType`",
        )),
    }
}

fn methods(block: &ItemImpl) -> Vec<String> {
    let names = block.items.iter().filter_map(|item| match item {
        ImplItem::Fn(method) => Some(method.sig.ident.to_string()),
        _ => None,
    });
    names.collect()
}

/// The hooks of a block as pieces of JSON: `"a","b"`.
fn hooks_json(block: &ItemImpl) -> String {
    let hooks = methods(block).into_iter().filter(|name| !NO_HOOKS.contains(&name.as_str()));
    hooks.map(|name| format!("\"{name}\"")).collect::<Vec<_>>().join(",")
}

fn declared_hooks(block: &ItemImpl) -> TokenStream {
    let (this, hooks) = (&block.self_ty, hooks_json(block));
    quote! {
        #[doc(hidden)]
        impl ::atelier_plugin_api::expanded::DeclaredHooks for #this {
            const HOOKS: &'static str = #hooks;
        }
    }
}

fn plain(block: &ItemImpl) -> Result<()> {
    if block.generics.params.is_empty() {
        return Ok(());
    }
    Err(syn::Error::new(block.generics.span(), "a plugin is one type: it cannot be generic"))
}

pub(crate) fn plugin_run(args: &TokenStream, item: TokenStream) -> Result<TokenStream> {
    let block: ItemImpl = syn::parse2(item)?;
    if !args.is_empty() {
        return Err(syn::Error::new(args.span(), "#[plugin_run] takes no arguments"));
    }
    plain(&block)?;
    if which(&block)? != Trait::Run {
        return Err(syn::Error::new(block.span(), "#[plugin_run] goes on `impl Run for …`"));
    }
    for item in &block.items {
        if let ImplItem::Fn(method) = item
            && OF_THE_PLUGIN.contains(&method.sig.ident.to_string().as_str())
        {
            return Err(syn::Error::new(
                method.sig.ident.span(),
                "this belongs to the `impl Plugin for …` here: it would never be called",
            ));
        }
    }
    let declared = declared_hooks(&block);
    Ok(quote! { #block #declared })
}

pub(crate) fn plugin(args: TokenStream, item: TokenStream) -> Result<TokenStream> {
    let block: ItemImpl = syn::parse2(item)?;
    plain(&block)?;
    let arguments = Arguments::from_list(&NestedMeta::parse_meta_list(args)?)?;
    if let Some(complaint) = arguments.complaint() {
        return Err(syn::Error::new(Span::call_site(), complaint));
    }
    let this: &Type = &block.self_ty;
    let kind = which(&block)?;
    let has_start = methods(&block).iter().any(|name| name == "start");
    if kind == Trait::Run && !has_start {
        return Err(syn::Error::new(
            block.span(),
            "a plugin needs `fn start(cx: &RunStart<'_>) -> Result<Self, PluginError>`: it makes \
             the instance for a run",
        ));
    }
    let declared = declared_hooks(&block);
    let (plugin, run_hooks) = match kind {
        Trait::Run => (quote!(::atelier_plugin_api::expanded::Standalone<#this>), quote!("")),
        Trait::Plugin => {
            let run = quote!(<#this as ::atelier_plugin_api::expanded::Plugin>::Run);
            let hooks = quote!(<#run as ::atelier_plugin_api::expanded::DeclaredHooks>::HOOKS);
            (quote!(#this), hooks)
        }
    };
    let head = arguments.head();
    Ok(quote! {
        #block
        #declared

        #[allow(unsafe_code, reason = "exporting symbols is what makes a library a plugin")]
        const _: () = {
            use ::atelier_plugin_api::expanded::{
                self as api,
                abi_stable::{library as header, library::RootModuleResult},
                manifest::{Manifest, join, joined_len},
            };

            const PLUGIN_HOOKS: &str = <#this as api::DeclaredHooks>::HOOKS;
            const RUN_HOOKS: &str = #run_hooks;
            const BOTH: bool = !PLUGIN_HOOKS.is_empty() && !RUN_HOOKS.is_empty();
            const PARTS: &[&str] = &[
                #head,
                api::ABI_VERSION_TEXT,
                "\",\"panic\":\"",
                if cfg!(panic = "unwind") { "unwind" } else { "abort" },
                "\",\"hooks\":[",
                PLUGIN_HOOKS,
                if BOTH { "," } else { "" },
                RUN_HOOKS,
                "]}",
            ];
            const LENGTH: usize = joined_len(PARTS);
            static JSON: [u8; LENGTH] = join(PARTS);

            #[used]
            #[unsafe(no_mangle)]
            #[cfg_attr(target_os = "linux", unsafe(link_section = ".atelier"))]
            #[cfg_attr(target_os = "macos", unsafe(link_section = "__DATA,__atelier"))]
            #[cfg_attr(target_os = "windows", unsafe(link_section = ".atelier"))]
            pub static ATELIER_PLUGIN_MANIFEST: Manifest<LENGTH> = Manifest::new(join(PARTS));

            #[derive(Debug)]
            struct Text;
            impl api::ManifestText for Text {
                const JSON: &'static str = match ::core::str::from_utf8(&JSON) {
                    Ok(text) => text,
                    Err(_) => "",
                };
            }

            impl api::LinkedPlugin for #this {
                fn linked() -> api::Module {
                    api::linked::<#plugin, Text>()
                }
            }

            fn module() -> api::PluginModuleRef {
                api::Exports::<api::Adapter<#plugin, Text>>::module()
            }
            extern "C" fn construct() -> RootModuleResult {
                header::__call_root_module_loader(module)
            }

            #[unsafe(export_name = "_1as_0lib_1header_0root_bmodule_bloader")]
            pub static ROOT_MODULE_LOADER: header::LibHeader =
                // SAFETY: `construct` makes the very type named here.
                unsafe {
                    header::LibHeader::from_constructor::<api::PluginModuleRef>(
                        construct,
                        header::CheckTypeLayout::Yes,
                    )
                };
        };
    })
}
