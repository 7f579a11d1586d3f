"""Measures stable-diffusion.cpp on a checkpoint of SD 1.5's size: guided steps, texts, and the picture.

`measure.py FOLDER [THREADS]`, with a folder in diffusers' layout as `cargo xtask bench` makes it. Prints
milliseconds for each, as the program itself tells them.
"""

import sys
import tempfile
import time
from pathlib import Path

from safetensors.numpy import load_file, save_file
from stable_diffusion_cpp import StableDiffusion


def joined(folder, file):
    """One file of all parts: it finds out the kind of model from their names."""
    tensors = {}
    for part, prefix, name in [
        ("unet", "unet.", "diffusion_pytorch_model"),
        ("vae", "vae.", "diffusion_pytorch_model"),
        ("text_encoder", "te.text_model.", "model"),
    ]:
        for key, tensor in load_file(folder / part / f"{name}.safetensors").items():
            tensors[prefix + key.removeprefix("text_model.")] = tensor
    save_file(tensors, file)


def main():
    folder = Path(sys.argv[1])
    threads = int(sys.argv[2]) if len(sys.argv) > 2 else 2
    with tempfile.TemporaryDirectory() as temporary:
        file = Path(temporary) / "joined.safetensors"
        joined(folder, file)
        model = StableDiffusion(model_path=str(file), n_threads=threads, vae_decode_only=True, verbose=True)
        steps = []
        model.generate_image(
            prompt="a photo of a red heart, smiling",
            width=512,
            height=512,
            sample_steps=3,
            cfg_scale=7.0,
            sample_method="euler",
            seed=7,
            progress_callback=lambda step, _, seconds: steps.append((step, seconds, time.monotonic())),
        )
        rest = time.monotonic() - steps[-1][2]
    print("steps:", ", ".join(f"{seconds * 1e3:.0f}" for step, seconds, _ in steps if step > 0))
    print(f"picture: {rest * 1e3:.0f}")


if __name__ == "__main__":
    main()
