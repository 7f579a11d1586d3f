//! A run that a selected plugin makes out of child runs, in place of drawing itself.

use atelier_plugin_abi::{Field, Hook, Value, frame::Frame};
use image::RgbImage;

use super::{
    active::ActiveRun,
    children::Children,
    error::Ended,
    stage::{PictureAccess, Slot, Stage},
};

impl ActiveRun<'_> {
    /// Calls the selected plugin; what it leaves is the run's answer, saved as grids are.
    pub(super) fn script(&mut self) -> Result<(), Ended> {
        let cancel = self.hooks.cancel.clone();
        self.hooks.children =
            Some(Children::of(self.runner, &self.record.id, &self.request, cancel));
        let (mut images, mut infotexts): (Vec<RgbImage>, Vec<String>) = (Vec::new(), Vec::new());
        let stage = self
            .params
            .show(Stage::new())
            .field(Field::Seed, Slot::Fixed(Value::Int(self.asked_seeds.0)))
            .field(Field::Subseed, Slot::Fixed(Value::Int(self.asked_seeds.1)))
            .field(Field::AllPrompts, Slot::FixedTexts(&self.pictures.all_prompts))
            .field(Field::AllNegativePrompts, Slot::FixedTexts(&self.pictures.all_negative_prompts))
            .field(Field::AllSeeds, Slot::FixedInts(&self.pictures.all_seeds))
            .field(Field::AllSubseeds, Slot::FixedInts(&self.pictures.all_subseeds))
            .field(Field::Infotexts, Slot::Texts(&mut infotexts))
            .pictures(&mut images, PictureAccess::Answer);
        let outcome = self.hooks.call(Frame::new(Hook::Run), stage);
        if let Some(children) = self.hooks.children.take() {
            self.record.children = children.made();
        }
        // A child that was cancelled is no failure of the plugin's, and what there was till then counts.
        let cancelled = self.hooks.cancel.is_cancelled();
        if !cancelled {
            outcome?;
        }
        for (image, infotext) in images.into_iter().zip(infotexts) {
            self.keep_answer(image, infotext)?;
        }
        if cancelled { Err(Ended::Cancelled) } else { Ok(()) }
    }
}
