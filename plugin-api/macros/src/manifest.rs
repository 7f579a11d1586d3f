//! The manifest as text, in the pieces that are known when the attribute expands.

use darling::{FromMeta, util::Flag};
use serde_json::{Map, Value, json};
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
    isolation: Option<Isolation>,
    needs: Option<Needs>,
}

/// Where the plugin wants to run.
#[derive(Clone, Copy, Debug, FromMeta)]
#[darling(rename_all = "kebab-case")]
enum Isolation {
    Worker,
}

/// What it needs in a worker beyond what every plugin has there.
#[derive(Debug, FromMeta)]
struct Needs {
    network: Flag,
    processes: Flag,
    memory_mb: Option<u64>,
    cpu_seconds: Option<u64>,
    #[darling(default)]
    write: Strings,
}

impl Needs {
    fn json(&self) -> Value {
        let mut needs = Map::new();
        let flags = [("network", self.network), ("processes", self.processes)];
        let flags = flags.into_iter().filter(|(_, flag)| flag.is_present());
        needs.extend(flags.map(|(name, _)| (name.to_owned(), json!(true))));
        let numbers = [("memory_mb", self.memory_mb), ("cpu_seconds", self.cpu_seconds)];
        let numbers = numbers.into_iter().filter_map(|(name, number)| Some((name, number?)));
        needs.extend(numbers.map(|(name, number)| (name.to_owned(), json!(number))));
        if !self.write.0.is_empty() {
            needs.insert("write".to_owned(), json!(self.write.0));
        }
        Value::Object(needs)
    }
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
        let package = std::env::var("CARGO_PKG_VERSION").unwrap_or_default();
        let fields = [
            Some(("id", json!(self.id))),
            Some(("name", json!(self.name.as_deref().unwrap_or(&self.id)))),
            Some(("version", json!(package))),
            Some(("before", json!(self.before.0))),
            Some(("after", json!(self.after.0))),
            self.isolation.map(|Isolation::Worker| ("isolation", json!("worker"))),
            self.needs.as_ref().map(|needs| ("needs", needs.json())),
        ];
        let fields = fields.into_iter().flatten();
        let fields: Vec<_> = fields.map(|(name, value)| format!("\"{name}\":{value}")).collect();
        format!("{{{},\"abi\":\"", fields.join(","))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use darling::ast::NestedMeta;
    use quote::quote;

    use super::*;

    fn arguments(tokens: proc_macro2::TokenStream) -> darling::Result<Arguments> {
        Arguments::from_list(&NestedMeta::parse_meta_list(tokens).unwrap())
    }

    /// The manifest without what only a compiled plugin knows.
    fn manifest(tokens: proc_macro2::TokenStream) -> Value {
        let mut manifest: Value =
            serde_json::from_str(&format!("{}\"}}", arguments(tokens).unwrap().head())).unwrap();
        manifest.as_object_mut().unwrap().remove("version");
        manifest
    }

    #[test]
    fn what_is_not_said_is_not_in_the_manifest() {
        let plain = json!({"id": "a", "name": "a", "before": [], "after": [], "abi": ""});
        assert_eq!(manifest(quote!(id = "a")), plain);
    }

    #[test]
    fn what_a_plugin_asks_for_is_in_the_manifest() {
        let told = manifest(quote!(
            id = "a",
            isolation = "worker",
            needs(network, memory_mb = 8192, write = ["/srv"])
        ));
        assert_eq!(told["isolation"], "worker");
        assert_eq!(told["needs"], json!({"network": true, "memory_mb": 8192, "write": ["/srv"]}));
    }

    #[test]
    fn what_nobody_knows_is_refused() {
        assert!(arguments(quote!(id = "a", isolation = "container")).is_err());
        assert!(arguments(quote!(id = "a", needs(everything))).is_err());
    }
}
