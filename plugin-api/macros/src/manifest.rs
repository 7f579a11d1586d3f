//! The manifest as text, in the pieces that are known when the attribute expands.

use darling::FromMeta;
use syn::{Expr, ExprArray, ExprLit, Lit};

/// A list of string literals: `["a", "b"]`.
#[derive(Debug, Default)]
pub(crate) struct Strings(pub(crate) Vec<String>);

impl FromMeta for Strings {
    fn from_expr(expr: &Expr) -> darling::Result<Self> {
        let Expr::Array(ExprArray { elems, .. }) = expr else {
            return Err(
                darling::Error::custom("expected a list of texts: [\"…\", \"…\"]").with_span(expr)
            );
        };
        let texts = elems.iter().map(|element| match element {
            Expr::Lit(ExprLit { lit: Lit::Str(text), .. }) => Ok(text.value()),
            other => Err(darling::Error::custom("expected a text").with_span(other)),
        });
        texts.collect::<darling::Result<_>>().map(Self)
    }
}

/// The arguments of `#[plugin(…)]`.
#[derive(Debug, FromMeta)]
pub(crate) struct Arguments {
    pub(crate) id: String,
    pub(crate) name: Option<String>,
    #[darling(default)]
    before: Strings,
    #[darling(default)]
    after: Strings,
}

impl Arguments {
    /// Why the id is no good, if it is not.
    pub(crate) fn complaint(&self) -> Option<&'static str> {
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-_".contains(c);
        if self.id.is_empty() || self.id.len() > 64 {
            return Some("a plugin's id has 1 to 64 characters");
        }
        if self.id == "host" {
            return Some("the host itself goes by the id `host`: take another");
        }
        if !self.id.chars().all(plain) {
            return Some("a plugin's id has lower-case letters, digits, `-` and `_` only");
        }
        None
    }

    /// The JSON before the ABI version. Name and version of the package are asked of the compiler,
    /// which runs for the author's crate.
    pub(crate) fn head(&self) -> String {
        let text = |value: &str| serde_json::Value::from(value).to_string();
        let list = |values: &Strings| serde_json::Value::from(values.0.clone()).to_string();
        let package = std::env::var("CARGO_PKG_VERSION").unwrap_or_default();
        format!(
            "{{\"id\":{},\"name\":{},\"version\":{},\"before\":{},\"after\":{},\"abi\":\"",
            text(&self.id),
            text(self.name.as_deref().unwrap_or(&self.id)),
            text(&package),
            list(&self.before),
            list(&self.after),
        )
    }
}
