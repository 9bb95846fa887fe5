from transformers import PretrainedConfig


class StandinConfig(PretrainedConfig):
    model_type = "standin"

    def __init__(self, vocab_size=1024, n_embed=12, d_model=48, n_layer=3, n_head=3, block_size=64, **kwargs):
        self.vocab_size, self.n_embed, self.d_model = vocab_size, n_embed, d_model
        self.n_layer, self.n_head, self.block_size = n_layer, n_head, block_size
        super().__init__(**kwargs)
