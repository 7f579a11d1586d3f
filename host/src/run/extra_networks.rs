//! Tags of extra networks in prompts: `<lora:name:0.8>`.

use std::{collections::BTreeMap, sync::Arc};

use atelier_plugin_abi::{Field, Hook, Value};
use serde_json::json;

use super::{
    active::ActiveRun,
    error::Ended,
    execute::Batch,
    pipeline::{LoraOutcome, LoraUse, Pipeline},
    stage::{Slot, Stage},
};

/// A tag.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Tag {
    /// What kind of network.
    pub(super) kind: String,
    /// Arguments without names.
    pub(super) positional: Vec<String>,
    /// Arguments with names.
    pub(super) named: BTreeMap<String, String>,
    /// All arguments as they are written.
    pub(super) written: Vec<String>,
}

impl Tag {
    fn new(kind: &str, arguments: &str) -> Self {
        let mut tag = Self { kind: kind.to_owned(), ..Self::default() };
        for argument in arguments.split(':') {
            tag.written.push(argument.to_owned());
            match argument.split_once('=') {
                // Python's split('=', 2) has three parts then, which A1111 takes for no name.
                Some((name, value)) if !value.contains('=') => {
                    tag.named.insert(name.to_owned(), value.to_owned());
                }
                _ => tag.positional.push(argument.to_owned()),
            }
        }
        tag
    }

    /// Weight in the text encoders, in the denoising network, and ranks; as A1111 v1.10.1 reads the
    /// arguments of `lora`.
    ///
    /// # Errors
    /// The argument that is no number.
    fn weights(&self) -> Result<(f64, f64, Option<usize>), String> {
        let argument = |name: &str, at: usize| {
            self.named.get(name).or_else(|| self.positional.get(at)).map(|text| text.trim())
        };
        let number = |text: Option<&str>, default: f64| match text {
            None => Ok(default),
            Some(text) => {
                let number = text.parse().ok().filter(|number: &f64| number.is_finite());
                number.ok_or_else(|| format!("“{text}” is no number"))
            }
        };
        let text = number(argument("te", 1), 1.0)?;
        let unet = number(argument("unet", 2), text)?;
        let ranks = argument("dyn", 3)
            .map(|text| text.parse().map_err(|_| format!("“{text}” is no number of ranks")));
        Ok((text, unet, ranks.transpose()?))
    }
}

impl ActiveRun<'_> {
    /// The checkpoint with the LoRAs of a batch's tags. One that is not there, or that cannot be used,
    /// is left out with a warning, as A1111 does; the infotext names those that were added.
    pub(super) fn with_networks(
        &mut self,
        pipeline: &Arc<dyn Pipeline>,
        tags: &[Tag],
    ) -> Arc<dyn Pipeline> {
        let provider = self.runner.provider();
        let mut uses: Vec<LoraUse> = Vec::new();
        for tag in tags {
            let name = tag.positional.first().map_or("", String::as_str);
            if !["lora", "lyco"].contains(&tag.kind.as_str()) {
                tracing::warn!(kind = tag.kind, name, "networks of this kind are not used");
                continue;
            }
            let weights = tag.weights();
            match (provider.lora(name), weights) {
                (None, _) => tracing::warn!(name, "there is no such LoRA; it is left out"),
                (_, Err(error)) => tracing::warn!(name, "this LoRA is left out: {error}"),
                (Some(file), Ok((text, unet, ranks))) => {
                    uses.push(LoraUse { file, text, unet, ranks });
                }
            }
        }
        // One file that is no LoRA does not take the others with it.
        while !uses.is_empty() {
            match pipeline.with_loras(&uses) {
                Ok((with, outcomes)) => {
                    self.tell_loras(&uses, &outcomes);
                    return with;
                }
                Err(error) if uses.len() == 1 => {
                    tracing::warn!(name = uses[0].file.name, "this LoRA is left out: {error}");
                    break;
                }
                Err(_) => uses.retain(|used| {
                    let alone = pipeline.with_loras(std::slice::from_ref(used));
                    if let Err(error) = &alone {
                        tracing::warn!(name = used.file.name, "this LoRA is left out: {error}");
                    }
                    alone.is_ok()
                }),
            }
        }
        pipeline.clone()
    }

    /// Networks of a batch are in a pipeline: it is what plugins' services use from here on.
    pub(super) fn networks_active(
        &mut self,
        pipeline: &Arc<dyn Pipeline>,
        batch: &Batch,
        tags: &[Tag],
        is_second: bool,
    ) -> Result<(), Ended> {
        if let Some(services) = &mut self.hooks.services {
            services.use_pipeline(pipeline);
        }
        let mut networks: BTreeMap<&str, Vec<&[String]>> = BTreeMap::new();
        for tag in tags {
            networks.entry(&tag.kind).or_default().push(&tag.written);
        }
        let networks = json!(networks).to_string();
        let stage = batch
            .show(self.params.show(Stage::new()))
            .field(Field::ExtraNetworks, Slot::Fixed(Value::Json(networks.into())))
            .field(Field::IsSecondPass, Slot::Fixed(Value::Bool(is_second)));
        self.hooks.call(batch.frame(Hook::AfterExtraNetworksActivate), stage)
    }

    fn tell_loras(&mut self, uses: &[LoraUse], outcomes: &[LoraOutcome]) {
        let mut told: Vec<String> = Vec::new();
        for (used, outcome) in uses.iter().zip(outcomes) {
            let name = used.file.name.as_str();
            if outcome.left_out > 0 {
                let (added, left_out) = (outcome.added, outcome.left_out);
                tracing::warn!(name, added, left_out, "parts of this LoRA fit no layer");
            }
            told.push(name_and_hash(name, &outcome.hash));
        }
        told.dedup();
        self.hooks.infotext.set("Lora hashes", told.join(", "));
    }
}

