"""What several programs of golden/ must agree on. Imports nothing, so it loads before PyTorch does."""

FORMAT = 1  # of the fixtures and of golden files

# The fixtures that PyTorch computes. Their last digits differ between machines; all other fixtures are the same bytes.
COMPUTED_FIXTURES = ("truth.safetensors", "float32.safetensors", "manifest.json", "greedy.json")

DEMO_MODEL_TYPE = "demo_12_float"
ABLATION_MODEL_TYPE = "ablation"

# The conventions that a published config does not state.
CONVENTIONS = {
    "rope_pairing": ("half", "interleaved"),
    "gelu_approximate": ("none", "tanh"),
    "norm_position": ("pre", "post"),
}

# The full-size models with synthetic weights, and the width of each one's embedding.
EMBEDDING_WIDTHS = {
    "model_16_bit": 16,
    "model_16_float": 16,
    "model_64_bit": 64,
    "model_64_float": 64,
    "model_256_bit": 256,
    "model_256_float": 256,
    "model_1024_bit": 1024,
    "model_1024_float": 1024,
}

# The arms of the experiment in ablation/, in the order of a round. ablation/plan.md describes them.
ABLATION_ARMS = (
    "trainable",
    "trainable-small",
    "frozen-normal",
    "binary",
    "bit-20",
    "float-20",
    "float-20-matched",
    "float-80",
    "float-80-matched",
    "affine-a",
    "affine-b",
    "glyph",
    "collide",
)
