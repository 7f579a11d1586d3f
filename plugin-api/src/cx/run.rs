//! A run as a whole: its start, its parameters, its result, its end.

use super::{context, getters, list_fields};

context! {
    /// The run is prepared and the snapshot taken; the plugin makes its instance for it.
    RunStart: prepared args infotext params
}

impl RunStart<'_> {
    /// Prompts of all pictures, styles applied.
    #[must_use]
    pub fn all_prompts(&self) -> Vec<String> {
        super::list(self.cx, atelier_plugin_abi::Field::AllPrompts)
    }

    /// Negative prompts of all pictures.
    #[must_use]
    pub fn all_negative_prompts(&self) -> Vec<String> {
        super::list(self.cx, atelier_plugin_abi::Field::AllNegativePrompts)
    }

    /// Seeds of all pictures.
    #[must_use]
    pub fn all_seeds(&self) -> Vec<i64> {
        super::list(self.cx, atelier_plugin_abi::Field::AllSeeds)
    }

    /// Variation seeds of all pictures.
    #[must_use]
    pub fn all_subseeds(&self) -> Vec<i64> {
        super::list(self.cx, atelier_plugin_abi::Field::AllSubseeds)
    }
}

context! {
    /// The run before its first iteration: everything about it may change, the snapshot is taken.
    RunCx: prepared args infotext params params_mut services
}

impl RunCx<'_> {
    /// Whether a mask is rounded, so that each place of the latents is drawn anew or stays; `None` in a run
    /// without a mask, and with hosts of ABI 1.0.
    #[must_use]
    pub fn mask_round(&self) -> Option<bool> {
        super::present_field(self.cx, atelier_plugin_abi::Field::MaskRound)
    }

    crate::cx::setters! {
        /// Sets whether a mask is rounded. Since ABI 1.1.
        set_mask_round: bool = MaskRound, Bool;
    }

    list_fields! {
        /// Prompts of all pictures, iterations × batch size of them.
        all_prompts,
        /// Sets the prompt of one picture.
        set_prompt: String = AllPrompts, &str, Text;
        /// Negative prompts of all pictures.
        all_negative_prompts,
        /// Sets the negative prompt of one picture.
        set_negative_prompt: String = AllNegativePrompts, &str, Text;
        /// Seeds of all pictures.
        all_seeds,
        /// Sets the seed of one picture.
        set_seed: i64 = AllSeeds, i64, Int;
        /// Variation seeds of all pictures.
        all_subseeds,
        /// Sets the variation seed of one picture.
        set_subseed: i64 = AllSubseeds, i64, Int;
    }

    getters! {
        /// Name of the checkpoint.
        model_name: String = ModelName;
        /// Short hash of the checkpoint, 10 hex digits.
        model_hash: String = ModelHash;
    }
}

context! {
    /// The result of the run: its pictures, the grid first where there is one, and their infotexts.
    ResultCx: prepared args params services
}

impl ResultCx<'_> {
    /// The pictures' infotexts.
    #[must_use]
    pub fn infotexts(&self) -> Vec<String> {
        super::list(self.cx, atelier_plugin_abi::Field::Infotexts)
    }

    /// Sets the infotext of one picture in the answer. The file is written already.
    ///
    /// # Errors
    /// No such element.
    pub fn set_infotext(&mut self, index: usize, value: &str) -> Result<(), crate::PluginError> {
        let value = atelier_plugin_abi::ValueRef::Text(value);
        super::set(self.cx, atelier_plugin_abi::Field::Infotexts, index as u64, value)
    }

    super::image::picture_list!();
}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Outcome {
    /// With its pictures.
    Done,
    /// With an error.
    Failed,
    /// Cancelled by somebody.
    Cancelled,
}

context! {
    /// The run is over, whatever its outcome. Called in reverse order of the plugins.
    FinishCx: prepared args
}

impl FinishCx<'_> {
    /// How the run ended.
    #[must_use]
    pub fn outcome(&self) -> Outcome {
        match super::field::<String>(self.cx, atelier_plugin_abi::Field::Outcome).as_str() {
            "done" => Outcome::Done,
            "cancelled" => Outcome::Cancelled,
            _ => Outcome::Failed,
        }
    }
}
