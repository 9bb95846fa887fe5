"""The cases of the golden fixtures: the inputs of each op, and the models to run.

Random numbers are uniform and come from numpy's legacy generator. Its stream never changes, so every machine makes the
same bits.
"""

import numpy as np

SEED = 20250711


class Source:
    """Repeatable float32 arrays."""

    def __init__(self, seed):
        self.random = np.random.RandomState(seed)

    def uniform(self, *shape, limit=1.0, center=0.0):
        return (center + limit * (2 * self.random.random_sample(shape) - 1)).astype(np.float32)

    def integers(self, below, count):
        return self.random.randint(0, below, count).tolist()


def f32(*values):
    return np.array(values, dtype=np.float32)


def op_cases():
    """{op: {case: (inputs by argument, attributes)}}. The names of ops and arguments are those of reference/."""
    s = Source(SEED)
    return {
        "embedding": {"ids": ({"table": s.uniform(20, 6)}, {"ids": [3, 0, 19, 3, 7]})},
        "repeatInterleave": {
            "once": ({"x": s.uniform(3, 5)}, {"repeats": 1}),
            "sixteen": ({"x": s.uniform(3, 4)}, {"repeats": 16}),
        },
        "layerNorm": layer_norm_cases(s),
        "linear": linear_cases(s),
        "rope": {
            f"{pairing}{heads}Heads{start}": (
                {"x": s.uniform(5, heads * D, limit=3)},
                {"heads": heads, "pairing": pairing, "theta": theta, "start": start},
            )
            for pairing in ("half", "interleaved")
            for heads, D, theta, start in ((1, 2, 10000.0, 0), (3, 8, 10000.0, 7), (2, 32, 500.0, 1019))
        },
        "ropeTables": {
            "published": ({}, {"D": 32, "theta": 10000.0, "start": 0, "T": 40}),
            "far": ({}, {"D": 32, "theta": 10000.0, "start": 984, "T": 40}),
            "otherTheta": ({}, {"D": 10, "theta": 500.0, "start": 100, "T": 8}),
        },
        "attention": attention_cases(s),
        "softmax": {
            "ordinary": ({"x": s.uniform(4, 17, limit=5)}, {}),
            "single": ({"x": s.uniform(3, 1)}, {}),
            "largeEqual": ({"x": np.full((2, 5), 1e30, np.float32)}, {}),
            "farApart": ({"x": f32(0, 100, -100, 99.5, 1e4, -1e4, 9999)[None]}, {}),
            "masked": ({"x": f32(1, -np.inf, 2, -np.inf)[None]}, {}),
            "tiny": ({"x": f32(1e-40, -1e-40, 0, -0.0)[None]}, {}),
        },
        "gelu": {
            f"{name}{form.capitalize()}": ({"x": x}, {"approximate": form})
            for form in ("none", "tanh")
            for name, x in {
                "dense": np.linspace(-15, 15, 3001, dtype=np.float32),
                "special": f32(0, -0.0, np.inf, -np.inf, np.nan, 1e-45, -1e-45, 1e-38, -1e-38, 1e-20, 3e38, -3e38),
            }.items()
        },
        "feedForward": {
            form: (
                {
                    "x": s.uniform(4, 8, limit=2),
                    "up.weight": s.uniform(32, 8),
                    "up.bias": s.uniform(32),
                    "down.weight": s.uniform(8, 32),
                    "down.bias": s.uniform(8),
                },
                {"approximate": form},
            )
            for form in ("none", "tanh")
        },
    }


def layer_norm_cases(s):
    def case(x, bias=True, eps=1e-5):
        C = x.shape[1]
        inputs = {"x": x, "weight": s.uniform(C, center=1, limit=0.5)}
        return ({**inputs, "bias": s.uniform(C)} if bias else inputs, {"eps": eps})

    outlier = s.uniform(2, 24)
    outlier[0, 5] = 1e4
    return {
        "ordinary": case(s.uniform(5, 33, limit=4)),
        "oneToken": case(s.uniform(1, 64)),
        "oneElement": case(s.uniform(3, 1)),
        "withoutBias": case(s.uniform(3, 10), bias=False),
        "otherEps": case(s.uniform(3, 10, limit=0.01), eps=1e-3),
        "equalRows": case(np.repeat(f32(0, 7, -3e4)[:, None], 12, 1)),
        "large": case(s.uniform(2, 16, limit=1e15)),
        "tiny": case(s.uniform(2, 16, limit=1e-20)),
        "denormal": case(s.uniform(2, 16, limit=1e-40)),
        "negativeZero": case(np.full((1, 8), -0.0, np.float32)),
        "outlier": case(outlier),
        "offset": case(s.uniform(2, 50, center=1000, limit=1)),
    }


def linear_cases(s):
    def case(x, N, bias=True, limit=1.0):
        inputs = {"x": x, "weight": s.uniform(N, x.shape[1], limit=limit)}
        return ({**inputs, "bias": s.uniform(N)} if bias else inputs, {})

    cancelling = s.uniform(2, 64, limit=1e4)
    cancelling[:, 32:] = -cancelling[:, :32]
    inputs, _ = case(cancelling, 5)
    inputs["weight"][:, 32:] = inputs["weight"][:, :32]
    return {
        "ordinary": case(s.uniform(4, 24), 20),
        "odd": case(s.uniform(3, 7), 13),
        "one": case(s.uniform(1, 1), 1),
        "withoutBias": case(s.uniform(3, 16), 6, bias=False),
        "long": case(s.uniform(2, 1500), 3),
        "ones": ({"x": np.ones((1, 1500), np.float32), "weight": np.ones((2, 1500), np.float32)}, {}),
        "large": case(s.uniform(2, 16, limit=1e18), 4, limit=1e18),
        "denormal": case(s.uniform(2, 16, limit=1e-39), 4, bias=False),
        "cancelling": (inputs, {}),
        "negativeZero": case(np.full((1, 6), -0.0, np.float32), 3, bias=False),
    }


