"""Makes the reference data of this folder: tiny checkpoints with random weights, and what diffusers,
transformers, k-diffusion and torch compute with them. See README.md."""

import copy
import importlib.util
import json
import sys
import types
from pathlib import Path

import numpy as np
import tomesd
import torch
from diffusers import AutoencoderKL, DDIMScheduler, UNet2DConditionModel, UniPCMultistepScheduler
from diffusers.schedulers.scheduling_ddim import rescale_zero_terminal_snr
from safetensors.torch import save_file
from scipy import stats
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection, CLIPTokenizer

import single

HERE = Path(__file__).parent
WORDS = "red heart cat face dog a photo of the blue circle with and smiling".split()
PROMPTS = ["red heart", "", "A photo of the CAT, cafe\u0301 12?"]
LONG = " ".join(["red heart and the smiling dog"] * 15)
# Text before and behind the name of an embedding.
LEARNT = ("a photo of ", ", and a dog")
SEEDS, STEPS, SCALE = (7, 8), 8, 3.0
SHAPE = (4, 8, 8)

torch.set_grad_enabled(False)


def k_diffusion():
    """Its sampling and external modules without the training code that the package imports."""
    root = Path(importlib.util.find_spec("k_diffusion").submodule_search_locations[0])
    package = types.ModuleType("k_diffusion")
    package.__path__ = [str(root)]
    utils = types.ModuleType("k_diffusion.utils")
    utils.append_dims = lambda x, n: x[(...,) + (None,) * (n - x.ndim)]
    utils.append_zero = lambda x: torch.cat([x, x.new_zeros([1])])
    package.utils = utils
    sys.modules.update({"k_diffusion": package, "k_diffusion.utils": utils})
    for name in ("sampling", "external"):
        spec = importlib.util.spec_from_file_location(f"k_diffusion.{name}", root / f"{name}.py")
        module = importlib.util.module_from_spec(spec)
        sys.modules[f"k_diffusion.{name}"] = module
        spec.loader.exec_module(module)
        setattr(package, name, module)
    return package


def shake(model, seed):
    """Biases and norms away from 0 and 1, weights large enough to matter, all exact in f16."""
    g = torch.Generator().manual_seed(seed)
    for name, p in model.named_parameters():
        if p.dim() == 1:
            p.add_(0.2 * torch.randn(p.shape, generator=g))
        elif "embedding" in name and p.dim() == 2 and "time" not in name:
            p.copy_(torch.randn(p.shape, generator=g))
        elif p.dim() == 2:
            p.copy_(torch.randn(p.shape, generator=g) / p.shape[1] ** 0.5)
        p.copy_(p.half().float())
    return model.eval()


def tokenizer(folder, pad):
    """A CLIP vocabulary with a few merges of its own."""
    kept = list(range(33, 127)) + list(range(161, 173)) + list(range(174, 256))
    rest = [b for b in range(256) if b not in kept]
    byte = dict(zip(kept + rest, [chr(b) for b in kept] + [chr(256 + i) for i in range(len(rest))]))
    vocab = list(byte.values()) + [c + "</w>" for c in byte.values()]
    merges = []
    for word in WORDS:
        pieces = [*word[:-1], word[-1] + "</w>"]
        while len(pieces) > 1:
            pair = (pieces[0], pieces[1])
            if pair not in merges:
                merges.append(pair)
                vocab.append("".join(pair))
            pieces[:2] = ["".join(pair)]
    vocab += ["<|startoftext|>", "<|endoftext|>"]
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "vocab.json").write_text(json.dumps({t: i for i, t in enumerate(vocab)}, ensure_ascii=False))
    lines = ["#version: 0.2"] + [" ".join(pair) for pair in merges]
    (folder / "merges.txt").write_text("\n".join(lines) + "\n")
    config = {"pad_token": pad, "tokenizer_class": "CLIPTokenizer", "model_max_length": 77}
    (folder / "tokenizer_config.json").write_text(json.dumps(config, indent=2))
    return CLIPTokenizer(folder / "vocab.json", folder / "merges.txt", pad_token=pad), len(vocab)


def chunks(tok, text):
    """Tokens in chunks of 75 between begin and end, filled up behind the end."""
    return in_chunks(tok, tok(text, add_special_tokens=False).input_ids)


def in_chunks(tok, ids):
    parts = [ids[i : i + 75] for i in range(0, max(len(ids), 1), 75)]
    pad = lambda p: [tok.bos_token_id, *p, tok.eos_token_id] + [tok.pad_token_id] * (75 - len(p))
    return torch.tensor([pad(p) for p in parts])


def learnt(file, encoders, count, seed):
    """An embedding of `count` vectors for each encoder, and each encoder with them behind its vocabulary,
    as diffusers puts them there."""
    g = torch.Generator().manual_seed(seed)
    out, changed = {}, {}
    for key, encoder in encoders.items():
        changed[key] = encoder = copy.deepcopy(encoder)
        known = encoder.text_model.embeddings.token_embedding
        vectors = torch.randn(count, known.embedding_dim, generator=g).half()
        out[key] = vectors if count > 1 else vectors[0]
        both = torch.cat([known.weight, vectors.float()])
        encoder.text_model.embeddings.token_embedding = torch.nn.Embedding.from_pretrained(both)
    save_file({key: value.contiguous() for key, value in out.items()}, file)
    return changed


def learnt_ids(tok, before, after, count):
    """Tokens of a text with an embedding in it."""
    plain = lambda text: tok(text, add_special_tokens=False).input_ids
    return in_chunks(tok, plain(before) + [len(tok) + i for i in range(count)] + plain(after))


