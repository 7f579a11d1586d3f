"""The rivals of `cargo xtask bench`: diffusers on torch, and the same networks on onnxruntime and openvino.
Takes the commands of engine/examples/bench.rs from standard input and answers as it does:
`rival.py FOLDER WITH THREADS EXPORTED`, with a type of torch's or one of those two, which read networks
from the folder EXPORTED and write them there where they are missing. `rival.py make FOLDER` writes the checkpoints."""

import resource
import sys
import time
from pathlib import Path

import torch

PROMPT = "a photo of a red heart, smiling"


def make(folder):
    """Checkpoints with random weights in f16: one of 68 million parameters, one of SD 1.5's size."""
    from diffusers import AutoencoderKL, DDIMScheduler, UNet2DConditionModel
    from transformers import CLIPTextConfig, CLIPTextModel

    default = Path(__file__).parents[3] / "models/atelier-emoji-64"
    cross, plain = "CrossAttnDownBlock2D", "DownBlock2D"
    up = lambda kinds: tuple(kind.replace("Down", "Up") for kind in reversed(kinds))
    for name, channels, down, width, layers, resnets in (
        ("68m", (128, 256, 512), (plain, cross, cross), 512, 8, 1),
        ("sd15", (320, 640, 1280, 1280), (cross,) * 3 + (plain,), 768, 12, 2),
    ):
        torch.manual_seed(0)
        unet = UNet2DConditionModel(
            block_out_channels=channels, down_block_types=down, up_block_types=up(down),
            cross_attention_dim=width, attention_head_dim=8, layers_per_block=resnets, sample_size=64,
        )
        vae = AutoencoderKL(
            block_out_channels=(128, 256, 512, 512), down_block_types=("DownEncoderBlock2D",) * 4,
            up_block_types=("UpDecoderBlock2D",) * 4, layers_per_block=2, latent_channels=4,
        )
        text = CLIPTextModel(CLIPTextConfig(
            hidden_size=width, intermediate_size=4 * width, num_hidden_layers=layers,
            num_attention_heads=width // 64, bos_token_id=49406, eos_token_id=49407,
        ))
        scheduler = DDIMScheduler(beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear")
        for part, what in (("unet", unet), ("vae", vae), ("text_encoder", text)):
            what.half().save_pretrained(folder / name / part)
        scheduler.save_pretrained(folder / name / "scheduler")
        tokenizer = folder / name / "tokenizer"
        tokenizer.mkdir(parents=True, exist_ok=True)
        for file in (default / "tokenizer").iterdir():
            (tokenizer / file.name).write_bytes(file.read_bytes())
        print(name, sum(p.numel() for p in unet.parameters()) // 10**6, "million")


class Network(torch.nn.Module):
    """A function with the module that it calls, which is what is exported."""

    def __init__(self, function, module):
        super().__init__()
        self.function, self.module = function, module

    def forward(self, *inputs):
        return self.function(*inputs)


def export(networks, modules, to):
    """Writes the networks as ONNX, of any size of picture, where they are not there."""
    latents = torch.randn(1, modules["vae"].config.latent_channels, 8, 8)
    width = modules["unet"].config.cross_attention_dim
    inputs = {
        "unet": (torch.cat([latents, latents]), torch.tensor(500.0), torch.randn(2, 77, width)),
        "vae": (latents,),
        "text": (torch.zeros(1, 77, dtype=torch.int64),),
    }
    for name, function in networks.items():
        # Weights of large networks are files of their own beside it.
        file = to / name / "network.onnx"
        if not file.exists():
            file.parent.mkdir(parents=True, exist_ok=True)
            names = [f"in{at}" for at in range(len(inputs[name]))]
            axes = {"in0": {0: "rows"} if name == "text" else {2: "height", 3: "width"}}
            torch.onnx.export(
                Network(function, modules[name]), inputs[name], str(file), input_names=names, dynamic_axes=axes, dynamo=False,
            )


def runner(what, file, threads):
    """The network of a file as a function of tensors."""
    arrays = lambda inputs: [tensor.numpy() for tensor in inputs]
    if what == "openvino":
        import openvino

        hints = {"INFERENCE_NUM_THREADS": threads, "INFERENCE_PRECISION_HINT": "f32"}
        model = openvino.Core().compile_model(str(file), "CPU", hints)
        return lambda *inputs: torch.from_numpy(model(arrays(inputs))[0])
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
    names = [it.name for it in session.get_inputs()]
    return lambda *inputs: torch.from_numpy(session.run(None, dict(zip(names, arrays(inputs))))[0])


def main():
    from diffusers import AutoencoderKL, EulerDiscreteScheduler, UNet2DConditionModel
    from transformers import CLIPTextModel, CLIPTokenizer

    folder, with_what, threads = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
    kind = getattr(torch, with_what, torch.float32)
    torch.set_grad_enabled(False)
    torch.set_num_threads(threads)
    load = lambda what, part: what.from_pretrained(folder / part, torch_dtype=kind).eval()
    unet, vae = load(UNet2DConditionModel, "unet"), load(AutoencoderKL, "vae")
    text = load(CLIPTextModel, "text_encoder")
    tokenizer = CLIPTokenizer.from_pretrained(folder / "tokenizer")
    scheduler = EulerDiscreteScheduler.from_pretrained(folder / "scheduler")

    # What takes the time, as functions of tensors.
    networks = {
        "unet": lambda x, t, context: unet(x, t, encoder_hidden_states=context).sample,
        "vae": lambda z: vae.decode(z).sample,
        "text": lambda ids: text(ids)[0],
    }
    if not hasattr(torch, with_what):
        exported = Path(sys.argv[4]) / folder.name
        export(networks, {"unet": unet, "vae": vae, "text": text}, exported)
        del unet.down_blocks, unet.mid_block, unet.up_blocks, vae.decoder, vae.encoder, text
        networks = {name: runner(with_what, exported / name / "network.onnx", threads) for name in networks}

    def encode(prompts):
        ids = tokenizer(prompts, padding="max_length", max_length=77, return_tensors="pt").input_ids
        return networks["text"](ids)

    # The texts of pictures are encoded once: they have a case of their own.
    context = encode([PROMPT, ""])

    def steps(count, width, height):
        scheduler.set_timesteps(count)
        x = torch.randn(1, 4, height, width, generator=torch.Generator().manual_seed(7)).to(kind)
        x = x * scheduler.init_noise_sigma
        for t in scheduler.timesteps:
            both = scheduler.scale_model_input(torch.cat([x, x]), t)
            cond, uncond = networks["unet"](both, t, context).chunk(2)
            x = scheduler.step(uncond + 7 * (cond - uncond), t, x).prev_sample
        return x

    def decode(latents):
        return networks["vae"](latents / vae.config.scaling_factor)

    print("ready", flush=True)
    for line in sys.stdin:
        words, begin = line.split(), time.perf_counter()
        match words:
            case ["step", width, height]:
                steps(1, int(width), int(height))
            case ["decode", width, height]:
                decode(torch.zeros(1, vae.config.latent_channels, int(height), int(width), dtype=kind))
            case ["text"]:
                encode([PROMPT])
            case ["picture", count]:
                decode(steps(int(count), unet.config.sample_size, unet.config.sample_size))
            case ["memory"]:
                print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, flush=True)
                continue
        print(f"{(time.perf_counter() - begin) * 1e3:.3f}", flush=True)


if __name__ == "__main__":
    if sys.argv[1] == "make":
        make(Path(sys.argv[2]))
    else:
        main()
