"""Proves the command `record` on the stand-in:  golden/run.sh check-hf

Makes a checkpoint of random weights under the stand-in's own names, records a golden file with the stand-in's own code,
and expects `emergent verify` to agree. Then sets the wrong rotary pairing and expects `emergent verify` to find it.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import torch
from safetensors.torch import save_file

ROOT = Path(__file__).parent.parent
PROMPT = "Question: What is the capital of Japan?\nAnswer:"


def check_hf():
    with tempfile.TemporaryDirectory() as temporary:
        os.environ |= {"HF_HOME": f"{temporary}/cache", "HF_HUB_OFFLINE": "1"}
        folder, golden = Path(temporary) / "standin", Path(temporary) / "golden.safetensors"
        make_standin(folder)
        record(folder, golden)
        right = verify(folder, golden)
        config = json.loads((folder / "config.json").read_text())
        (folder / "config.json").write_text(json.dumps({**config, "rope_pairing": "interleaved"}))
        wrong = verify(folder, golden)
    print("\n".join([*right.stdout.splitlines()[-1:], *wrong.stdout.splitlines()[-4:]]))
    explained = "explained: with rope_pairing: half everything agrees" in wrong.stdout
    if right.returncode != 0 or wrong.returncode != 1 or not explained:
        sys.exit(f"golden: `emergent verify` did not judge the stand-in as expected\n{right.stderr}{wrong.stderr}")


def make_standin(folder):
    """Makes a checkpoint folder: the stand-in's code, weights as large as a trained model's, the demo's tokenizer."""
    shutil.copytree(ROOT / "golden/standin", folder, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(ROOT / "models/demo" / name, folder / name)
    C, V, E, L = 48, 1024, 12, 3
    torch.manual_seed(1)

    def linear(name, N, K, bias=True):
        weight = {f"{name}.weight": torch.randn(N, K) * 1.3 / K**0.5}
        return weight | ({f"{name}.bias": torch.randn(N) * 0.2} if bias else {})

    def norm(name):
        return {f"{name}.weight": 1 + 0.3 * torch.randn(C), f"{name}.bias": 0.2 * torch.randn(C)}

    weights = {"codes.weight": torch.randn(V, E)} | norm("norm") | linear("readout", V, C)
    for n in range(L):
        at = f"stages.{n}"
        weights |= norm(f"{at}.norm1") | norm(f"{at}.norm2") | linear(f"{at}.mixer.qkv", 3 * C, C, bias=False)
        weights |= linear(f"{at}.mixer.proj", C, C, bias=False)
        weights |= linear(f"{at}.mlp.0", 4 * C, C) | linear(f"{at}.mlp.2", C, 4 * C)
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    config = {
        "architectures": ["StandinForCausalLM"],
        "model_type": "standin",
        "auto_map": {
            "AutoConfig": "configuration_standin.StandinConfig",
            "AutoModelForCausalLM": "modeling_standin.StandinForCausalLM",
        },
        **{"vocab_size": V, "n_embed": E, "d_model": C, "n_layer": L, "n_head": 3, "block_size": 64},
    }
    (folder / "config.json").write_text(json.dumps(config, indent=1))


def record(folder, golden):
    options = ["--model", folder, "--prompt", PROMPT, "--out", golden]
    subprocess.run([sys.executable, ROOT / "golden/commands.py", "record", *options], check=True)


def verify(folder, golden):
    command = ["npm", "run", "--silent", "emergent", "--", "verify", "--model", str(folder), "--golden", str(golden)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True)