def save(model, folder, half=True):
    (model.half() if half else model).save_pretrained(folder)
    model.float()


def text_reference(out, encoder, tok):
    def encode(ids, skip=1):
        states = encoder(ids, output_hidden_states=True).hidden_states
        return encoder.text_model.final_layer_norm(states[-skip])

    ids = torch.cat([chunks(tok, p) for p in PROMPTS])
    out["text_last"] = encoder(ids).last_hidden_state
    out["text_skip2"] = encode(ids, 2)
    long = chunks(tok, LONG)
    assert len(long) == 2, len(long)
    out["text_long"] = encode(long).reshape(1, 154, -1)
    return encode(ids)


def run_reference(out, kd, unet, scheduler, cond, uncond):
    """Whole runs, in f64: in f32 k-diffusion's own rounding of sigma and t grows to 4e-4."""
    scheduler.betas = torch.linspace(0.00085**0.5, 0.012**0.5, 1000, dtype=torch.float64) ** 2
    scheduler.alphas_cumprod = torch.cumprod(1 - scheduler.betas, dim=0)
    unet, cond, uncond = unet.double(), cond.double(), uncond.double()
    alphas = scheduler.alphas_cumprod
    velocity = scheduler.config.prediction_type == "v_prediction"
    kind = kd.external.DiscreteVDDPMDenoiser if velocity else kd.external.DiscreteEpsDDPMDenoiser

    class Inner:
        def __init__(self, text):
            self.text = text

        def __call__(self, x, t):
            return unet(x, t, encoder_hidden_states=self.text).sample

    def denoiser(text, alphas=alphas):
        class Wrapped(kind):
            def get_v(self, x, t):
                return self.inner_model(x, t)
            def get_eps(self, x, t):
                return self.inner_model(x, t)
            def at(self, x, sigma, t):
                """The finished picture by a level and a timestep that need not be each other's."""
                answer = self.inner_model(x / (sigma**2 + 1) ** 0.5, t * torch.ones(2, dtype=torch.float64))
                if velocity:
                    return x / (sigma**2 + 1) - answer * sigma / (sigma**2 + 1) ** 0.5
                return x - sigma * answer
        return Wrapped(Inner(text), alphas, False)

    positive, negative = denoiser(cond), denoiser(uncond)

    def guided(x, sigma):
        a, b = positive(x, sigma), negative(x, sigma)
        return b + SCALE * (a - b)

    def noises():
        generators = [torch.Generator().manual_seed(s) for s in SEEDS]
        return lambda *_: torch.stack([torch.randn(SHAPE, generator=g, dtype=torch.float32) for g in generators]).double()

    sampling, ends = kd.sampling, (positive.sigmas[0].item(), positive.sigmas[-1].item())
    even = positive.get_sigmas(STEPS)
    karras = sampling.get_sigmas_karras(STEPS, *ends)
    out["sigmas_uniform"] = even
    out["sigmas_karras"] = karras
    out["sigmas_exponential"] = sampling.get_sigmas_exponential(STEPS, *ends)
    out["sigmas_polyexponential"] = sampling.get_sigmas_polyexponential(STEPS, *ends)
    # Sabour et al. (2024) for Stable Diffusion 1.5, spread by numpy as A1111 does it.
    aligned = [14.615, 6.475, 3.861, 2.697, 1.886, 1.396, 0.963, 0.652, 0.399, 0.152, 0.029]
    places = np.linspace(0, 1, STEPS), np.linspace(0, 1, len(aligned))
    spread = np.exp(np.interp(*places, np.log(aligned[::-1])))[::-1]
    out["sigmas_align_your_steps"] = torch.tensor([*spread, 0.0])
    aligned = [14.615, 6.315, 3.771, 2.181, 1.342, 0.862, 0.555, 0.380, 0.234, 0.113, 0.029]
    spread = np.exp(np.interp(*places, np.log(aligned[::-1])))[::-1]
    out["sigmas_align_your_steps_xl"] = torch.tensor([*spread, 0.0])
    # Lee et al. (2024), in A1111's form.
    shares = stats.beta.ppf(1 - np.linspace(0, 1, STEPS), 0.6, 0.8)
    out["sigmas_beta"] = torch.tensor([*(ends[0] + shares * (ends[1] - ends[0])), 0.0])
    out["run_euler"] = sampling.sample_euler(guided, noises()() * even[0], even, disable=True)
    noise = noises()
    out["run_euler_a"] = sampling.sample_euler_ancestral(
        guided, noise() * even[0], even, disable=True, noise_sampler=noise
    )
    out["run_dpmpp_2m"] = sampling.sample_dpmpp_2m(guided, noises()() * karras[0], karras, disable=True)
    noise = noises()
    out["run_dpmpp_2s_a"] = sampling.sample_dpmpp_2s_ancestral(
        guided, noise() * karras[0], karras, disable=True, noise_sampler=noise
    )
    out["run_lms"] = sampling.sample_lms(guided, noises()() * even[0], even, disable=True)
    out["run_heun"] = sampling.sample_heun(guided, noises()() * even[0], even, disable=True)
    # A1111 leaves out the last level above 0 for these two.
    longer = sampling.get_sigmas_karras(STEPS + 1, *ends)
    short = torch.cat([longer[:-2], longer[-1:]])
    out["run_dpm_2"] = sampling.sample_dpm_2(guided, noises()() * short[0], short, disable=True)
    noise = noises()
    out["run_dpm_2_a"] = sampling.sample_dpm_2_ancestral(
        guided, noise() * short[0], short, disable=True, noise_sampler=noise
    )
    def motion(levels):
        """The noise sampler of A1111: a Brownian tree for each seed, in f32."""
        levels = levels[levels > 0].float()
        trees = kd.sampling.BatchedBrownianTree(
            torch.zeros(2, *SHAPE), levels.min(), levels.max(), seed=list(SEEDS)
        )
        def noise(sigma, sigma_next):
            a, b = sigma.float(), sigma_next.float()
            return (trees(a, b) / (b - a).abs().sqrt()).double()
        return noise

    # The trees round levels to six digits: these have to be right to the last one of them.
    torch.set_default_dtype(torch.float64)
    exact = sampling.get_sigmas_karras(STEPS, *ends)
    exponential = sampling.get_sigmas_exponential(STEPS, *ends)
    longest = sampling.get_sigmas_exponential(STEPS + 1, *ends)
    torch.set_default_dtype(torch.float32)
    exponential_short = torch.cat([longest[:-2], longest[-1:]])
    for key, sample, levels, more in (
        ("run_dpmpp_sde", sampling.sample_dpmpp_sde, exact, {}),
        ("run_dpmpp_2m_sde", sampling.sample_dpmpp_2m_sde, exponential, {}),
        ("run_dpmpp_2m_sde_heun", sampling.sample_dpmpp_2m_sde, exponential, {"solver_type": "heun"}),
        ("run_dpmpp_3m_sde", sampling.sample_dpmpp_3m_sde, exponential_short, {}),
    ):
        out[key] = sample(
            guided, noises()() * levels[0], levels, disable=True, noise_sampler=motion(levels),
            eta=0.8, s_noise=0.95, **more,
        )
    out["run_restart"] = restart_reference(kd, guided, noises(), sampling.get_sigmas_karras(20, *ends))

    noise = noises()
    x = noise()
    scheduler.set_timesteps(10)
    for t in scheduler.timesteps[:-1]:
        a = unet(x, t, encoder_hidden_states=cond).sample
        b = unet(x, t, encoder_hidden_states=uncond).sample
        x = scheduler.step(b + SCALE * (a - b), t, x, eta=0.5, variance_noise=noise()).prev_sample
    out["run_ddim"] = x
    levels = positive.sigmas
    span = levels[0].item(), levels[-1].item()
    # They step by t, which is the default type's.
    torch.set_default_dtype(torch.float64)
    noise = noises()
    out["run_dpm_fast"] = sampling.sample_dpm_fast(
        guided, noise() * span[1], *span, STEPS, disable=True, eta=0.8, s_noise=0.95, noise_sampler=noise
    )
    noise = noises()
    out["run_dpm_adaptive"] = sampling.sample_dpm_adaptive(
        guided, noise() * span[1], *span, disable=True, eta=0.8, noise_sampler=noise
    )
    out["run_dpm_adaptive_straight"] = sampling.sample_dpm_adaptive(
        guided, noises()() * span[1], *span, disable=True
    )
    torch.set_default_dtype(torch.float32)
    timestep_references(out, (positive, negative), alphas, noises)
    lcm_reference(out, (positive, negative), alphas, noises())
    shifted = rescale_zero_terminal_snr(scheduler.betas)
    without = torch.cumprod(1 - shifted, dim=0)
    without[-1] = 4.8973451890853435e-08
    a, b = (denoiser(text, without) for text in (cond, uncond))
    even = a.get_sigmas(STEPS)
    out["run_euler_zero_snr"] = sampling.sample_euler(
        lambda x, sigma: b(x, sigma) + SCALE * (a(x, sigma) - b(x, sigma)), noises()() * even[0], even,
        disable=True,
    )
    unet.float()


