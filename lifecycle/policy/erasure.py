"""The grounds on which a request to erase may be refused, and when the person must be answered: GDPR Articles 12, 17.

Not here: whether a call may go (`disposition`).
"""

from datetime import date

from lifecycle.policy.period import RetentionPeriod

LEGAL_OBLIGATION = "GDPR Article 17(3)(b)"
LEGAL_CLAIMS = "GDPR Article 17(3)(e)"
_ANSWER_WITHIN = RetentionPeriod.parse("P1M")  # GDPR Article 12(3)
_MEMBERS = "AT BE BG CY CZ DE DK EE EL ES FI FR GR HR HU IE IT LT LU LV MT NL PL PT RO SE SI SK"
_UNION = frozenset(["EU", "EEA", *_MEMBERS.split(), "IS", "LI", "NO"])


def binds_in_the_union(jurisdiction: str) -> bool:
    """Whether a law of the jurisdiction is Union or member state law, the EEA included; DE-BY is Germany's.

    A duty under any other law is no ground to refuse (Article 17(3)(b): "by Union or Member State law").
    """
    return jurisdiction.strip().upper().partition("-")[0] in _UNION


def answer_by(received_on: date) -> date:
    """The last day to tell the person what was done or why nothing was: one month after receipt."""
    return _ANSWER_WITHIN.last_day(received_on)
