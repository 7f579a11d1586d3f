//! Data of the run as data of the engine, and back.

use std::sync::Arc;

use atelier_engine::{Embedding, Entry, UniPc, UniPcSpacing, UniPcVariant};

use super::unknown;
use crate::run::pipeline::{
    Conditioning, PipelineError, SamplerSettings, ScheduledConditioning, Start, Tensor,
    TextSettings, UniPcSettings, UsedEmbedding,
};

/// Any error of the engine, in its own words.
pub(super) fn failed(error: impl std::fmt::Display) -> PipelineError {
    PipelineError::Engine(error.to_string())
}

pub(super) fn tensor(tensor: Tensor) -> Result<atelier_engine::Tensor, PipelineError> {
    atelier_engine::Tensor::new(tensor.shape, tensor.data).map_err(failed)
}

pub(super) fn tensor_back(tensor: atelier_engine::Tensor) -> Tensor {
    Tensor { shape: tensor.shape(), data: tensor.into_data() }
}

pub(super) fn conditioning(
    text: Conditioning,
) -> Result<atelier_engine::Conditioning, PipelineError> {
    let [rows, tokens, width] = text.shape;
    atelier_engine::Conditioning::new(rows, tokens, width, text.data)
        .and_then(|it| if text.vectors.is_empty() { Ok(it) } else { it.with_vectors(text.vectors) })
        .map_err(failed)
}

pub(super) fn schedule(
    text: ScheduledConditioning,
) -> Result<atelier_engine::ScheduledConditioning, PipelineError> {
    let texts = text.texts.into_iter().map(conditioning).collect::<Result<_, _>>()?;
    let entries = text.entries.into_iter().map(|(until, text)| Entry { until, text }).collect();
    atelier_engine::ScheduledConditioning::new(text.weights, texts, entries).map_err(failed)
}

pub(super) fn schedule_back(
    text: atelier_engine::ScheduledConditioning,
    old_timelines: bool,
    embeddings: &[Arc<Embedding>],
) -> ScheduledConditioning {
    let weights = text.weights().to_vec();
    let entries = text.entries().iter().map(|entry| (entry.until, entry.text)).collect();
    let texts = text.into_texts().into_iter().map(conditioning_back).collect();
    let used = |it: &Arc<Embedding>| UsedEmbedding {
        name: it.name().to_owned(),
        hash: it.hash().to_owned(),
    };
    let embeddings = embeddings.iter().map(used).collect();
    ScheduledConditioning { weights, texts, entries, old_timelines, embeddings }
}

pub(super) fn text_settings(
    of: &TextSettings,
    engine: &atelier_engine::Engine,
) -> atelier_engine::TextSettings {
    atelier_engine::TextSettings {
        // A1111 lets the option go further than a small text encoder has layers.
        clip_skip: of.clip_skip.min(engine.info().text_layers),
        emphasis: atelier_engine::Emphasis::from_name(&of.emphasis),
        comma_backtrack: of.comma_padding_backtrack,
        xl_clip_skip: of.xl_clip_skip,
        size: of.size,
        crop: of.crop,
        aesthetic_score: of.aesthetic_score,
    }
}

pub(super) fn conditioning_back(text: atelier_engine::Conditioning) -> Conditioning {
    let (shape, vectors) = ([text.rows(), text.tokens(), text.width()], text.vectors().to_vec());
    Conditioning { shape, data: text.into_data(), vectors }
}

pub(super) fn start(start: Start) -> Result<atelier_engine::Start, PipelineError> {
    Ok(match start {
        Start::Noise(noise) => atelier_engine::Start::Noise(tensor(noise)?),
        Start::Latents { init, noise, denoising_strength, mask } => {
            atelier_engine::Start::Latents {
                init: tensor(init)?,
                noise: tensor(noise)?,
                denoising_strength,
                mask: mask.map(tensor).transpose()?,
            }
        }
    })
}

pub(super) fn settings(
    of: &SamplerSettings,
) -> Result<atelier_engine::SamplerSettings, PipelineError> {
    Ok(atelier_engine::SamplerSettings {
        eta_ancestral: of.eta_ancestral,
        eta_ddim: of.eta_ddim,
        s_churn: of.s_churn,
        s_tmin: of.s_tmin,
        s_tmax: of.s_tmax,
        s_noise: of.s_noise,
        s_min_uncond: of.s_min_uncond,
        s_min_uncond_all: of.s_min_uncond_all,
        skip_early_cond: of.skip_early_cond,
        sigma_min: of.sigma_min,
        sigma_max: of.sigma_max,
        rho: of.rho,
        beta_alpha: of.beta_dist_alpha,
        beta_beta: of.beta_dist_beta,
        token_merging: of.token_merging_ratio,
        zero_terminal_snr: of.zero_terminal_snr,
        downcast_alphas: of.use_downcasted_alpha_bar,
        uni_pc: uni_pc(&of.uni_pc)?,
        discard_next_to_last_sigma: of.always_discard_next_to_last_sigma,
        sgm_noise_multiplier: of.sgm_noise_multiplier,
        fix_steps: of.img2img_fix_steps,
        extra_noise: of.img2img_extra_noise,
    })
}

fn uni_pc(of: &UniPcSettings) -> Result<UniPc, PipelineError> {
    Ok(UniPc {
        variant: UniPcVariant::parse(&of.variant)
            .ok_or_else(|| unknown("uni_pc_variant", &of.variant, &["bh1", "bh2", "vary_coeff"]))?,
        spacing: UniPcSpacing::parse(&of.skip_type).ok_or_else(|| {
            unknown(
                "uni_pc_skip_type",
                &of.skip_type,
                &["time_uniform", "time_quadratic", "logSNR"],
            )
        })?,
        order: of.order,
        lower_order_final: of.lower_order_final,
    })
}