def timestep_references(out, models, alphas, noises):
    """DDIM with CFG++, PLMS and UniPC. They walk whole timesteps with x as √a · picture + √(1−a) · noise."""
    def both(x, a, sigma):
        """The noise for the prompt and for the negative one."""
        scaled, sigma = x / a**0.5, sigma * torch.ones(2, dtype=torch.float64)
        return [(scaled - model(scaled, sigma)) / sigma[0] for model in models]
    levels = ((1 - alphas) / alphas) ** 0.5

    steps = [(t + 1, t + 101) for t in range(0, 900, 100)][::-1]
    noise, eta = noises(), 0.5
    x = noise()
    for to, at in steps:
        a, b = alphas[at], alphas[to]
        positive, negative = both(x, a, levels[at])
        guided = negative + SCALE / 12.5 * (positive - negative)
        fresh = eta * ((1 - b) / (1 - a) * (1 - a / b)) ** 0.5
        finished = (x - (1 - a) ** 0.5 * guided) / a**0.5
        x = b**0.5 * finished + (1 - b - fresh**2) ** 0.5 * negative + fresh * noise()
    out["run_ddim_cfgpp"] = x

    def guided_noise(x, t):
        positive, negative = both(x, alphas[t], levels[t])
        return negative + SCALE * (positive - negative)
    def move(x, e, at, to):
        a, b = alphas[at], alphas[to]
        return b**0.5 * (x - (1 - a) ** 0.5 * e) / a**0.5 + (1 - b) ** 0.5 * e
    weights = [[1], [3 / 2, -1 / 2], [23 / 12, -16 / 12, 5 / 12], [55 / 24, -59 / 24, 37 / 24, -9 / 24]]
    x, past = noises()(), []
    for to, at in steps:
        past = [guided_noise(x, at), *past[:3]]
        if len(past) == 1:
            ahead = guided_noise(move(x, past[0], at, to), to)
            e = (past[0] + ahead) / 2
        else:
            e = sum(w * p for w, p in zip(weights[len(past) - 1], past))
        x = move(x, e, at, to)
    out["run_plms"] = x

    # diffusers' solver on A1111's levels: times from 1 to 1/1000, log α linear between the model's.
    def unipc(order, kind, times):
        at = times * 1000 - 1
        log_alpha = np.interp(at, np.arange(1000), 0.5 * np.log(alphas.numpy()))
        sigmas = (np.exp(-2 * log_alpha) - 1) ** 0.5
        solver = UniPCMultistepScheduler(solver_order=order, solver_type=kind)
        solver.set_timesteps(len(times) - 1)
        solver.timesteps, solver.sigmas = torch.tensor(at[:-1]), torch.tensor(sigmas)
        x = noises()()
        for t, sigma in zip(solver.timesteps, solver.sigmas):
            a = 1 / (sigma**2 + 1)
            scaled = x / a**0.5
            finished = [model.at(scaled, sigma, t) for model in models]
            e = [(scaled - it) / sigma for it in finished]
            x = solver.step(e[1] + SCALE * (e[0] - e[1]), t, x).prev_sample
        return x
    even = np.linspace(1, 1e-3, STEPS + 1)
    out["run_unipc"] = unipc(3, "bh1", even)
    out["run_unipc_bh2"] = unipc(2, "bh2", np.linspace(1, 1e-3**0.5, STEPS + 1) ** 2)


