//! The arguments of a plugin in a request.

use crate::{
    OptionError,
    options::{FromOption, IntoOption as _},
};

/// The plugin's arguments for this run, by name, defaults filled in from its
/// [`ArgSpec`](crate::ArgSpec)s.
#[derive(Clone, Debug, Default)]
pub struct Args(pub(crate) serde_json::Map<String, serde_json::Value>);

impl Args {
    /// Reads an argument.
    ///
    /// # Errors
    /// An argument that the plugin did not declare, or another type.
    pub fn get<T: FromOption>(&self, name: &str) -> Result<T, OptionError> {
        let value = self.0.get(name).ok_or_else(|| {
            let known: Vec<&str> = self.0.keys().map(String::as_str).collect();
            OptionError::Unknown(format!(
                "no argument “{name}” is declared; there are: {}",
                if known.is_empty() { "none".to_owned() } else { known.join(", ") }
            ))
        })?;
        value.lend(|lent| {
            T::from_option(lent).ok_or_else(|| OptionError::Type {
                key: name.to_owned(),
                wanted: T::WANTED,
                found: lent.kind_name().to_owned(),
            })
        })
    }
}
