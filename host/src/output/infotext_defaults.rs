//! What an infotext leaves unsaid: defaults that are not written, parameters of older versions.

use std::fmt::Write as _;

use super::infotext::ParamValue;
use super::infotext_parse::ParsedInfotext;

impl ParsedInfotext {
    /// Fills in what A1111 v1.10.1 takes for granted when a key is missing, and rewrites the
    /// parameters of retired features (`Hypernet`, `First pass size`).
    ///
    /// `uses_emphasis` says whether one of the prompts weights any of its words; only then is
    /// `Emphasis` filled in.
    pub fn fill_defaults(&mut self, uses_emphasis: bool) {
        self.fill(&[("Clip skip", "1".into())]);
        if let Some(network) = self.params.text("Hypernet") {
            let strength = self.params.text("Hypernet strength").unwrap_or("1.0");
            let _ = write!(self.prompt, "<hypernet:{network}:{strength}>");
        }
        if self.params.get("Hires resize-1").is_none() {
            self.params.set("Hires resize-1", 0);
            self.params.set("Hires resize-2", 0);
        }
        self.fill(&[
            ("Hires sampler", "Use same sampler".into()),
            ("Hires schedule type", "Use same scheduler".into()),
            ("Hires checkpoint", "Use same checkpoint".into()),
            ("Hires prompt", "".into()),
            ("Hires negative prompt", "".into()),
            ("Mask mode", "Inpaint masked".into()),
            ("Masked content", "original".into()),
            ("Inpaint area", "Whole picture".into()),
            ("Masked area padding", 32.into()),
        ]);
        self.restore_first_pass_size();
        self.fill(&[
            ("RNG", "GPU".into()),
            ("Schedule type", "Automatic".into()),
            ("Schedule max sigma", 0.into()),
            ("Schedule min sigma", 0.into()),
            ("Schedule rho", 0.into()),
            ("VAE Encoder", "Full".into()),
            ("VAE Decoder", "Full".into()),
            ("FP8 weight", "Disable".into()),
        ]);
        if self.params.text("FP8 weight") != Some("Disable") {
            self.fill(&[("Cache FP16 weight for LoRA", false.into())]);
        }
        if uses_emphasis {
            self.fill(&[("Emphasis", "Original".into())]);
        }
        self.fill(&[("Refiner switch by sampling steps", false.into())]);
    }

    /// Turns on the behaviours of the version that wrote the text where later ones changed them,
    /// as A1111 does when its option `auto_backcompat` is on. A text without a version is left
    /// alone.
    pub fn apply_backcompat(&mut self) {
        let Some(version) = self.params.text("Version").and_then(version_of) else { return };
        let older = |major, minor, patch, commits| version < [major, minor, patch, commits];
        if older(1, 6, 0, 0) && self.prompt.contains('[') {
            self.params.set("Old prompt editing timelines", true);
        }
        if older(1, 6, 0, 0) && matches!(self.params.text("Sampler"), Some("DDIM" | "PLMS")) {
            self.params.set("Pad conds v0", true);
        }
        if older(1, 7, 0, 225) {
            self.params.set("Downcast alphas_cumprod", true);
        }
        if older(1, 8, 0, 0) && self.params.text("Refiner").is_some_and(|name| !name.is_empty()) {
            self.params.set("Refiner switch by sampling steps", true);
        }
    }

    fn fill(&mut self, defaults: &[(&str, ParamValue)]) {
        for (key, value) in defaults {
            if self.params.get(key).is_none() {
                self.params.set(*key, value.clone());
            }
        }
    }

    /// `First pass size` is how the size before enlarging was written until A1111 1.0: it is
    /// today's `Size`, and `Size` is what the picture was enlarged to.
    fn restore_first_pass_size(&mut self) {
        let number = |key: &str| self.params.text(key).map(|text| text.parse::<u32>().ok());
        let (Some(Some(mut width)), Some(Some(mut height))) =
            (number("First pass size-1"), number("First pass size-2"))
        else {
            return;
        };
        let (Some(full_width), Some(full_height)) =
            (number("Size-1").unwrap_or(Some(512)), number("Size-2").unwrap_or(Some(512)))
        else {
            return;
        };
        if width == 0 || height == 0 {
            // 0 meant: the picture's shape, with as many pixels as 512x512.
            let pixels = f64::from(full_width) * f64::from(full_height);
            let scale = (512.0 * 512.0 / pixels).sqrt();
            let side = |full: u32| (scale * f64::from(full) / 64.0).ceil() as u32;
            (width, height) =
                (side(full_width).saturating_mul(64), side(full_height).saturating_mul(64));
        }
        self.params.set("Size-1", width);
        self.params.set("Size-2", height);
        self.params.set("Hires resize-1", full_width);
        self.params.set("Hires resize-2", full_height);
    }
}