def lcm_reference(out, models, alphas, noise):
    """A1111's sampler for latent consistency models (Luo et al., 2023): 50 of the model's levels, and
    answers that are the input at the lowest."""
    kept = torch.arange(19, 1000, 20)
    levels = ((1 - alphas[kept]) / alphas[kept]) ** 0.5
    times = np.linspace(49, 0, STEPS)
    sigmas = np.exp(np.interp(times, np.arange(50), levels.log().numpy()))
    x = noise() * sigmas[0]
    for sigma, following in zip(sigmas, [*sigmas[1:], 0.0]):
        t = int(kept[(levels.log() - np.log(sigma)).abs().argmin()])
        scaled = 10.0 * t
        skip, take = 0.25 / (scaled**2 + 0.25), scaled / (scaled**2 + 0.25) ** 0.5
        a, b = (take * model.at(x, torch.tensor(sigma), torch.tensor(float(t))) + skip * x for model in models)
        x = b + SCALE * (a - b)
        if following > 0:
            x = x + following * noise()
    out["run_lcm"] = x


def restart_reference(kd, guided, noise, sigmas):
    """Restart sampling (Xu et al., 2023) with A1111's parameters for 20 steps: Heun's steps down 11
    levels, and once from the level next to 0.1 back to the one next to 2 and down again in 9."""
    karras, heun = kd.sampling.get_sigmas_karras, kd.sampling.sample_heun
    down = karras(11, sigmas[-2].item(), sigmas[0].item())
    low, high = ((down - level).abs().argmin().item() for level in (0.1, 2.0))
    again = karras(10, down[low].item(), down[high].item())[:-1]
    x = heun(guided, noise() * down[0], down[: low + 1], disable=True)
    x = x + noise() * (down[high] ** 2 - down[low] ** 2) ** 0.5
    x = heun(guided, x, again, disable=True)
    return heun(guided, x, down[low:], disable=True)


