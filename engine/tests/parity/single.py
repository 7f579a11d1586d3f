"""Single-file checkpoints ("LDM") out of diffusers' networks, and lists of the tensors that the
published ones have. Every name is checked by diffusers' own way back."""

import gzip
import json
import re

import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from diffusers.loaders import single_file_utils
from safetensors.torch import save_file
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

RESNET = {
    "norm1": "in_layers.0", "conv1": "in_layers.2", "norm2": "out_layers.0", "conv2": "out_layers.3",
    "time_emb_proj": "emb_layers.1", "conv_shortcut": "skip_connection",
}
ATTENTION = {"group_norm": "norm", "to_q": "q", "to_k": "k", "to_v": "v", "to_out.0": "proj_out"}
LAYER = {
    "self_attn.out_proj": "attn.out_proj", "layer_norm1": "ln_1", "layer_norm2": "ln_2",
    "mlp.fc1": "mlp.c_fc", "mlp.fc2": "mlp.c_proj",
}


def unet_names(config):
    """diffusers' beginnings of names and the file's."""
    levels, names = len(config.block_out_channels), {
        "time_embedding.linear_1.": "time_embed.0.", "time_embedding.linear_2.": "time_embed.2.",
        "add_embedding.linear_1.": "label_emb.0.0.", "add_embedding.linear_2.": "label_emb.0.2.",
        "conv_in.": "input_blocks.0.0.", "conv_norm_out.": "out.0.", "conv_out.": "out.2.",
        "mid_block.resnets.0.": "middle_block.0.", "mid_block.attentions.0.": "middle_block.1.",
        "mid_block.resnets.1.": "middle_block.2.",
    }
    layers = config.layers_per_block
    for i in range(levels):
        for j in range(layers):
            n = (layers + 1) * i + j + 1
            names[f"down_blocks.{i}.resnets.{j}."] = f"input_blocks.{n}.0."
            names[f"down_blocks.{i}.attentions.{j}."] = f"input_blocks.{n}.1."
        n = (layers + 1) * (i + 1)
        names[f"down_blocks.{i}.downsamplers.0.conv."] = f"input_blocks.{n}.0.op."
        attends = config.up_block_types[i].startswith("CrossAttn")
        for j in range(layers + 1):
            n = (layers + 1) * i + j
            names[f"up_blocks.{i}.resnets.{j}."] = f"output_blocks.{n}.0."
            names[f"up_blocks.{i}.attentions.{j}."] = f"output_blocks.{n}.1."
        names[f"up_blocks.{i}.upsamplers.0.conv."] = f"output_blocks.{n}.{2 if attends else 1}.conv."
    return names


def unet_key(key, names):
    begin = next(name for name in names if key.startswith(name))
    rest = key[len(begin):]
    if ".resnets." in key:
        layer, kind = rest.rsplit(".", 1)
        rest = f"{RESNET[layer]}.{kind}"
    return names[begin] + rest


def vae_key(key, levels):
    turned = lambda i: levels - 1 - int(i)
    key = re.sub(r"up_blocks\.(\d+)\.resnets\.", lambda m: f"up.{turned(m[1])}.block.", key)
    key = re.sub(r"up_blocks\.(\d+)\.upsamplers\.0\.", lambda m: f"up.{turned(m[1])}.upsample.", key)
    key = re.sub(r"down_blocks\.(\d+)\.resnets\.", r"down.\1.block.", key)
    key = re.sub(r"down_blocks\.(\d+)\.downsamplers\.0\.", r"down.\1.downsample.", key)
    key = re.sub(r"mid_block\.resnets\.(\d)\.", lambda m: f"mid.block_{int(m[1]) + 1}.", key)
    for name, other in ATTENTION.items():
        key = key.replace(f"mid_block.attentions.0.{name}.", f"mid.attn_1.{other}.")
    return key.replace("conv_shortcut", "nin_shortcut").replace("conv_norm_out", "norm_out")


def clip(state, prefix):
    return {prefix + "transformer." + key: value for key, value in state.items()}


def open_clip(state, prefix):
    out = {}
    for key, value in state.items():
        key = key.removeprefix("text_model.")
        layer = re.match(r"encoder\.layers\.(\d+)\.(.*)\.(weight|bias)$", key)
        if layer is None:
            renamed = {
                "embeddings.token_embedding.weight": "token_embedding.weight",
                "embeddings.position_embedding.weight": "positional_embedding",
                "final_layer_norm.weight": "ln_final.weight", "final_layer_norm.bias": "ln_final.bias",
                "text_projection.weight": "text_projection",
            }[key]
            out[prefix + renamed] = value.T if renamed == "text_projection" else value
            continue
        number, part, kind = layer.groups()
        into = f"{prefix}transformer.resblocks.{number}."
        if part.startswith("self_attn.") and part != "self_attn.out_proj":
            if part == "self_attn.q_proj":
                three = [state["text_model." + key.replace("q_proj", f"{c}_proj")] for c in "qkv"]
                out[f"{into}attn.in_proj_{kind}"] = torch.cat(three)
        else:
            out[f"{into}{LAYER[part]}.{kind}"] = value
    out[prefix + "logit_scale"] = torch.tensor(4.6)
    return out


def single(unet, vae, texts):
    """The tensors of one file; `texts` are pairs of what makes names and weights."""
    names, levels = unet_names(unet.config), len(vae.config.block_out_channels)
    out = {f"model.diffusion_model.{unet_key(k, names)}": v for k, v in unet.state_dict().items()}
    for key, value in vae.state_dict().items():
        name = vae_key(key, levels)
        conv = ".attn_1." in name and value.dim() == 2
        out["first_stage_model." + name] = value[:, :, None, None] if conv else value
    check(dict(out), unet, vae)
    for state in texts:
        out |= state
    return {key: value.contiguous() for key, value in out.items()}


