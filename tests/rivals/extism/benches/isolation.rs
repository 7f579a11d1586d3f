//! `cargo build --release -p meter -p atelier-host` in the workspace, `cargo build --release --target
//! wasm32-unknown-unknown` in `plugin`, then `cargo bench` here.

#[path = "../../../../host/benches/isolation.rs"]
mod ours;

use std::path::Path;

use extism::{Manifest, Plugin, Wasm};

struct Extism(Plugin);

impl ours::Rival for Extism {
    fn name(&self) -> &'static str {
        "extism"
    }

    fn nothing(&mut self, frame: &[u8]) {
        self.0.call::<_, ()>("after_step", frame).expect("the hook");
    }

    fn picture(&mut self, picture: &mut [u8]) {
        let changed: &[u8] = self.0.call("postprocess_image", &*picture).expect("the hook");
        picture.copy_from_slice(changed);
    }
}

fn main() {
    let built = "plugin/target/wasm32-unknown-unknown/release/rival_extism_plugin.wasm";
    let built = Path::new(env!("CARGO_MANIFEST_DIR")).join(built);
    let wasm = Wasm::data(std::fs::read(built).expect("the plugin, built"));
    let plugin = Plugin::new(Manifest::new([wasm]), [], false).expect("a plugin");
    ours::compare(Some(Box::new(Extism(plugin))));
}
