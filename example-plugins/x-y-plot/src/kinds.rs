//! The axes that there are, by A1111's labels.

use Place::{Field, Override};

/// What an axis varies, and how its values are read.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Kind {
    /// Nothing: one row or column.
    Nothing,
    /// A seed, of which −1 is a random one.
    Seed(&'static str),
    /// Whole numbers from the one given here.
    Whole(Place, i64),
    /// Numbers.
    Real(Place),
    /// Names; `true` and `false` are some.
    Names(Place),
    /// Width and height.
    Size,
    /// Words of the prompt and of the negative prompt.
    Prompts,
    /// Words of the negative prompt.
    NegativePrompt,
}

/// Where a value goes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Place {
    /// A field of the request.
    Field(&'static str),
    /// An option, for this cell only.
    Override(&'static str),
}

/// The option that an axis of checkpoints varies.
pub(crate) const CHECKPOINT: &str = "sd_model_checkpoint";
/// The axis that txt2img does not have.
pub(crate) const DENOISING: &str = "Denoising";

/// Labels are A1111 v1.10.1's; `Negative prompt S/R` is Atelier's own.
const KINDS: [(&str, Kind); 24] = [
    ("Nothing", Kind::Nothing),
    ("Seed", Kind::Seed("seed")),
    ("Var. seed", Kind::Seed("subseed")),
    ("Var. strength", Kind::Real(Field("subseed_strength"))),
    ("Steps", Kind::Whole(Field("steps"), 1)),
    ("CFG Scale", Kind::Real(Field("cfg_scale"))),
    ("Prompt S/R", Kind::Prompts),
    ("Negative prompt S/R", Kind::NegativePrompt),
    ("Sampler", Kind::Names(Field("sampler_name"))),
    ("Schedule type", Kind::Names(Field("scheduler"))),
    ("Checkpoint name", Kind::Names(Override(CHECKPOINT))),
    (DENOISING, Kind::Real(Field("denoising_strength"))),
    ("Clip skip", Kind::Whole(Override("CLIP_stop_at_last_layers"), 1)),
    ("Size", Kind::Size),
    ("Negative Guidance minimum sigma", Kind::Real(Override("s_min_uncond"))),
    ("Sigma Churn", Kind::Real(Override("s_churn"))),
    ("Sigma min", Kind::Real(Override("s_tmin"))),
    ("Sigma max", Kind::Real(Override("s_tmax"))),
    ("Sigma noise", Kind::Real(Override("s_noise"))),
    ("Schedule min sigma", Kind::Real(Override("sigma_min"))),
    ("Schedule max sigma", Kind::Real(Override("sigma_max"))),
    ("Schedule rho", Kind::Real(Override("rho"))),
    (
        "Always discard next-to-last sigma",
        Kind::Names(Override("always_discard_next_to_last_sigma")),
    ),
    ("SGM noise multiplier", Kind::Names(Override("sgm_noise_multiplier"))),
];

/// The axis with that label, in any case.
pub(crate) fn find(label: &str) -> Option<(&'static str, Kind)> {
    KINDS.into_iter().find(|(known, _)| known.eq_ignore_ascii_case(label))
}

/// All labels, for people.
pub(crate) fn labels() -> String {
    KINDS.map(|(label, _)| label).join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn axes_are_found_in_any_case() {
        assert_eq!(find("cfg scale"), Some(("CFG Scale", Kind::Real(Field("cfg_scale")))));
        assert_eq!(find("NOTHING"), Some(("Nothing", Kind::Nothing)));
        assert_eq!(find("cfg"), None);
    }

    #[test]
    fn the_readme_names_every_axis() {
        let readme = include_str!("../README.md");
        for (label, _) in KINDS {
            assert!(readme.contains(&format!("`{label}`")), "{label}");
        }
    }
}
