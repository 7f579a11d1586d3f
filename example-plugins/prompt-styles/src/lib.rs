//! Puts a style before and after every prompt, as users keep them in their settings.
//!
//! This is the *unmigrated* plugin: it asks for live options at the moment it needs them, as every
//! extension of A1111's web UI does, and knows nothing of snapshots. It works for ever; what it costs
//! is that a setting changed in mid-run splits the run in two, which the host then shows.

#![deny(missing_docs, unsafe_code)]

use atelier_plugin_api::prelude::*;

const ENABLED: &str = "prompt_styles_enabled";
const PREFIX: &str = "prompt_styles_prefix";
const SUFFIX: &str = "prompt_styles_suffix";

/// Nothing is kept from hook to hook: each one asks again.
#[derive(Debug)]
pub struct PromptStyles;

#[plugin(id = "prompt-styles", name = "Prompt styles")]
impl Run for PromptStyles {
    fn options() -> Vec<OptionSpec> {
        vec![
            OptionSpec::bool(ENABLED, true).label("Add the style to every prompt"),
            OptionSpec::text(PREFIX, "")
                .label("Style before the prompt")
                .doc("Stands before every prompt, with a comma behind it."),
            OptionSpec::text(SUFFIX, "")
                .label("Style after the prompt")
                .doc("Stands after every prompt, with a comma before it. Read in every iteration."),
        ]
    }

    fn start(_: &RunStart<'_>) -> Result<Self, PluginError> {
        Ok(Self)
    }

    /// The prefix becomes part of all prompts of the run, and so of every infotext.
    fn process(&mut self, cx: &mut RunCx<'_>) -> HookResult {
        if !cx.live().get(ENABLED)? {
            return Ok(());
        }
        let prefix: String = cx.live().get(PREFIX)?;
        for (index, prompt) in cx.all_prompts().iter().enumerate() {
            cx.set_prompt(index, &joined(&prefix, prompt))?;
        }
        note(&prefix, |style| cx.infotext("Prompt prefix", style))
    }

    /// The suffix is looked up anew for every iteration: who changes it while a long run draws sees
    /// the change in the next pictures. Handy, and the reason why such a run cannot be repeated from
    /// its settings.
    fn before_process_batch(&mut self, cx: &mut BatchCx<'_>) -> HookResult {
        if !cx.live().get(ENABLED)? {
            return Ok(());
        }
        let suffix: String = cx.live().get(SUFFIX)?;
        for (index, prompt) in cx.prompts().iter().enumerate() {
            cx.set_prompt(index, &joined(prompt, &suffix))?;
        }
        note(&suffix, |style| cx.infotext("Prompt suffix", style))
    }
}

/// Tells the infotext of a style, where there is one.
fn note(style: &str, write: impl FnOnce(&str) -> HookResult) -> HookResult {
    match style.trim() {
        "" => Ok(()),
        style => write(style),
    }
}

/// Both texts with one comma between them, as A1111 v1.10.1 joins its own styles. Where one of them
/// says nothing the other stays as it was typed.
fn joined(first: &str, second: &str) -> String {
    let bare = |text: &str| text.trim().trim_matches(',').trim().to_owned();
    match (bare(first), bare(second)) {
        (_, second) if second.is_empty() => first.to_owned(),
        (first, _) if first.is_empty() => second.to_owned(),
        (first, second) => format!("{first}, {second}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_style_and_a_prompt_have_a_comma_between_them() {
        assert_eq!(joined("flat colours", "a red apple"), "flat colours, a red apple");
        assert_eq!(joined("flat colours, ", " a red apple"), "flat colours, a red apple");
        assert_eq!(joined("a red apple", ", flat colours"), "a red apple, flat colours");
    }

    #[test]
    fn an_empty_style_leaves_the_prompt_alone() {
        assert_eq!(joined("", "a red apple,"), "a red apple,");
        assert_eq!(joined("a red apple", " "), "a red apple");
    }

    #[test]
    fn only_a_style_that_says_something_is_noted() -> Result<(), PluginError> {
        let mut noted = Vec::new();
        for style in ["", "  ", " flat "] {
            note(style, |style| {
                noted.push(style.to_owned());
                Ok(())
            })?;
        }
        assert_eq!(noted, ["flat"]);
        Ok(())
    }
}
