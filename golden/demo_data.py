"""The training data of the demo model: questions about countries, made from the npm package world-countries.

The facts come from the package (https://github.com/mledoze/countries, Open Database License 1.0); the wording is ours.
"""

import json
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

PACKAGE = Path(__file__).parent.parent / "node_modules/world-countries"

# {x} stands for the country, {capital} for its capital.
PHRASINGS = {
    "capital": [
        "What is the capital of {x}?",
        "What's the capital of {x}?",
        "What is the capital city of {x}?",
        "Which city is the capital of {x}?",
        "Tell me the capital of {x}.",
        "What is {x}'s capital?",
        "Capital of {x}?",
    ],
    "country of capital": ["Which country has the capital {capital}?", "{capital} is the capital of which country?"],
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
    "calling code": ["What is the calling code of {x}?", "Which number do I dial to call {x}?"],
    "landlocked": ["Is {x} landlocked?", "Is {x} a landlocked country?"],
}

# Never trained on: they measure how well the model answers a wording that it has not seen.
HELD_OUT = {
    "capital": ["Name the capital of {x}.", "What city is the capital of {x}?", "Do you know the capital of {x}?"],
    "currency": ["Tell me the currency of {x}."],
}

WITH_ARTICLE = {
    "Bahamas", "British Indian Ocean Territory", "British Virgin Islands", "Caribbean Netherlands", "Cayman Islands",
    "Central African Republic", "Cocos (Keeling) Islands", "Comoros", "Cook Islands", "DR Congo", "Dominican Republic",
    "Falkland Islands", "Faroe Islands", "French Southern and Antarctic Lands", "Gambia", "Isle of Man", "Maldives",
    "Marshall Islands", "Netherlands", "Northern Mariana Islands", "Philippines", "Pitcairn Islands",
    "Republic of the Congo", "Seychelles", "Solomon Islands", "Turks and Caicos Islands", "United Arab Emirates",
    "United Kingdom", "United States", "United States Minor Outlying Islands", "United States Virgin Islands",
    "Åland Islands",
}  # fmt: skip


@dataclass(frozen=True)
class Country:
    name: str
    un_member: bool
    facts: dict  # fact -> answer

    def ask(self, phrasing, article=True):
        """The question in words, with "the" before the names that take it, unless `article` is false."""
        name = f"the {self.name}" if article and self.name in WITH_ARTICLE else self.name
        question = phrasing.format(x=name, capital=self.facts.get("capital"))
        return question[0].upper() + question[1:]


def clean(text):
    """Replaces the Hawaiian letter U+02BB (Nukuʻalofa) with an apostrophe, which people can type."""
    return text.replace("\u02bb", "'")


def continent(entry):
    if entry["region"] == "Americas":
        return "South America" if entry["subregion"] == "South America" else "North America"
    return {"Antarctic": "Antarctica"}.get(entry["region"], entry["region"])


def calling_code(entry):
    """The root is the first digit, the suffix the rest. Most suffixes of +1 and +7 are areas of one country."""
    root, suffixes = entry["idd"].get("root", ""), entry["idd"].get("suffixes", [])
    if len(suffixes) == 1:
        return root + suffixes[0]
    return root if root in ("+1", "+7") else ""


def facts_of(entry):
    facts = {
        "capital": next(iter(entry["capital"]), ""),
        "continent": continent(entry),
        "region": entry["subregion"],
        "currency": ", ".join(currency["name"] for currency in dict(entry["currencies"]).values()),
        "languages": ", ".join(entry["languages"].values()),
        "demonym": entry["demonyms"].get("eng", {}).get("m", ""),
        "domain": next(iter(entry["tld"]), ""),
        "calling code": calling_code(entry),
        "landlocked": "Yes" if entry["landlocked"] else "No",
    }
    return {fact: clean(answer) for fact, answer in facts.items() if answer}


def load_countries():
    """All 250 countries and territories."""
    countries = [
        Country(
            clean(entry["name"]["common"]),
            # The package counts Vatican City as a member, but it is an observer.
            entry["unMember"] and entry["cca3"] != "VAT",
            facts_of(entry),
        )
        for entry in json.loads((PACKAGE / "countries.json").read_text())
    ]
    # Kingston is the capital of both Jamaica and Norfolk Island. The reverse question means the member of the UN.
    by_capital = {c.facts["capital"]: c for c in sorted(countries, key=lambda c: c.un_member) if "capital" in c.facts}
    for capital, country in by_capital.items():
        country.facts["country of capital"] = country.name
    return countries


def version():
    return json.loads((PACKAGE / "package.json").read_text())["version"]


def prompt(question):
    return f"Question: {question}\nAnswer:"


def ngram_counts(countries):
    """Counts non-ASCII characters, bigrams and trigrams in all questions and answers."""
    counts = {n: Counter() for n in (1, 2, 3)}
    for country in countries:
        for fact, answer in country.facts.items():
            for phrasing in PHRASINGS[fact]:
                for text in (prompt(country.ask(phrasing)), f" {answer}"):
                    for n, counter in counts.items():
                        counter.update(text[i : i + n] for i in range(len(text) - n + 1))
    unigrams = Counter({char: count for char, count in counts[1].items() if not char.isascii()})

    def ranked(counter):
        return sorted(counter.items(), key=lambda item: (-item[1], item[0]))

    return [{"lang": "en", "unigrams": ranked(unigrams), "bigrams": ranked(counts[2]), "trigrams": ranked(counts[3])}]
