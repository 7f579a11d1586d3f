//! `cargo xtask header`: the boundary as a C header.
//!
//! cbindgen reads the structs and tables as they stand. The codes are written by a macro, which it
//! does not expand: they are turned into plain enums first. What only C authors need (the manifest,
//! shorthands) is written by hand and appended.

use std::{fmt::Write as _, fs, process::ExitCode};

use anyhow::{Context as _, Result, bail};
use quote::ToTokens as _;
use syn::{
    Attribute, Ident, Item, LitInt, LitStr, Token, Visibility, braced,
    parse::{Parse, ParseStream},
};

/// Where the header is, from the checkout's root.
const HEADER: &str = "plugin-api/include/atelier_plugin.h";
/// The part that is written by hand.
const SHORTHANDS: &str = "plugin-api/include/shorthands.h";

/// Writes the header.
pub(crate) fn write() -> Result<ExitCode> {
    let header = crate::build::root().join(HEADER);
    fs::write(&header, generate()?)
        .with_context(|| format!("cannot write {}", header.display()))?;
    println!("{}", header.display());
    Ok(ExitCode::SUCCESS)
}

/// Fails where the header is not what would be written.
pub(crate) fn check() -> Result<ExitCode> {
    let there = fs::read_to_string(crate::build::root().join(HEADER)).unwrap_or_default();
    if there != generate()? {
        bail!("{HEADER} is stale; write it again with `cargo xtask header` and commit it");
    }
    println!("{HEADER} is up to date");
    Ok(ExitCode::SUCCESS)
}

fn generate() -> Result<String> {
    let sources = crate::build::root().join("plugin-api/abi/src");
    let read = |name: &str| {
        let path = sources.join(name);
        fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))
    };
    let mut source = plain_codes(&read("codes.rs")?)?;
    for file in ["frame.rs", "tables.rs"] {
        // What belongs to a file as a whole cannot stand in the middle of one.
        let text = read(file)?;
        let lines =
            text.lines().filter(|line| !line.starts_with("//!") && !line.starts_with("#!["));
        source.extend(lines.flat_map(|line| [line, "\n"]));
    }
    // Links between Rust's docs mean nothing in C.
    let source = source.replace("[`crate::codes::", "[`").replace("[`crate::", "[`");
    let file = tempfile::Builder::new().suffix(".rs").tempfile()?;
    fs::write(file.path(), source)?;
    let shorthands = fs::read_to_string(crate::build::root().join(SHORTHANDS))
        .with_context(|| format!("cannot read {SHORTHANDS}"))?;
    let bindings = cbindgen::Builder::new()
        .with_src(file.path())
        .with_config(config(shorthands, versions()?))
        .generate()
        .context("cbindgen cannot read the boundary's types")?;
    let mut bytes = Vec::new();
    bindings.write(&mut bytes);
    Ok(finish(&unlinked(&String::from_utf8(bytes)?)))
}

fn config(shorthands: String, versions: String) -> cbindgen::Config {
    let codes = [
        "Hook",
        "Field",
        "Buffer",
        "ListOp",
        "OptionSource",
        "OptionTarget",
        "Service",
        "Status",
        "Level",
        "ValueKind",
        "Element",
    ];
    let mut config = cbindgen::Config {
        language: cbindgen::Language::C,
        header: Some(HEAD.to_owned()),
        trailer: Some(shorthands),
        include_guard: Some("ATELIER_PLUGIN_H".to_owned()),
        after_includes: Some(versions),
        no_includes: true,
        sys_includes: vec!["stddef.h".to_owned(), "stdint.h".to_owned(), "string.h".to_owned()],
        cpp_compat: true,
        usize_is_size_t: true,
        documentation_style: cbindgen::DocumentationStyle::C99,
        line_length: 100,
        style: cbindgen::Style::Both,
        ..cbindgen::Config::default()
    };
    config.export.prefix = Some("Atelier".to_owned());
    // Codes cross as plain numbers: nothing in a struct or signature mentions their enums.
    config.export.include = codes.map(str::to_owned).to_vec();
    config.export.include.extend(["Host", "Sink", "PluginTable", "Call"].map(str::to_owned));
    config.export.exclude = ["PluginModule", "C_SYMBOL", "Opaque"].map(str::to_owned).to_vec();
    config.enumeration.prefix_with_name = true;
    config.enumeration.rename_variants = cbindgen::RenameRule::ScreamingSnakeCase;
    config
}

