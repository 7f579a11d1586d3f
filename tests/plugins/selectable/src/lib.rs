//! A selectable plugin that makes the child runs that its argument lists.

use atelier_plugin_api::{cx::ChildRequest, prelude::*};
use serde_json::Value;

/// One run of it.
#[derive(Debug)]
pub struct Selectable;

#[plugin(id = "selectable", name = "Selectable")]
impl Run for Selectable {
    fn options() -> Vec<OptionSpec> {
        vec![OptionSpec::text("selectable_text", "as it was")]
    }

    fn args() -> Vec<ArgSpec> {
        vec![
            // Lists of objects: what differs in each child.
            ArgSpec::text("children", "[]"),
        ]
    }

    fn start(_: &RunStart<'_>) -> Result<Self, PluginError> {
        Ok(Self)
    }

    fn run(&mut self, cx: &mut ScriptCx<'_>) -> HookResult {
        let children: Vec<Value> = serde_json::from_str(&cx.args().get::<String>("children")?)?;
        for child in children {
            let request = child.as_object().into_iter().flatten();
            let request = request.fold(ChildRequest::new(), |request, (name, value)| {
                request.field(name, value.clone())
            });
            let child = cx.child(&request)?;
            for (index, picture) in child.pictures.iter().enumerate() {
                let pixels = cx.child_image(index)?.data.to_vec();
                cx.push(picture.width, picture.height)?;
                let last = cx.len() - 1;
                if let Some(image) = cx.image_mut(last) {
                    image.data.copy_from_slice(&pixels);
                }
                cx.set_infotext(last, &picture.infotext)?;
            }
            if let Some(error) = child.error {
                cx.infotext("Selectable error", error)?;
            }
        }
        Ok(())
    }

    /// Only a run that selects the plugin calls it at all: this hook is never reached.
    fn process(&mut self, _: &mut RunCx<'_>) -> HookResult {
        Err(PluginError::stop_run("a selectable plugin takes no part in drawing"))
    }
}
