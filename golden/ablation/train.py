"""Trains one arm with one seed.

Runs are paired by seed: the order of the data and the start of every weight but the table are the same in all arms.
"""

import random
import time

import torch
from torch.nn import functional as F

from ablation import arms, measure
from constants import ABLATION_MODEL_TYPE
from model import Model
from train_demo import PAD

CONFIG = {
    "architectures": ["BVVForCausalLM"],
    "model_type": ABLATION_MODEL_TYPE,
    "vocab_size": arms.V,
    "block_size": 128,
    "d_model": arms.C,
    "n_layer": 4,
    "n_head": 4,
    "pad_id": PAD,
    "torch_dtype": "float16",
    "rope_pairing": "half",
    "rope_theta": 10000.0,
    "gelu_approximate": "none",
    "norm_position": "pre",
    "layer_norm_eps": 1e-5,
}
STEPS = 700
ROWS = 8  # of prose and of questions, each, in a batch
PEAK_LR, WARMUP = 2e-3, 35
POINTS = 10  # of a curve


def initialize(model, seed):
    """Normal weights of deviation 0.02, smaller where a block writes to the residual stream, as the demo's."""
    generator = torch.Generator().manual_seed(seed)
    for name, p in model.named_parameters():
        if p.dim() == 2 and name != "token_embeddings.weight":
            into_residual = name.endswith(("o_proj.weight", "ffn.2.weight"))
            p.data.normal_(0, 0.02 / (2 * CONFIG["n_layer"]) ** 0.5 if into_residual else 0.02, generator=generator)
        elif name.endswith(".bias"):
            p.data.zero_()


def learning_rate(step):
    """Linear warm-up, then linear decay to zero."""
    return PEAK_LR * min((step + 1) / WARMUP, (STEPS - step) / (STEPS - WARMUP))


def loss_of(model, ids, weights):
    """The mean loss on prose plus the weighted mean loss on questions, where answers count most."""
    losses = F.cross_entropy(model(ids[:, :-1]).transpose(1, 2), ids[:, 1:], reduction="none")
    prose, facts, weights = losses[:ROWS], losses[ROWS:], weights[:, 1:]
    return prose.mean() + (facts * weights).sum() / weights.sum()


def train(arm, seed, data):
    """Returns the model and what was measured along the way and at the end."""
    begun = time.monotonic()
    model = Model({**CONFIG, "n_embed": arm.width})
    initialize(model, seed)
    table = model.token_embeddings.weight
    table.data = arms.make_table(arm, seed, data.strings)
    table.requires_grad = arm.trained
    start = table.detach().clone()
    trained = [p for p in model.parameters() if p.requires_grad]
    matrices = [p for p in trained if p.dim() == 2 and p is not table]
    others = [p for p in trained if p.dim() == 1 or p is table]
    groups = [{"params": matrices, "weight_decay": 0.05}, {"params": others, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=PEAK_LR, betas=(0.9, 0.98), fused=True)
    batches = data.batches(random.Random(seed), ROWS)
    curve = [{"step": 0, **measure.along_the_way(model, data)}]
    for step in range(STEPS):
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(step)
        loss = loss_of(model, *next(batches))
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(trained, 1.0)
        optimizer.step()
        if (step + 1) % (STEPS // POINTS) == 0:
            curve.append({"step": step + 1, **measure.along_the_way(model, data)})
    expanded = (arms.C / arm.width) ** 0.5
    result = {
        "arm": arm.name,
        "seed": seed,
        "trained_parameters": sum(p.numel() for p in trained),
        "input_norm": [(t.norm(dim=1).mean() * expanded).item() for t in (start, table.detach())],
        "table_moved": ((table.detach() - start).norm() / start.norm()).item(),
        **measure.at_the_end(model, data),
        "curve": curve,
    }
    return model, {**result, "seconds": round(time.monotonic() - begun, 1)}
