//! What a value changes in the request of a cell.

use atelier_plugin_api::cx::ChildRequest;
use serde_json::Value as Json;

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Change {
    Nothing,
    Field(&'static str, Json),
    Size(u32, u32),
    Option(String, Json),
    Argument { plugin: String, name: String, value: Json },
    Words { from: String, to: String, negative_only: bool },
}

/// The request of a cell. Prompts are kept apart: both axes may change them.
#[derive(Clone, Debug)]
pub(crate) struct Cell {
    pub(crate) prompt: String,
    pub(crate) negative_prompt: String,
    pub(crate) request: ChildRequest,
}

impl Change {
    pub(crate) fn apply(&self, cell: Cell) -> Cell {
        let Cell { mut prompt, mut negative_prompt, request } = cell;
        let request = match self {
            Self::Nothing => request,
            Self::Field(name, value) => request.field(name, value.clone()),
            Self::Size(width, height) => request.size(*width, *height),
            Self::Option(key, value) => request.option(key, value.clone()),
            Self::Argument { plugin, name, value } => request.arg(plugin, name, value.clone()),
            Self::Words { from, to, negative_only } => {
                if !negative_only {
                    prompt = prompt.replace(from, to);
                }
                negative_prompt = negative_prompt.replace(from, to);
                request
            }
        };
        Cell { prompt, negative_prompt, request }
    }

    /// The size, where it is one that changes.
    pub(crate) fn size(&self) -> Option<(u32, u32)> {
        match self {
            Self::Size(width, height) => Some((*width, *height)),
            _ => None,
        }
    }

    /// The value, for people.
    pub(super) fn text(&self) -> String {
        match self {
            Self::Nothing => String::new(),
            Self::Size(width, height) => format!("{width}x{height}"),
            Self::Words { to, .. } => to.clone(),
            Self::Field(_, value) | Self::Option(_, value) | Self::Argument { value, .. } => {
                match value {
                    Json::String(text) => text.clone(),
                    // JSON would write 5.0.
                    Json::Number(number) if number.is_f64() => {
                        number.as_f64().unwrap_or_default().to_string()
                    }
                    other => other.to_string(),
                }
            }
        }
    }
}

impl Cell {
    /// The whole request.
    pub(crate) fn request(self) -> ChildRequest {
        self.request.prompt(&self.prompt).negative_prompt(&self.negative_prompt)
    }
}