/// A version such as `v1.7.0-225-gabc1234` as major, minor, patch, commits after the tag.
fn version_of(text: &str) -> Option<[u32; 4]> {
    let mut parts = text.strip_prefix(['v', 'V']).unwrap_or(text).split('-');
    let mut version = [0; 4];
    for (slot, number) in version.iter_mut().zip(parts.next()?.split('.')) {
        *slot = number.parse().ok()?;
    }
    version[3] = match parts.next() {
        Some(commits) => commits.parse().ok()?,
        None => 0,
    };
    Some(version)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(text: &str) -> ParsedInfotext {
        let mut parsed = ParsedInfotext::parse(text);
        parsed.fill_defaults(false);
        parsed.apply_backcompat();
        parsed
    }

    #[test]
    fn every_default_of_a1111_is_filled_in() {
        let mut parsed = ParsedInfotext::parse("only a (prompt)");
        parsed.fill_defaults(true);
        let expected: Vec<(&str, ParamValue)> = vec![
            ("Clip skip", "1".into()),
            ("Hires resize-1", 0.into()),
            ("Hires resize-2", 0.into()),
            ("Hires sampler", "Use same sampler".into()),
            ("Hires schedule type", "Use same scheduler".into()),
            ("Hires checkpoint", "Use same checkpoint".into()),
            ("Hires prompt", "".into()),
            ("Hires negative prompt", "".into()),
            ("Mask mode", "Inpaint masked".into()),
            ("Masked content", "original".into()),
            ("Inpaint area", "Whole picture".into()),
            ("Masked area padding", 32.into()),
            ("RNG", "GPU".into()),
            ("Schedule type", "Automatic".into()),
            ("Schedule max sigma", 0.into()),
            ("Schedule min sigma", 0.into()),
            ("Schedule rho", 0.into()),
            ("VAE Encoder", "Full".into()),
            ("VAE Decoder", "Full".into()),
            ("FP8 weight", "Disable".into()),
            ("Emphasis", "Original".into()),
            ("Refiner switch by sampling steps", false.into()),
        ];
        let found: Vec<_> = parsed.params.iter().map(|(key, value)| (key, value.clone())).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn what_the_text_says_is_not_overwritten() {
        let parsed =
            filled("p\nClip skip: 2, RNG: CPU, FP8 weight: Enable, Hires resize: 64x64, Seed: 1");
        assert_eq!(parsed.params.text("Clip skip"), Some("2"));
        assert_eq!(parsed.params.text("RNG"), Some("CPU"));
        assert_eq!(parsed.params.text("Hires resize-2"), Some("64"));
        assert_eq!(parsed.params.get("Cache FP16 weight for LoRA"), Some(&false.into()));
        assert_eq!(parsed.params.get("Emphasis"), None);
    }

    #[test]
    fn a_hypernetwork_becomes_a_tag_of_the_prompt() {
        let text = "p\nSteps: 1, Sampler: a, Hypernet: h, Hypernet strength: 0.5";
        assert_eq!(filled(text).prompt, "p<hypernet:h:0.5>");
        assert_eq!(filled("p\nSteps: 1, Sampler: a, Hypernet: h").prompt, "p<hypernet:h:1.0>");
    }

    #[test]
    fn first_pass_size_becomes_the_size_and_the_old_size_the_target() {
        let sizes = |text: &str| {
            let params = filled(text).params;
            ["Size-1", "Size-2", "Hires resize-1", "Hires resize-2"]
                .map(|key| params.get(key).cloned())
        };
        assert_eq!(
            sizes("p\nSteps: 1, Sampler: a, Size: 64x64, First pass size: 512x512"),
            [Some(512.into()), Some(512.into()), Some(64.into()), Some(64.into())]
        );
        assert_eq!(
            sizes("p\nSteps: 1, Sampler: a, Size: 1024x2048, First pass size: 0x0"),
            [Some(384.into()), Some(768.into()), Some(1024.into()), Some(2048.into())]
        );
        // Sizes that are no sizes are left as they are.
        assert_eq!(
            sizes("p\nSteps: 1, Sampler: a, Size: 0x99999999999, First pass size: 0x0")[1],
            Some("99999999999".into())
        );
    }

    #[test]
    fn texts_of_old_versions_bring_their_old_behaviour() {
        let old = |line: &str| {
            filled(&format!("a [b:c:3]\nSteps: 20, Sampler: DDIM, Refiner: r, {line}"))
                .params
                .iter()
                .filter(|(_, value)| **value == ParamValue::Bool(true))
                .map(|(key, _)| key.to_owned())
                .collect::<Vec<_>>()
        };
        let refiner = "Refiner switch by sampling steps";
        let (editing, pad, alphas) =
            ("Old prompt editing timelines", "Pad conds v0", "Downcast alphas_cumprod");
        assert_eq!(old("Version: v1.5.2"), [refiner, editing, pad, alphas]);
        assert_eq!(old("Version: v1.6.0"), [refiner, alphas]);
        assert_eq!(old("Version: v1.7.0-224-gabc"), [refiner, alphas]);
        assert_eq!(old("Version: v1.7.0-225-gabc"), [refiner]);
        assert_eq!(old("Version: v1.10.1"), Vec::<String>::new());
        assert_eq!(old("Version: f2.0-what"), Vec::<String>::new());
        assert_eq!(old("Seed: 1"), Vec::<String>::new());
    }
}
