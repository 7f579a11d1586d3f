//! Before a run: the plugin is made, a checkpoint is loaded, a request comes in.

use super::{context, getters, setters};
use crate::options::Overrides;

context! {
    /// While the plugin is made. There is no run yet.
    CreateCx:
}

impl CreateCx<'_> {
    getters! {
        /// A folder for the plugin's own data. It may not be there yet.
        data_folder: std::path::PathBuf = DataFolder;
        /// The file that the plugin was loaded from; files beside it are the plugin's.
        library_path: std::path::PathBuf = LibraryPath;
    }
}

context! {
    /// A checkpoint was loaded.
    ModelCx:
}

impl ModelCx<'_> {
    getters! {
        /// Name of the checkpoint.
        model_name: String = ModelName;
        /// Short hash of the checkpoint, 10 hex digits.
        model_hash: String = ModelHash;
    }
}

context! {
    /// A request as it came: nothing is applied, prompts and seeds are not prepared, there is no
    /// snapshot. What is changed here is in the snapshot.
    RequestCx: args params params_mut
}

impl<'a> RequestCx<'a> {
    getters! {
        /// The prompt.
        prompt: String = Prompt;
        /// The negative prompt.
        negative_prompt: String = NegativePrompt;
        /// The seed, −1 for random.
        seed: i64 = Seed;
        /// The variation seed, −1 for random.
        subseed: i64 = Subseed;
    }

    setters! {
        /// Sets the prompt.
        set_prompt: &str = Prompt, Text;
        /// Sets the negative prompt.
        set_negative_prompt: &str = NegativePrompt, Text;
        /// Sets the seed, −1 for random.
        set_seed: i64 = Seed, Int;
        /// Sets the variation seed, −1 for random.
        set_subseed: i64 = Subseed, Int;
        /// Sets the weight of the variation seed, 0 to 1.
        set_subseed_strength: f64 = SubseedStrength, Float;
        /// Sets the width in pixels.
        set_width: u32 = Width, Int;
        /// Sets the height in pixels.
        set_height: u32 = Height, Int;
        /// Sets the number of pictures per iteration.
        set_batch_size: u32 = BatchSize, Int;
        /// Sets the number of iterations.
        set_n_iter: u32 = Iterations, Int;
    }

    /// The overrides of the request, to read and to add to (`p.override_settings`).
    #[must_use]
    pub fn overrides(&self) -> Overrides<'a> {
        Overrides(self.cx)
    }
}
