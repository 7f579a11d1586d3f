//! Tags of extra networks in prompts: `<lora:name:0.8>`.

use std::collections::BTreeMap;

/// A tag.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Tag {
    /// What kind of network.
    pub(super) kind: String,
    /// Arguments without names.
    pub(super) positional: Vec<String>,
    /// Arguments with names.
    pub(super) named: BTreeMap<String, String>,
}

impl Tag {
    fn new(kind: &str, arguments: &str) -> Self {
        let mut tag = Self { kind: kind.to_owned(), ..Self::default() };
        for argument in arguments.split(':') {
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
        });
        assert_eq!(take_tags(prompt), (text.to_owned(), tags.collect()), "{prompt:?}");
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
    fn what_is_no_tag_is_text() {
        for text in ["<a b:1>", "<lora:>", "<lora:a", "<:a>", "a < b > c", "<lora>", "<<<"] {
            check(text, text, &[]);
        }
        check("<<lora:a:1>", "<", &[("lora", &["a", "1"], &[])]);
    }
}
