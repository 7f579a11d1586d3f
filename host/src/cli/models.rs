//! `atelier models`: the checkpoints there are.

use std::path::PathBuf;

use clap::Subcommand;
use serde::Serialize;

use super::{
    Global,
    error::Failure,
    host,
    ui::{Ui, faint, short_path},
};
use crate::{engine::EngineProvider, run::pipeline::ModelProvider as _};

#[derive(Debug, Subcommand)]
pub(super) enum Models {
    /// Lists checkpoints, the default one first
    List,
    /// Lists textual inversion embeddings, which prompts name
    Embeddings,
    /// Lists LoRAs, which are used in prompts: <lora:NAME:1>
    Loras,
    /// Lists autoencoders in files of their own, for the option `sd_vae`
    Vaes,
}

pub(super) fn run(ui: &Ui, global: &Global, command: &Models) -> Result<(), Failure> {
    let atelier = host::open_bare(ui, global)?;
    let provider = EngineProvider::new(atelier.data());
    match command {
        Models::List => {
            let places: Vec<_> = provider.places().iter().map(|place| short_path(place)).collect();
            let none = format!("no checkpoints in {}", places.join(", "));
            list(ui, "checkpoint", &provider.list(), |it| (&it.name, &it.path), &none)
        }
        Models::Vaes => {
            let none = format!("no VAEs in {}", short_path(provider.vae_folder()));
            list(ui, "VAE", &provider.vaes(), |it| (&it.name, &it.path), &none)
        }
        Models::Embeddings => {
            let none = format!("no embeddings in {}", short_path(provider.embedding_folder()));
            list(ui, "embedding", &provider.embeddings(), |it| (&it.name, &it.path), &none)
        }
        Models::Loras => {
            let none = format!("no LoRAs in {}", short_path(provider.lora_folder()));
            list(ui, "LoRA", &provider.loras(), |it| (&it.name, &it.path), &none)
        }
    }
}

fn list<T: Serialize>(
    ui: &Ui,
    kind: &str,
    found: &[T],
    parts: impl Fn(&T) -> (&String, &PathBuf),
    none: &str,
) -> Result<(), Failure> {
    if ui.json {
        return Ok(ui.document(&found)?);
    }
    let mut table = ui.table(&[kind, "path"]);
    for (name, path) in found.iter().map(parts) {
        table.add_row([name.clone().into(), faint(short_path(path))]);
    }
    ui.show(&table, none);
    Ok(())
}