/// The version of the ABI, which is that of its package.
fn versions() -> Result<String> {
    let manifest = fs::read_to_string(crate::build::root().join("plugin-api/abi/Cargo.toml"))?;
    let version = manifest.lines().find_map(|line| line.strip_prefix("version = \""));
    let mut numbers = version.context("plugin-api/abi/Cargo.toml has no version")?.split('.');
    let (Some(major), Some(minor)) = (numbers.next(), numbers.next()) else {
        bail!("the version in plugin-api/abi/Cargo.toml is none");
    };
    Ok(format!(
        "// The version of the ABI that this header describes.\n\
         #define ATELIER_ABI_MAJOR {major}\n\
         #define ATELIER_ABI_MINOR {minor}\n\
         #define ATELIER_ABI_VERSION \"{major}.{minor}\"\n"
    ))
}

const HEAD: &str = "\
/* Atelier's plugin boundary for C and C++.
 *
 * Written by `cargo xtask header` from plugin-api/abi: do not edit it. docs/c-plugins.md says how a
 * plugin is made with it, docs/abi.md what may change and what never.
 */";

/// One invocation of `codes!`.
struct Codes {
    attributes: Vec<Attribute>,
    name: Ident,
    variants: Vec<(Vec<Attribute>, Ident, LitInt)>,
}

impl Parse for Codes {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let attributes = input.call(Attribute::parse_outer)?;
        input.parse::<Visibility>()?;
        input.parse::<Token![enum]>()?;
        let name = input.parse()?;
        let inside;
        braced!(inside in input);
        let mut variants = Vec::new();
        while !inside.is_empty() {
            let attributes = inside.call(Attribute::parse_outer)?;
            let variant = inside.parse()?;
            inside.parse::<Token![=]>()?;
            let code = inside.parse()?;
            inside.parse::<Token![=>]>()?;
            inside.parse::<LitStr>()?;
            inside.parse::<Token![,]>()?;
            variants.push((attributes, variant, code));
        }
        Ok(Self { attributes, name, variants })
    }
}

/// The codes as plain enums, with the constants beside them.
fn plain_codes(source: &str) -> Result<String> {
    let mut plain = String::new();
    let docs = |attributes: &[Attribute]| {
        attributes
            .iter()
            .map(|doc| doc.to_token_stream().to_string())
            .collect::<Vec<_>>()
            .join("\n")
    };
    for item in syn::parse_file(source)?.items {
        match item {
            Item::Macro(call) if call.mac.path.is_ident("codes") => {
                let Codes { attributes, name, variants } = syn::parse2(call.mac.tokens)?;
                writeln!(plain, "{}\n#[repr(C)]\npub enum {name} {{", docs(&attributes))?;
                for (attributes, variant, code) in variants {
                    writeln!(plain, "{}\n{variant} = {code},", docs(&attributes))?;
                }
                plain.push_str("}\n");
            }
            Item::Const(constant) => writeln!(plain, "{}", constant.to_token_stream())?,
            _ => {}
        }
    }
    Ok(plain)
}

/// What C says in another way than cbindgen does.
fn finish(text: &str) -> String {
    text.replace("AtelierOpaque", "void")
        .replace("AtelierCOUNT", "ATELIER_COUNT")
        .replace("AtelierMAX_RANK", "ATELIER_MAX_RANK")
        .replace("IMG2_IMG", "IMG2IMG")
}

/// Rust's links as plain words: ``[`Hook`]`` and ``[`Hook`](path)`` become `Hook`.
fn unlinked(text: &str) -> String {
    let mut plain = String::new();
    let mut rest = text;
    while let Some(at) = rest.find("[`") {
        plain.push_str(&rest[..at]);
        rest = &rest[at + 2..];
        let Some(end) = rest.find("`]") else { break };
        plain.push_str(&rest[..end].replace("::", "."));
        rest = &rest[end + 2..];
        if let (true, Some(close)) = (rest.starts_with('('), rest.find(')')) {
            rest = &rest[close + 1..];
        }
    }
    plain.push_str(rest);
    plain
}
