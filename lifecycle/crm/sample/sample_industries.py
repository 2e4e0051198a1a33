"""Who the sample CRM is about: its industries, and names and numbers of people who do not exist.

Names say so, and every number is from a range that regulators keep free for films and books.
"""

from dataclasses import dataclass

FIRST_NAMES = ("Exampla", "Testo", "Samplina", "Fictor", "Placida", "Dummio", "Mocka", "Specimen")
LAST_NAMES = ("Nobody", "Madeup", "Placeholder", "Von Beispiel", "McFixture", "O'Sample", "Müsterfrau", "山田テスト")
# Ofcom's drama numbers, the Bundesnetzagentur's for scripts, and North America's 555-01xx.
_FICTION = (
    ("+44 20 7946 0{:03d}", 1000),
    ("+44 7700 900{:03d}", 1000),
    ("+49 30 23125 {:03d}", 1000),
    ("+1 202 555 01{:02d}", 100),
)


@dataclass(frozen=True, slots=True)
class SampleIndustry:
    """An industry of the sample: its share of the calls, how a CRM writes it, the years its calls stay, their classes.

    `due` is the share of its calls that tonight lets go, below any brake worth having.
    """

    share: float
    spellings: tuple[str | None, ...]
    years: int
    classes: tuple[str, ...]
    due: float = 0.015


_EVERYWHERE = ("service", "complaint", "marketing")
SAMPLE_INDUSTRIES = (
    SampleIndustry(0.30, ("Banking", "Banking", "BANKING", "Banking "), 5, ("order", "advice", *_EVERYWHERE)),
    SampleIndustry(
        0.20, ("Hospital & Health Care", "hospital & health care"), 10, ("treatment", "billing", *_EVERYWHERE)
    ),
    SampleIndustry(0.20, ("Insurance", "Insurance", "insurance "), 6, ("claim", "advice", *_EVERYWHERE)),
    SampleIndustry(0.15, ("Telecommunications", " Telecommunications"), 1, ("billing", *_EVERYWHERE)),
    SampleIndustry(0.10, ("Retail", "Retail", "RETAIL "), 1, ("order", *_EVERYWHERE)),
    SampleIndustry(0.05, ("Bankng", None, ""), 12, _EVERYWHERE, due=0),
)


def fictional_phone(number: int) -> str:
    """The same number for the same `number` (0 or more), always from a range reserved for fiction."""
    shape, size = _FICTION[number % len(_FICTION)]
    return shape.format(number // len(_FICTION) % size)