def case(kd, name, unet_config, vae_config, text_config, prediction="epsilon", pad="<|endoftext|>"):
    folder, out = HERE / name, {}
    tok, size = tokenizer(folder / "tokenizer", pad)
    torch.manual_seed(0)
    common = dict(layers_per_block=1, sample_size=8)
    unet = shake(UNet2DConditionModel(**(common | unet_config)), 1)
    vae = shake(AutoencoderKL(latent_channels=4, layers_per_block=1, sample_size=16, **vae_config), 2)
    width = unet_config["cross_attention_dim"]
    text = CLIPTextConfig(
        vocab_size=size, hidden_size=width, intermediate_size=2 * width, num_hidden_layers=3,
        num_attention_heads=2, bos_token_id=tok.bos_token_id, eos_token_id=tok.eos_token_id, **text_config,
    )
    encoder = shake(CLIPTextModel(text), 3)
    scheduler = DDIMScheduler(
        beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", clip_sample=False,
        set_alpha_to_one=False, steps_offset=1, prediction_type=prediction,
    )
    conds = text_reference(out, encoder, tok)

    g = torch.Generator().manual_seed(5)
    randn = lambda *shape: torch.randn(shape, generator=g)
    out["x"], out["x_odd"], out["context"] = randn(2, *SHAPE), randn(2, 4, 9, 7), randn(2, 77, width)
    for key, x, t in (("unet_481", "x", 481.0), ("unet_481_37", "x", 481.37), ("unet_odd", "x_odd", 10.5)):
        out[key] = unet(out[x], torch.tensor(t), encoder_hidden_states=out["context"]).sample
    # Half of the tokens merged, and a picture that patches of two do not divide.
    tomesd.apply_patch(unet, ratio=0.5, use_rand=False)
    for key, x, t in (("unet_merged", "x", 481.0), ("unet_merged_odd", "x_odd", 10.5)):
        out[key] = unet(out[x], torch.tensor(t), encoder_hidden_states=out["context"]).sample
    tomesd.remove_patch(unet)
    factor = 2 ** (len(vae_config["block_out_channels"]) - 1)
    out["image"] = torch.rand(1, 3, 6 * factor, 4 * factor, generator=g)
    out["image_noise"] = randn(1, 4, 6, 4)
    moments = vae.encode(out["image"] * 2 - 1).latent_dist
    scaling = vae.config.scaling_factor
    out["vae_mean"] = moments.mean * scaling
    out["vae_sample"] = (moments.mean + moments.std * out["image_noise"]) * scaling
    out["z"] = randn(1, 4, 5, 6)
    out["vae_decoded"] = vae.decode(out["z"] / scaling).sample
    two = lambda row: conds[row : row + 1].repeat(2, 1, 1)
    run_reference(out, kd, unet, scheduler, two(0), two(1))
    if name != "sd15":
        # Its step sizes follow from small differences: with these two networks k-diffusion's own run in
        # f32 is 2e-2 and 2e-1 off the one in f64, with the first 2e-4.
        out = {key: value for key, value in out.items() if "adaptive" not in key}

    if name != "groups":
        begins = {"lora_unet_": (unet, 0.7, IN_UNET), "lora_te_": (encoder, 0.5, IN_TEXT)}
        merged = lora(folder / "lora.safetensors", begins, 7)
        out["lora_text"] = merged["lora_te_"](chunks(tok, PROMPTS[0])).last_hidden_state
        added = merged["lora_unet_"]
        out["lora_unet"] = added(out["x"], torch.tensor(481.0), encoder_hidden_states=out["context"]).sample
        count = 3 if name == "sd15" else 1
        with_words = learnt(folder / "red-thing.safetensors", {"emb_params": encoder}, count, 8)
        ids = learnt_ids(tok, *LEARNT, count)
        out["text_learnt"] = with_words["emb_params"](ids).last_hidden_state
        write_single(folder, unet, vae, encoder, scheduler)
    save(unet, folder / "unet")
    save(vae, folder / "vae", half=name != "sd2")
    save(encoder, folder / "text_encoder")
    scheduler.save_pretrained(folder / "scheduler")
    save_file({k: v.float().contiguous() for k, v in out.items()}, folder / "reference.safetensors")
    print(name, {k: round(v.std().item(), 3) for k, v in out.items()})


def lora(file, networks, seed, original=None):
    """A LoRA in kohya's layout for some layers of each network, and the networks with it: `up @ down`
    times alpha by rank, in convolutions with a 3x3 middle in one and without in the other."""
    g = torch.Generator().manual_seed(seed)
    randn = lambda *shape: (0.3 * torch.randn(shape, generator=g)).half().float()
    out, merged = {}, {}
    for begin, (network, weight, wanted) in networks.items():
        merged[begin] = copy.deepcopy(network)
        for name, module in merged[begin].named_modules():
            middle = name.endswith("conv2")
            if not any(name.endswith(end) for end in wanted):
                continue
            rows, columns, *places = module.weight.shape
            rank, alpha = 3, 2.0
            up, down = randn(rows, rank), randn(rank, columns * (1 if middle else np.prod(places, dtype=int)))
            if middle:
                mid = randn(rank, rank, *places)
                delta = torch.einsum("nmkl,in,mj->ijkl", mid, up, down)
            else:
                delta = (up @ down).reshape(module.weight.shape)
            module.weight += weight * delta * alpha / rank
            called = begin + (original(name) if original and "unet" in begin else name).replace(".", "_")
            if places:
                ones = [1] * len(places)
                up, down = up.reshape(*up.shape, *ones), down.reshape(rank, columns, *(ones if middle else places))
            out[f"{called}.lora_up.weight"], out[f"{called}.lora_down.weight"] = up, down
            out[f"{called}.alpha"] = torch.tensor(alpha)
            if middle:
                out[f"{called}.lora_mid.weight"] = mid
    assert len(out) > 20
    save_file({key: value.half().contiguous() for key, value in out.items()}, file)
    return merged


IN_UNET = ("attn1.to_q", "attn2.to_out.0", "attn2.to_k", "ff.net.0.proj", "proj_in", "conv1", "conv2")
IN_TEXT = ("self_attn.q_proj", "self_attn.out_proj", "mlp.fc1")


def told(unet, vae, scheduler=None, **texts):
    """What the tensors of a file do not tell, where it is not as the published ones."""
    size = dict(sample_size=8, norm_num_groups=unet.config.norm_num_groups)
    coder = dict(norm_num_groups=vae.config.norm_num_groups, scaling_factor=vae.config.scaling_factor)
    heads = lambda encoder: dict(num_attention_heads=encoder.config.num_attention_heads)
    out = {name: heads(encoder) for name, encoder in texts.items()}
    out["unet"] = size | dict(attention_head_dim=unet.config.attention_head_dim)
    if scheduler is not None:
        out["scheduler"] = dict(prediction_type=scheduler.config.prediction_type)
    return out | {"vae": coder}


def write_single(folder, unet, vae, encoder, scheduler):
    state = encoder.state_dict()
    if folder.name == "sd2":
        # Files of SD 2 have one layer more than is used, and a projection that is not.
        last = max(int(key.split(".")[3]) for key in state if ".layers." in key)
        one_more = {k.replace(f"layers.{last}.", f"layers.{last + 1}."): torch.zeros_like(v)
                    for k, v in state.items() if f"layers.{last}." in k}
        width = encoder.config.hidden_size
        state = state | one_more | {"text_projection.weight": torch.zeros(width, width)}
        texts = [single.open_clip(state, "cond_stage_model.model.")]
    else:
        texts = [single.clip(state, "cond_stage_model.")]
    said = told(unet, vae, scheduler, text_encoder=encoder)
    single.write(folder / "single.safetensors", unet, vae, texts, said)


