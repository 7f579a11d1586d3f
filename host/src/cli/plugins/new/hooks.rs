//! What a new plugin does in its hooks.

use atelier_plugin_abi::Hook;

/// The context of a hook in the API.
fn context(hook: Hook) -> &'static str {
    match hook {
        Hook::ModelLoaded => "ModelCx",
        Hook::BeforeProcess => "RequestCx",
        Hook::Process => "RunCx",
        Hook::BeforeProcessBatch | Hook::ProcessBatch => "BatchCx",
        Hook::ProcessBeforeEverySampling => "SamplingCx",
        Hook::CfgDenoiser => "DenoiserCx",
        Hook::CfgDenoised => "DenoisedCx",
        Hook::CfgCombine => "CombineCx",
        Hook::CfgAfterCfg => "AfterCfgCx",
        Hook::AfterStep => "AfterStepCx",
        Hook::PostSample => "LatentsCx",
        Hook::PostprocessBatch => "PixelsCx",
        Hook::PostprocessBatchList => "ImagesCx",
        Hook::BeforeImageSaved => "SaveCx",
        Hook::ImageSaved => "SavedCx",
        Hook::ImageGrid => "GridCx",
        Hook::Postprocess => "ResultCx",
        Hook::Finish => "FinishCx",
        Hook::Run => "ScriptCx",
        Hook::AfterExtraNetworksActivate => "NetworksCx",
        Hook::BeforeHr => "HiresCx",
        Hook::ExtraNoise => "ExtraNoiseCx",
        Hook::OnMaskBlend => "MaskBlendCx",
        Hook::PostprocessMaskoverlay => "MaskoverlayCx",
        _ => "ImageCx",
    }
}

/// A hook as a method in Rust.
pub(super) fn rust(hook: Hook) -> String {
    let (name, context) = (hook.name(), context(hook));
    let this = if hook.of_plugin() { "" } else { "&mut self, " };
    let body = match hook {
        Hook::PostprocessImage => {
            "        // The picture's negative, mixed in by the strength.
        for byte in cx.image_mut().data {
            let value = f64::from(*byte);
            *byte = (value + (255.0 - 2.0 * value) * self.strength).round() as u8;
        }
        cx.infotext(\"{{title}}\", self.strength)
"
        }
        .to_owned(),
        Hook::Run => {
            "        // One child run, as the request asks for it; its pictures are the answer.
        let child = cx.child(&ChildRequest::new())?;
        for (index, picture) in child.pictures.iter().enumerate() {
            let pixels = cx.child_image(index)?.data.to_vec();
            cx.push(picture.width, picture.height)?;
            if let Some(image) = cx.image_mut(index) {
                image.data.copy_from_slice(&pixels);
            }
            cx.set_infotext(index, &picture.infotext)?;
        }
        cx.log(Level::Debug, &format!(\"one child, strength {}\", self.strength));
        Ok(())
"
            .to_owned()
        }
        hook if hook.of_plugin() => {
            format!("        cx.log(Level::Debug, \"{name}\");\n        Ok(())\n")
        }
        _ => format!(
            "        cx.log(Level::Debug, &format!(\"{name}, strength {{}}\", self.strength));\n        Ok(())\n"
        ),
    };
    format!("\n    fn {name}({this}cx: &mut {context}<'_>) -> HookResult {{\n{body}    }}\n")
}

/// A hook of a run as a function in C.
pub(super) fn c_function(hook: Hook) -> String {
    let name = hook.name();
    match hook {
        Hook::PostprocessImage => include_str!("templates/c/postprocess_image.c.in").to_owned(),
        _ => format!(
            "\nstatic uint32_t {name}(const struct run *run, const AtelierCall *call) {{\n  \
             (void)run;\n  atelier_log(call, ATELIER_LEVEL_DEBUG, \"{name}\");\n  \
             return ATELIER_STATUS_OK;\n}}\n"
        ),
    }
}

/// Its case in `call_run`.
pub(super) fn c_case(hook: Hook) -> String {
    let name = hook.name();
    format!("  case ATELIER_HOOK_{}:\n    return {name}(run, call);\n", name.to_uppercase())
}

/// Hooks of the plugin itself in C, all in one function.
pub(super) fn c_plugin_function(hooks: &[Hook]) -> String {
    let case = |hook: &Hook| format!("  case ATELIER_HOOK_{}:\n", hook.name().to_uppercase());
    let cases: Vec<String> = hooks.iter().map(case).collect();
    let cases = cases.concat();
    format!(
        "\n/* Hooks of the plugin itself: called from any thread, several at a time. */\n\
         static uint32_t call_plugin(const void *plugin, const AtelierCall *call) {{\n  \
         (void)plugin;\n  switch (call->frame->hook) {{\n{cases}    \
         atelier_log(call, ATELIER_LEVEL_DEBUG, \"called\");\n    return ATELIER_STATUS_OK;\n  \
         default:\n    return ATELIER_STATUS_NOT_HERE;\n  }}\n}}\n"
    )
}