/// A network as A1111 prints it in infotexts.
pub(super) fn name_and_hash(name: &str, hash: &str) -> String {
    format!("{}: {}", name.replace([':', ','], ""), hash.get(..12).unwrap_or(hash))
}

/// Takes the tags out of a prompt, as A1111 v1.10.1's `parse_prompt`; what is around them stays.
pub(super) fn take_tags(prompt: &str) -> (String, Vec<Tag>) {
    let (mut text, mut tags) = (String::with_capacity(prompt.len()), Vec::new());
    let mut rest = prompt;
    while let Some((before, behind)) = rest.split_once('<') {
        text.push_str(before);
        if let Some((kind, arguments, after)) = tag(behind) {
            tags.push(Tag::new(kind, arguments));
            rest = after;
        } else {
            text.push('<');
            rest = behind;
        }
    }
    text.push_str(rest);
    (text, tags)
}

/// Kind and arguments, and what is behind, of `kind:arguments>…`.
fn tag(text: &str) -> Option<(&str, &str, &str)> {
    let (inside, after) = text.split_once('>')?;
    let (kind, arguments) = inside.split_once(':')?;
    let word = |c: char| c.is_alphanumeric() || c == '_';
    let whole = !kind.is_empty() && kind.chars().all(word) && !arguments.is_empty();
    whole.then_some((kind, arguments, after))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Kind, positional and named arguments.
    type Expected<'a> = (&'a str, &'a [&'a str], &'a [(&'a str, &'a str)]);

    #[track_caller]
    fn check(prompt: &str, text: &str, tags: &[Expected<'_>]) {
        let owned = |text: &&str| (*text).to_owned();
        let tags = tags.iter().map(|(kind, positional, named)| Tag {
            kind: (*kind).to_owned(),
            positional: positional.iter().map(owned).collect(),
            named: named.iter().map(|(k, v)| (owned(k), owned(v))).collect(),
            written: Vec::new(),
        });
        let (found, mut found_tags) = take_tags(prompt);
        for tag in &mut found_tags {
            tag.written.clear();
        }
        assert_eq!((found, found_tags), (text.to_owned(), tags.collect()), "{prompt:?}");
    }

    /// What the parser of v1.10.1 answers.
    #[test]
    fn tags_are_taken_out() {
        check("1girl, <lora:foo:0.8> x", "1girl,  x", &[("lora", &["foo", "0.8"], &[])]);
        let named = [("te", "0.5"), ("unet", "0.7"), ("dyn", "4")];
        check("<lora:a:te=0.5:unet=0.7:dyn=4>", "", &[("lora", &["a"], &named)]);
        check("<x:y=1=2>", "", &[("x", &["y=1=2"], &[])]);
        check("(<lora:a:1>:1.2)", "(:1.2)", &[("lora", &["a", "1"], &[])]);
        let name = "name with space, comma";
        check("<lora:name with space, comma:1>", "", &[("lora", &[name, "1"], &[])]);
        check(
            "<LoRA:a:1><hypernet:b>",
            "",
            &[("LoRA", &["a", "1"], &[]), ("hypernet", &["b"], &[])],
        );
        check("<lora::1>", "", &[("lora", &["", "1"], &[])]);
    }

    #[test]
    fn weights_are_read_by_name_and_by_place() {
        let weights = |prompt: &str| take_tags(prompt).1[0].weights();
        assert_eq!(weights("<lora:a>"), Ok((1.0, 1.0, None)));
        assert_eq!(weights("<lora:a:0.8>"), Ok((0.8, 0.8, None)));
        assert_eq!(weights("<lora:a:0.8:0.5:4>"), Ok((0.8, 0.5, Some(4))));
        assert_eq!(weights("<lora:a:te=0.5:unet=0.7:dyn=4>"), Ok((0.5, 0.7, Some(4))));
        assert_eq!(weights("<lora:a:2:te=0.5>"), Ok((0.5, 0.5, None)));
        for wrong in ["<lora:a:x>", "<lora:a:nan>", "<lora:a:1:1:-2>"] {
            assert!(weights(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_is_no_tag_is_text() {
        for text in ["<a b:1>", "<lora:>", "<lora:a", "<:a>", "a < b > c", "<lora>", "<<<"] {
            check(text, text, &[]);
        }
        check("<<lora:a:1>", "<", &[("lora", &["a", "1"], &[])]);
    }
}