def xl_case(kd):
    """As Stable Diffusion XL: two text encoders, and a vector beside the text."""
    name, folder, out = "xl", HERE / "xl", {}
    first_tok, size = tokenizer(folder / "tokenizer", "<|endoftext|>")
    second_tok, _ = tokenizer(folder / "tokenizer_2", "!")
    common = dict(vocab_size=size, num_attention_heads=2, bos_token_id=first_tok.bos_token_id,
                  eos_token_id=first_tok.eos_token_id)
    first = CLIPTextConfig(hidden_size=12, intermediate_size=24, num_hidden_layers=3, **common)
    second = CLIPTextConfig(hidden_size=16, intermediate_size=32, num_hidden_layers=4,
                            projection_dim=20, hidden_act="gelu", **common)
    torch.manual_seed(0)
    first, second = shake(CLIPTextModel(first), 3), shake(CLIPTextModelWithProjection(second), 4)
    plain, cross = "DownBlock2D", "CrossAttnDownBlock2D"
    unet = shake(UNet2DConditionModel(
        block_out_channels=(8, 16, 16), down_block_types=(plain, cross, cross),
        up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
        cross_attention_dim=28, attention_head_dim=(1, 2, 2), norm_num_groups=4, layers_per_block=2,
        sample_size=8, use_linear_projection=True, transformer_layers_per_block=(1, 1, 2),
        addition_embed_type="text_time", addition_time_embed_dim=256,
        projection_class_embeddings_input_dim=20 + 6 * 256,
    ), 1)
    coder = dict(block_out_channels=(8, 16), down_block_types=("DownEncoderBlock2D",) * 2,
                 up_block_types=("UpDecoderBlock2D",) * 2, norm_num_groups=4, scaling_factor=0.13025)
    vae = shake(AutoencoderKL(latent_channels=4, layers_per_block=1, sample_size=16, **coder), 2)
    scheduler = DDIMScheduler(beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear",
                              clip_sample=False, set_alpha_to_one=False, steps_offset=1)

    # Height, width, top, left, height, width.
    ids = torch.tensor([[48.0, 64.0, 8.0, 4.0, 48.0, 64.0]])
    def encode(text, first=first, second=second):
        return encode_ids(chunks(first_tok, text), chunks(second_tok, text), first, second)
    def encode_ids(one, two, first, second):
        one = first(one, output_hidden_states=True)
        two = second(two, output_hidden_states=True)
        states = torch.cat([one.hidden_states[-2], two.hidden_states[-2]], -1)
        return states.reshape(1, -1, 28), two.text_embeds[:1]
    pairs = [encode(text) for text in (PROMPTS[0], PROMPTS[2], LONG)]
    (out["text"], pooled), (out["text_other"], other), (out["text_long"], pooled_long) = pairs
    waves = unet.add_time_proj(ids.flatten()).reshape(1, -1)
    for key, vector in (("vector", pooled), ("vector_other", other), ("vector_long", pooled_long)):
        out[key] = torch.cat([vector, waves], -1)

    g = torch.Generator().manual_seed(5)
    randn = lambda *shape: torch.randn(shape, generator=g)
    out["x"], out["context"], vectors = randn(2, *SHAPE), randn(2, 77, 28), randn(2, 20)
    two = lambda row: row.repeat(2, *[1] * (row.dim() - 1))
    out["unet_vector"] = torch.cat([vectors, two(waves)], -1)
    def forward(x, t, text, vector, unet=unet):
        added = dict(text_embeds=vector, time_ids=two(ids).to(x.dtype))
        return unet(x, t, encoder_hidden_states=text, added_cond_kwargs=added).sample
    out["unet_481_37"] = forward(out["x"], torch.tensor(481.37), out["context"], vectors)
    # LoRAs for this kind name the layers as the original code does.
    names = single.unet_names(unet.config)
    original = lambda name: single.unet_key(name + ".weight", names).removesuffix(".weight")
    merged = lora(folder / "lora.safetensors", {
        "lora_unet_": (unet, 0.7, IN_UNET), "lora_te1_": (first, 0.5, IN_TEXT),
        "lora_te2_": (second, 0.5, IN_TEXT),
    }, 7, original)
    out["lora_text"], _ = encode(PROMPTS[0], merged["lora_te1_"], merged["lora_te2_"])
    words = learnt(folder / "red-thing.safetensors", {"clip_l": first, "clip_g": second}, 2, 8)
    ids_of = lambda tok: learnt_ids(tok, *LEARNT, 2)
    out["text_learnt"], pooled_learnt = encode_ids(
        ids_of(first_tok), ids_of(second_tok), words["clip_l"], words["clip_g"]
    )
    out["vector_learnt"] = torch.cat([pooled_learnt, waves], -1)
    out["lora_unet"] = forward(
        out["x"], torch.tensor(481.37), out["context"], vectors, merged["lora_unet_"]
    )

    class Told:
        """The UNet for `run_reference`, which knows of no vectors: they go with their texts."""
        def double(self):
            unet.double()
            return self
        def float(self):
            unet.float()
        def __call__(self, x, t, encoder_hidden_states):
            positive = torch.equal(encoder_hidden_states, two(out["text"]).double())
            vector = two(pooled if positive else other).double()
            return types.SimpleNamespace(sample=forward(x, t, encoder_hidden_states, vector))
    # Only part of its runs is kept: the samplers are the same for every network.
    runs = {}
    run_reference(runs, kd, Told(), scheduler, two(out["text"]), two(out["text_other"]))
    out |= {key: runs[key] for key in ("run_dpmpp_2m", "run_euler_a", "run_ddim")}

    texts = [single.clip(first.state_dict(), "conditioner.embedders.0."),
             single.open_clip(second.state_dict(), "conditioner.embedders.1.model.")]
    said = told(unet, vae, text_encoder=first, text_encoder_2=second)
    single.write(folder / "single.safetensors", unet, vae, texts, said)
    for model, part in ((unet, "unet"), (vae, "vae"), (first, "text_encoder"), (second, "text_encoder_2")):
        save(model, folder / part)
    scheduler.save_pretrained(folder / "scheduler")
    save_file({k: v.float().contiguous() for k, v in out.items()}, folder / "reference.safetensors")
    print(name, {k: round(v.std().item(), 3) for k, v in out.items()})
    return unet, [(out["text"], pooled, ids), (out["text_other"], other, ids)]


