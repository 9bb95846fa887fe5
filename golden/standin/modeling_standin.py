"""A stand-in for an author's own modeling file: the same architecture under other names, with its own rotary class and
fused projections, and without any code of this project. It proves that record.py needs no names."""

import torch
from torch import nn
from transformers import PreTrainedModel
from transformers.modeling_outputs import CausalLMOutput

from .configuration_standin import StandinConfig


class Rotary(nn.Module):
    def __init__(self, dim, length):
        super().__init__()
        frequencies = 1.0 / 10000 ** (torch.arange(0, dim, 2).float() / dim)
        angles = torch.arange(length).float()[:, None] * frequencies
        angles = torch.cat([angles, angles], dim=-1)
        self.register_buffer("cos", angles.cos(), persistent=False)
        self.register_buffer("sin", angles.sin(), persistent=False)

    def forward(self, x):
        left, right = x.chunk(2, dim=-1)
        n = x.shape[-2]
        return x * self.cos[:n].to(x) + torch.cat([-right, left], dim=-1) * self.sin[:n].to(x)


class Mixer(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.heads = config.n_head
        self.qkv = nn.Linear(config.d_model, 3 * config.d_model, bias=False)
        self.proj = nn.Linear(config.d_model, config.d_model, bias=False)
        self.rotary = Rotary(config.d_model // config.n_head, config.block_size)

    def forward(self, x):
        b, t, c = x.shape
        q, k, v = (y.view(b, t, self.heads, -1).transpose(1, 2) for y in self.qkv(x).chunk(3, dim=-1))
        y = nn.functional.scaled_dot_product_attention(self.rotary(q), self.rotary(k), v, is_causal=True)
        return self.proj(y.transpose(1, 2).reshape(b, t, c))


class Stage(nn.Module):
    def __init__(self, config):
        super().__init__()
        c = config.d_model
        self.norm1, self.mixer, self.norm2 = nn.LayerNorm(c), Mixer(config), nn.LayerNorm(c)
        self.mlp = nn.Sequential(nn.Linear(c, 4 * c), nn.GELU(), nn.Linear(4 * c, c), nn.Dropout(0.1))

    def forward(self, x):
        x = x + self.mixer(self.norm1(x))
        return x + self.mlp(self.norm2(x))


class StandinForCausalLM(PreTrainedModel):
    config_class = StandinConfig

    def __init__(self, config):
        super().__init__(config)
        self.codes = nn.Embedding(config.vocab_size, config.n_embed)
        self.stages = nn.ModuleList([Stage(config) for _ in range(config.n_layer)])
        self.norm = nn.LayerNorm(config.d_model)
        self.readout = nn.Linear(config.d_model, config.vocab_size)
        self.post_init()

    def forward(self, input_ids, **kwargs):
        x = self.codes(input_ids).repeat_interleave(self.config.d_model // self.config.n_embed, dim=-1)
        for stage in self.stages:
            x = stage(x)
        return CausalLMOutput(logits=self.readout(self.norm(x)))