def check(out, unet, vae):
    same = lambda a, b: a.keys() == b.keys() and all(a[k].shape == b[k].shape for k in a)
    back = single_file_utils.convert_ldm_unet_checkpoint(dict(out), dict(unet.config))
    assert same(back, unet.state_dict()), set(back) ^ set(unet.state_dict())
    back = single_file_utils.convert_ldm_vae_checkpoint(dict(out), dict(vae.config))
    assert same(back, vae.state_dict()), set(back) ^ set(vae.state_dict())


def write(file, unet, vae, texts, told):
    state = {key: value.half() for key, value in single(unet, vae, texts).items()}
    save_file(state, file, metadata={"atelier.config": json.dumps(told)})


def published(folder):
    """Lists of the tensors of SD 1.5, SD 2.1, SDXL, its refiner and the default checkpoint: the file's name, the
    shape, and diffusers' name where that is one tensor."""
    cross, plain = "CrossAttnDownBlock2D", "DownBlock2D"
    up = lambda kinds: tuple(kind.replace("Down", "Up") for kind in reversed(kinds))
    def unet(down, **config):
        return UNet2DConditionModel(down_block_types=down, up_block_types=up(down), **config)
    text = lambda kind, **config: kind(CLIPTextConfig(**config))
    four = dict(block_out_channels=(320, 640, 1280, 1280))
    wide = dict(hidden_size=1024, intermediate_size=4096, num_attention_heads=16, hidden_act="gelu")
    widest = dict(
        hidden_size=1280, intermediate_size=5120, num_attention_heads=20, hidden_act="gelu",
        num_hidden_layers=32, projection_dim=1280,
    )
    first = dict(hidden_size=768, intermediate_size=3072, num_attention_heads=12)
    with torch.device("meta"):
        coder = dict(
            block_out_channels=(128, 256, 512, 512), down_block_types=("DownEncoderBlock2D",) * 4,
            up_block_types=("UpDecoderBlock2D",) * 4, layers_per_block=2,
        )
        vae = AutoencoderKL(latent_channels=4, **coder)
        sd1 = unet((cross,) * 3 + (plain,), cross_attention_dim=768, **four)
        sd2 = unet(
            (cross,) * 3 + (plain,), cross_attention_dim=1024, attention_head_dim=(5, 10, 20, 20),
            use_linear_projection=True, **four,
        )
        xl = unet(
            (plain, cross, cross), cross_attention_dim=2048, attention_head_dim=(5, 10, 20),
            use_linear_projection=True, block_out_channels=(320, 640, 1280),
            transformer_layers_per_block=(1, 2, 10), addition_embed_type="text_time",
            addition_time_embed_dim=256, projection_class_embeddings_input_dim=2816,
        )
        refiner = unet(
            (plain, cross, cross, plain), cross_attention_dim=1280, attention_head_dim=(6, 12, 24, 24),
            use_linear_projection=True, block_out_channels=(384, 768, 1536, 1536),
            transformer_layers_per_block=4, addition_embed_type="text_time", addition_time_embed_dim=256,
            projection_class_embeddings_input_dim=2560,
        )
        clip_l = text(CLIPTextModel, **first).state_dict()
        # All layers are in the file, though SD 2 uses all but the last.
        clip_h = text(CLIPTextModelWithProjection, num_hidden_layers=24, projection_dim=1024, **wide)
        clip_g = text(CLIPTextModelWithProjection, **widest)
    kinds = {
        "sd1": (sd1, [clip(clip_l, "cond_stage_model.")]),
        "sd2": (sd2, [open_clip(clip_h.state_dict(), "cond_stage_model.model.")]),
        "xl": (xl, [
            clip(clip_l, "conditioner.embedders.0."),
            open_clip(clip_g.state_dict(), "conditioner.embedders.1.model."),
        ]),
        "refiner": (refiner, [open_clip(clip_g.state_dict(), "conditioner.embedders.0.model.")]),
    }
    checkpoint = folder.parents[2] / "models/atelier-emoji-64"
    with torch.device("meta"):
        config = lambda kind, part: kind.from_config(kind.load_config(checkpoint / part))
        emoji = config(UNet2DConditionModel, "unet"), config(AutoencoderKL, "vae")
        encoder = CLIPTextModel(CLIPTextConfig.from_pretrained(checkpoint / "text_encoder"))
    listing(folder, "emoji", *emoji, [clip(encoder.state_dict(), "cond_stage_model.")])
    for name, (unet, texts) in kinds.items():
        listing(folder, name, unet, vae, texts)


def listing(folder, name, unet, vae, texts):
    names = unet_names(unet.config)
    back = {f"model.diffusion_model.{unet_key(k, names)}": f"unet {k}" for k in unet.state_dict()}
    back |= {f"first_stage_model.{vae_key(k, len(vae.config.block_out_channels))}": f"vae {k}" for k in vae.state_dict()}
    tensors = single(unet, vae, texts)
    lines = [
        "\t".join([key, "x".join(map(str, value.shape)), back.get(key, "")])
        for key, value in sorted(tensors.items())
    ]
    data = ("\n".join(lines) + "\n").encode()
    with open(folder / f"{name}.tsv.gz", "wb") as file:
        file.write(gzip.compress(data, mtime=0))
    print(name, len(lines), "tensors")
