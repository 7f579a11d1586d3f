//! Writes a text into the corner of every finished picture.
//!
//! This is the *migrated* plugin: everything it wants to know it reads from the run's snapshot when
//! its instance is made, so that a run draws the same pictures whatever happens to the options
//! meanwhile.

#![deny(missing_docs, unsafe_code)]

mod draw;
mod font;

use atelier_plugin_api::prelude::*;
use draw::{Corner, Mark};

/// The text and how it is drawn, fixed for the run.
#[derive(Debug)]
pub struct Watermark {
    mark: Mark,
}

#[plugin(id = "watermark", name = "Watermark")]
impl Run for Watermark {
    fn options() -> Vec<OptionSpec> {
        vec![
            OptionSpec::text("watermark_text", "Atelier")
                .label("Text")
                .doc("Drawn in capitals; nothing is drawn where it is empty."),
            OptionSpec::float("watermark_opacity", 0.7).range(0.0, 1.0).label("Opacity"),
            OptionSpec::text("watermark_corner", Corner::BottomRight.name())
                .choices(Corner::ALL.map(Corner::name))
                .label("Corner"),
        ]
    }

    fn start(cx: &RunStart<'_>) -> Result<Self, PluginError> {
        let options = cx.snapshot();
        let corner: String = options.get("watermark_corner")?;
        let corner = Corner::from_name(&corner)
            .ok_or_else(|| PluginError::new(format!("watermark_corner: no corner “{corner}”")))?;
        let mark = Mark {
            text: options.get("watermark_text")?,
            opacity: options.get("watermark_opacity")?,
            corner,
        };
        Ok(Self { mark })
    }

    fn postprocess_image(&mut self, cx: &mut ImageCx<'_>) -> HookResult {
        if self.mark.is_invisible() {
            return Ok(());
        }
        self.mark.draw(&mut cx.image_mut());
        cx.infotext("Watermark", &self.mark.text)
    }
}