def refiner_case(kd, base):
    """As SDXL's refiner: the second of SDXL's text encoders alone, and a score beside the text. `base` is
    what draws before it: a network, and what it is told of prompt and negative prompt."""
    name, folder, out = "refiner", HERE / "refiner", {}
    tok, size = tokenizer(folder / "tokenizer_2", "!")
    encoder = CLIPTextConfig(
        hidden_size=16, intermediate_size=32, num_hidden_layers=4, projection_dim=20, hidden_act="gelu",
        vocab_size=size, num_attention_heads=2, bos_token_id=tok.bos_token_id, eos_token_id=tok.eos_token_id,
    )
    torch.manual_seed(0)
    encoder = shake(CLIPTextModelWithProjection(encoder), 5)
    plain, cross = "DownBlock2D", "CrossAttnDownBlock2D"
    unet = shake(UNet2DConditionModel(
        block_out_channels=(8, 16, 16, 16), down_block_types=(plain, cross, cross, plain),
        up_block_types=("UpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
        cross_attention_dim=16, attention_head_dim=(1, 2, 2, 2), norm_num_groups=4, layers_per_block=2,
        sample_size=8, use_linear_projection=True, transformer_layers_per_block=2,
        addition_embed_type="text_time", addition_time_embed_dim=256,
        projection_class_embeddings_input_dim=20 + 5 * 256,
    ), 6)
    coder = dict(block_out_channels=(8, 16), down_block_types=("DownEncoderBlock2D",) * 2,
                 up_block_types=("UpDecoderBlock2D",) * 2, norm_num_groups=4, scaling_factor=0.13025)
    vae = shake(AutoencoderKL(latent_channels=4, layers_per_block=1, sample_size=16, **coder), 2)
    scheduler = DDIMScheduler(beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear",
                              clip_sample=False, set_alpha_to_one=False, steps_offset=1)

    # Height, width, top, left, and how well a picture is to please.
    ids = {score: torch.tensor([[48.0, 64.0, 8.0, 4.0, score]]) for score in (6.0, 2.5)}
    def encode(text):
        found = encoder(chunks(tok, text), output_hidden_states=True)
        return found.hidden_states[-2].reshape(1, -1, 16), found.text_embeds[:1]
    sides = []
    for key, text, score in (("", PROMPTS[0], 6.0), ("_negative", PROMPTS[2], 2.5), ("_long", LONG, 6.0)):
        out["text" + key], pooled = encode(text)
        waves = unet.add_time_proj(ids[score].flatten()).reshape(1, -1)
        out["vector" + key] = torch.cat([pooled, waves], -1)
        sides.append((out["text" + key], pooled, ids[score]))

    scheduler.betas = torch.linspace(0.00085**0.5, 0.012**0.5, 1000, dtype=torch.float64) ** 2
    alphas = torch.cumprod(1 - scheduler.betas, dim=0)
    def guided(network, sides):
        two = lambda row: row.double().repeat(2, *[1] * (row.dim() - 1))
        def denoiser(text, pooled, sizes):
            told = dict(text_embeds=two(pooled), time_ids=two(sizes))
            answer = lambda x, t: network(x, t, encoder_hidden_states=two(text), added_cond_kwargs=told).sample
            return kd.external.DiscreteEpsDDPMDenoiser(answer, alphas, False)
        positive, negative = (denoiser(*side) for side in sides)
        def model(x, sigma):
            a, b = positive(x, sigma), negative(x, sigma)
            return b + SCALE * (a - b)
        return model, positive.get_sigmas(STEPS)
    (own, even), (first, _) = guided(unet.double(), sides[:2]), guided(base[0].double(), base[1])
    generators = [torch.Generator().manual_seed(s) for s in SEEDS]
    x = torch.stack([torch.randn(SHAPE, generator=g) for g in generators]).double() * even[0]
    out["run_euler"] = kd.sampling.sample_euler(own, x, even, disable=True)
    # The base draws half of the steps.
    calls = iter(range(STEPS))
    both = lambda x, sigma: (first if next(calls) < STEPS // 2 else own)(x, sigma)
    out["run_euler_base_and_refiner"] = kd.sampling.sample_euler(both, x, even, disable=True)
    unet.float()

    texts = [single.open_clip(encoder.state_dict(), "conditioner.embedders.0.model.")]
    said = told(unet, vae, text_encoder_2=encoder)
    single.write(folder / "single.safetensors", unet, vae, texts, said)
    for model, part in ((unet, "unet"), (vae, "vae"), (encoder, "text_encoder_2")):
        save(model, folder / part)
    scheduler.save_pretrained(folder / "scheduler")
    save_file({k: v.float().contiguous() for k, v in out.items()}, folder / "reference.safetensors")
    print(name, {k: round(v.std().item(), 3) for k, v in out.items()})


def default_reference():
    """The default checkpoint's networks, which are wide enough for the ways of wide ones."""
    checkpoint = HERE.parents[2] / "models/atelier-emoji-64"
    load = lambda kind, part: kind.from_pretrained(checkpoint / part, torch_dtype=torch.float32).eval()
    unet, vae = load(UNet2DConditionModel, "unet"), load(AutoencoderKL, "vae")
    g = torch.Generator().manual_seed(5)
    randn = lambda *shape: torch.randn(shape, generator=g)
    width, channels = unet.config.cross_attention_dim, unet.config.in_channels
    out = {"x": randn(2, channels, 16, 16), "context": randn(2, 77, width), "z": randn(2, channels, 16, 12)}
    out["unet_481"] = unet(out["x"], torch.tensor(481.0), encoder_hidden_states=out["context"]).sample
    out["vae_decoded"] = vae.decode(out["z"] / vae.config.scaling_factor).sample
    save_file({k: v.contiguous() for k, v in out.items()}, HERE / "emoji.safetensors")


def resize_reference():
    """Latents in other sizes."""
    x = torch.randn(2, 3, 6, 5, generator=torch.Generator().manual_seed(9))
    out = {"x": x}
    resize = torch.nn.functional.interpolate
    for size in ((12, 10), (9, 13), (4, 3), (6, 11)):
        name = "x".join(map(str, size))
        for mode in ("nearest", "nearest-exact"):
            out[f"{mode}_{name}"] = resize(x, size, mode=mode)
        for mode in ("bilinear", "bicubic"):
            out[f"{mode}_{name}"] = resize(x, size, mode=mode)
            out[f"{mode}-antialiased_{name}"] = resize(x, size, mode=mode, antialias=True)
    save_file(out, HERE / "resized.safetensors")


def motion_reference(kd):
    """Increments of torchsde's Brownian trees between some levels."""
    out = {}
    for seed in (7, 2**32 + 5):
        tree = kd.sampling.BatchedBrownianTree(
            torch.zeros(4, 2, 3), torch.tensor(0.03), torch.tensor(14.6), seed=seed
        )
        for a, b in ((14.6, 9.1234567), (9.1234567, 9.0), (0.03, 14.6), (0.5, 0.0301)):
            out[f"{seed}_{a}_{b}"] = tree(torch.tensor(a), torch.tensor(b))
    save_file({k: v.float().contiguous() for k, v in out.items()}, HERE / "motion.safetensors")


def random_reference():
    out = {}
    for seed in (0, 42, 2**32 - 1, 2**32 + 5):
        for count in (5, 15, 16, 17, 100, 256):
            g = torch.Generator().manual_seed(seed)
            out[f"{seed}_{count}"] = torch.cat([torch.randn(count, generator=g) for _ in range(2)])
    save_file(out, HERE / "randn.safetensors")


def main():
    kd = k_diffusion()
    cross, plain = ("DownBlock2D", "CrossAttnDownBlock2D"), ("UpBlock2D", "CrossAttnUpBlock2D")
    encoder, decoder = "DownEncoderBlock2D", "UpDecoderBlock2D"
    sd15_unet = dict(
        block_out_channels=(16, 32), down_block_types=(cross[1], cross[0]), up_block_types=plain,
        cross_attention_dim=16, attention_head_dim=4, norm_num_groups=16,
    )
    sd15_vae = dict(
        block_out_channels=(16, 16), down_block_types=(encoder,) * 2, up_block_types=(decoder,) * 2,
        norm_num_groups=16,
    )
    case(kd, "sd15", sd15_unet, sd15_vae, {"hidden_act": "quick_gelu"})
    # Other group counts, attention at the lower resolution only, two layers, a factor of 4.
    groups_unet = dict(
        block_out_channels=(12, 24), down_block_types=cross, up_block_types=plain[::-1],
        cross_attention_dim=20, attention_head_dim=3, norm_num_groups=4, layers_per_block=2,
        flip_sin_to_cos=False, freq_shift=1,
    )
    groups_vae = dict(
        block_out_channels=(8, 8, 16), down_block_types=(encoder,) * 3, up_block_types=(decoder,) * 3,
        norm_num_groups=2, scaling_factor=0.43,
    )
    case(kd, "groups", groups_unet, groups_vae, {"hidden_act": "quick_gelu"})
    # As SD 2: linear projections, heads per block, exact gelu, velocity, padding with "!".
    sd2_unet = dict(
        block_out_channels=(8, 16, 16), down_block_types=(cross[1], cross[1], cross[0]),
        up_block_types=(plain[0], plain[1], plain[1]), cross_attention_dim=24,
        attention_head_dim=(1, 2, 4), norm_num_groups=8, use_linear_projection=True,
        transformer_layers_per_block=(1, 2, 1),
    )
    sd2_vae = dict(
        block_out_channels=(8, 16), down_block_types=(encoder,) * 2, up_block_types=(decoder,) * 2,
        norm_num_groups=4,
    )
    case(kd, "sd2", sd2_unet, sd2_vae, {"hidden_act": "gelu"}, "v_prediction", "!")
    refiner_case(kd, xl_case(kd))
    single.published(HERE)
    default_reference()
    random_reference()
    motion_reference(kd)
    resize_reference()


if __name__ == "__main__":
    main()