def attention_cases(s):
    def case(T, S, heads, D, limit=2.0):
        C = heads * D
        inputs = {"q": s.uniform(T, C, limit=limit), "k": s.uniform(S, C, limit=limit), "v": s.uniform(S, C)}
        return (inputs, {"heads": heads})

    equal = {name: np.ones((6, 8), np.float32) for name in "qk"} | {"v": s.uniform(6, 8)}
    return {
        "ordinary": case(9, 9, 3, 8),
        "oneToken": case(1, 1, 2, 4),
        "oneHead": case(7, 7, 1, 10),
        "oneMore": case(1, 13, 2, 8),
        "aFewMore": case(3, 11, 2, 8),
        "equalScores": (equal, {"heads": 2}),
        "sharp": case(8, 8, 2, 8, limit=30),
        "large": case(5, 5, 1, 4, limit=1e4),
        "denormal": case(5, 5, 1, 4, limit=1e-40),
        "long": case(2, 1200, 1, 4),
    }


# The linear layers and norms that have a bias. Upstream's layout is the default.
UPSTREAM = {"input_layernorm", "post_attention_layernorm", "ffn.0", "ffn.2", "final_layernorm", "lm_head"}
QKV = {"self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"}
NORMS = {"input_layernorm", "post_attention_layernorm", "final_layernorm"}

FAMILY = dict(vocab_size=64, block_size=24, d_model=32, n_layer=2, n_head=2)  # the family, scaled down
SMALL = dict(vocab_size=48, n_embed=8, block_size=16, d_model=16, n_layer=2, n_head=2)  # for everything else


# An invertible A that is not its own transpose, and b. Character k of a row multiplies bit k of the index.
AFFINE = {"kind": "affine", "matrix": ["1101", "0110", "0011", "1100"], "offset": "1011"}


def model_cases():
    """{name: how the model differs from an ordinary small one}. `about` says what the case tests."""

    def family(about, n_embed, table, config=(), **more):
        return dict(about=about, config={**FAMILY, "n_embed": n_embed, **dict(config)}, table=table, **more)

    def small(about, config=(), **more):
        return dict(about=about, config={**SMALL, **dict(config)}, **{"table": "float", **more})

    return {
        "model_16_bit": family("the token's index in binary, E scaled to 6", 6, "index", {"d_model": 36}),
        "model_16_float": family("floats, E scaled from 16 to 2", 2, "trained"),
        "model_64_bit": family("random unique bits, E scaled from 64 to 8", 8, "bits"),
        "model_64_float": family("the subject of this project, E scaled from 64 to 8", 8, "float", trace=True),
        "model_256_bit": family("random unique bits, E scaled from 256 to 16", 16, "bits"),
        "model_256_float": family("PCA of random bits, E scaled from 256 to 16", 16, "float"),
        "model_1024_bit": family("random unique bits, E = C: nothing is repeated", 32, "bits"),
        "model_1024_float": family("PCA of random bits, E = C", 32, "float"),
        "model_uni_glyph": family("normalized images, E = C", 32, "glyph"),
        "model_unfrozen": family("a trained embedding, E = C", 32, "trained"),
        "interleaved": small("rotary pairs (2i, 2i + 1)", {"rope_pairing": "interleaved"}, trace=True),
        "tanh": small("GELU by tanh", {"gelu_approximate": "tanh"}, trace=True),
        "post_norm": small("LayerNorm after the residual sums", {"norm_position": "post"}, trace=True),
        "post_norm_without_final": small(
            "LayerNorm after the sums and none at the end", {"norm_position": "post"}, final_norm=False
        ),
        "without_final_norm": small("no LayerNorm before the head", final_norm=False),
        "bias_qkv": small("biases on q, k and v too", biases=UPSTREAM | QKV),
        "bias_output": small("a bias on attention's output", biases=UPSTREAM | {"self_attn.o_proj"}),
        "bias_all": small("a bias on everything", biases=UPSTREAM | QKV | {"self_attn.o_proj"}),
        "bias_none": small("no bias anywhere", biases=set()),
        "bias_not_ffn": small("no biases in the feed-forward", biases=UPSTREAM - {"ffn.0", "ffn.2"}),
        "bias_not_norms": small("LayerNorms without a bias", biases=UPSTREAM - NORMS),
        "bias_not_head": small("a head without a bias", biases=UPSTREAM - {"lm_head"}),
        "float16": small("weights stored as F16", dtype="float16"),
        "bfloat16": small("weights stored as BF16", dtype="bfloat16"),
        "one_token": small("T = 1", T=1),
        "full_block": small("T = block_size", T=16),
        "outliers": small("a few weights 50 times as large, gains of 20", outliers=True, trace=True),
        "other_constants": small("another rope_theta and eps", {"rope_theta": 500.0, "layer_norm_eps": 1e-3}),
        "deep": small("six layers, four heads of width 4", {"n_layer": 6, "n_head": 4}),
        "n_embd": small("n_embed spelled as one sibling spells it", spelling="n_embd"),
        "growing_16_bit": family("nine layers, the index in binary", 6, "index", {"d_model": 12, "n_layer": 9}),
        "affine_code": family(
            "32 layers and no table: affine codes, A bin(t) xor b",
            4,
            None,
            {"vocab_size": 16, "d_model": 8, "n_layer": 32, "codes": AFFINE},
        ),
        "binary_code": small("no table: the index in binary", {"codes": {"kind": "binary"}}, table=None),
    }
