"""What the demo model is taught: questions about countries, made from the npm package world-countries.

The facts are the package's (https://github.com/mledoze/countries, Open Database License 1.0); the wording is ours.
"""

import json
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

COUNTRIES = Path(__file__).parent.parent / "node_modules/world-countries/countries.json"

# {x} is the country, {a} the answer of the fact that a question turns round. The first phrasing of a fact is the one
# that evaluations ask.
PHRASINGS = {
    "capital": [
        "What is the capital of {x}?",
        "What's the capital of {x}?",
        "What is the capital city of {x}?",
        "Which city is the capital of {x}?",
        "Tell me the capital of {x}.",
        "Capital of {x}?",
    ],
    "country of capital": ["Which country has the capital {a}?", "{a} is the capital of which country?"],
    "continent": ["On which continent is {x}?", "Which continent is {x} in?", "Where is {x}?"],
    "region": ["In which part of the world is {x}?", "Which region does {x} belong to?"],
    "currency": [
        "What is the currency of {x}?",
        "Which currency is used in {x}?",
        "What money do people use in {x}?",
    ],
    "languages": ["Which languages are spoken in {x}?", "What language do people speak in {x}?"],
    "demonym": ["What are people from {x} called?", "What do you call somebody from {x}?"],
    "domain": ["What is the internet domain of {x}?", "Which top-level domain does {x} have?"],
    "calling code": ["What is the calling code of {x}?", "How do I call {x}?"],
    "landlocked": ["Is {x} landlocked?", "Is {x} a landlocked country?"],
}

# Never trained on: how well does the model take a wording that it has not seen?
HELD_OUT = {"capital": ["Name the capital of {x}.", "What city is the capital of {x}?"]}

WITH_ARTICLE = {
    "Bahamas", "British Virgin Islands", "Cayman Islands", "Central African Republic", "Comoros", "Cook Islands",
    "Czech Republic", "DR Congo", "Dominican Republic", "Falkland Islands", "Faroe Islands", "Gambia", "Isle of Man",
    "Maldives", "Marshall Islands", "Netherlands", "Northern Mariana Islands", "Philippines", "Republic of the Congo",
    "Solomon Islands", "Turks and Caicos Islands", "United Arab Emirates", "United Kingdom", "United States",
    "United States Virgin Islands", "Vatican City",
}  # fmt: skip


@dataclass(frozen=True)
class Country:
    name: str
    un_member: bool
    facts: dict  # fact -> answer

    def ask(self, phrasing, fact, article=None):
        """The question in words. `article` decides on "the"; by default it is there where English wants it."""
        article = self.name in WITH_ARTICLE if article is None else article and self.name in WITH_ARTICLE
        name = f"the {self.name}" if article else self.name
        question = phrasing.format(x=name, a=self.facts["capital"] if fact == "country of capital" else "")
        return question[0].upper() + question[1:]


def clean(text):
    """Spelling that a small alphabet covers: the Hawaiian-style letter apostrophe becomes an ASCII one."""
    return text.replace("\u02bb", "'")


def continent(entry):
    if entry["region"] == "Americas":
        return "South America" if entry["subregion"] == "South America" else "North America"
    return {"Antarctic": "Antarctica"}.get(entry["region"], entry["region"])


def facts_of(entry):
    code = entry["idd"].get("root", "")
    suffixes = entry["idd"].get("suffixes", [])
    languages = list(entry["languages"].values())
    currencies = list(entry["currencies"].values()) if entry["currencies"] else []
    facts = {
        "capital": entry["capital"][0] if entry["capital"] else "",
        "continent": continent(entry),
        "region": entry["subregion"],
        "currency": currencies[0]["name"] if currencies else "",
        "languages": ", ".join(languages) if len(languages) <= 4 else "",
        "demonym": entry.get("demonyms", {}).get("eng", {}).get("m", ""),
        "domain": entry["tld"][0] if entry["tld"] else "",
        "calling code": code + (suffixes[0] if len(suffixes) == 1 else ""),
        "landlocked": "Yes" if entry["landlocked"] else "No",
    }
    if facts["capital"]:
        facts["country of capital"] = entry["name"]["common"]
    return {fact: clean(answer) for fact, answer in facts.items() if answer}


def load_countries():
    """All 250 countries and territories. The package counts Vatican City, an observer, among the UN's members."""
    return [
        Country(
            clean(entry["name"]["common"]),
            entry["unMember"] and entry["cca3"] != "VAT",
            facts_of(entry),
        )
        for entry in json.loads(COUNTRIES.read_text())
    ]


def prompt(question):
    return f"Question: {question}\nAnswer:"


def ngram_counts(countries):
    """How often each character outside of ASCII, bigram and trigram occurs in all questions and answers."""
    counts = {n: Counter() for n in (1, 2, 3)}
    for country in countries:
        for fact, answer in country.facts.items():
            for phrasing in PHRASINGS[fact]:
                for text in (prompt(country.ask(phrasing, fact)), f" {answer}"):
                    for n, counter in counts.items():
                        counter.update(text[i : i + n] for i in range(len(text) - n + 1))
    unigrams = Counter({char: count for char, count in counts[1].items() if ord(char) > 0x7F})

    def ranked(counter):
        return sorted(counter.items(), key=lambda item: (-item[1], item[0]))

    return [{"lang": "en", "unigrams": ranked(unigrams), "bigrams": ranked(counts[2]), "trigrams": ranked(counts[3])}]


if __name__ == "__main__":
    countries = load_countries()
    print(f"{len(countries)} countries, {sum(c.un_member for c in countries)} members of the UN")
    for country in countries:
        if country.name in ("Japan", "Gambia", "Tonga"):
            for fact, answer in country.facts.items():
                print(prompt(country.ask(PHRASINGS[fact][0], fact)), answer)
