"""What the models read: prose and questions about countries, and what is held out of both."""

import itertools

import torch
from tokenizers import Tokenizer

import demo_data
import train_demo
from ablation import sources
from train_demo import ROOT

ROW = 64  # tokens that predict the next one
FACTS = ("capital", "continent", "domain")
EVERY, FIRST = 3, 2  # every third member of the UN, from the third: few enough to learn, and on all six continents
# Never trained on. The capital's are the demo's own.
HELD_OUT = {
    "capital": demo_data.HELD_OUT["capital"],
    "continent": ["Name the continent of {x}.", "What continent is {x} on?"],
    "domain": ["Tell me the internet domain of {x}."],
}
HELD_OUT_CHAPTER = 20  # every 20th chapter is held out
CURVE_ROWS, FINAL_ROWS = 192, 768  # rows of held-out prose


class Data:
    """The tokenizer, a third of the members of the UN with three facts each, and the prose as token ids."""

    def __init__(self):
        self.tokenizer = Tokenizer.from_file(str(ROOT / "models/demo/tokenizer.json"))
        self.strings = [self.tokenizer.id_to_token(n) for n in range(self.tokenizer.get_vocab_size())]
        self.lengths = torch.tensor([len(string) for string in self.strings])
        members = [country for country in demo_data.load_countries() if country.un_member]
        self.countries = [
            demo_data.Country(country.name, True, {fact: country.facts[fact] for fact in FACTS})
            for country in members[FIRST::EVERY]
        ]
        chapters = sources.bible_chapters()
        held_out = chapters[HELD_OUT_CHAPTER - 1 :: HELD_OUT_CHAPTER]
        trained = [text for n, text in enumerate(chapters) if (n + 1) % HELD_OUT_CHAPTER]
        self.prose, unseen = (torch.tensor(self.encode("\n".join(texts))) for texts in (trained, held_out))
        rows = unseen[: len(unseen) // (ROW + 1) * (ROW + 1)].view(-1, ROW + 1)
        self.held_out_prose = rows[torch.linspace(0, len(rows) - 1, FINAL_ROWS).long()]

    def encode(self, text):
        return self.tokenizer.encode(text).ids

    def fact_rows(self, rng):
        """Endless rows of ROW + 1 ids and their weights in the loss: examples back to back, cut where a row ends."""
        ids, weights = [], []
        while True:
            for more_ids, more_weights in train_demo.examples(self.countries, self.tokenizer, rng):
                ids, weights = ids + more_ids, weights + more_weights
                while len(ids) > ROW:
                    yield ids[: ROW + 1], weights[: ROW + 1]
                    ids, weights = ids[ROW:], weights[ROW:]

    def prose_rows(self, rng):
        while True:
            start = rng.randrange(len(self.prose) - ROW)
            yield self.prose[start : start + ROW + 1]

    def batches(self, rng, rows):
        """Endless batches: ids [2 * rows, ROW + 1], prose first, and the weights of the questions' half."""
        facts, prose = self.fact_rows(rng), self.prose_rows(rng)
        while True:
            chosen = list(itertools.islice(facts, rows))
            ids = [*itertools.islice(prose, rows), *(torch.tensor(row) for row, _ in chosen)]
            yield torch.stack(ids), torch.tensor([weights for _, weights in chosen])
