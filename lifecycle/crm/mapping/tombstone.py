"""What a mapping says of the row that stays where a call was: `tombstone`. The YAML only; what it says is the night's.

A value is a text with places in braces, a number, or one place alone, which keeps its kind. Nothing names the call.
"""

import re
from collections.abc import Mapping
from typing import Annotated, Any, Self

from pydantic import AfterValidator, Field, model_validator

from lifecycle.policy.documents.model_types import Name, StrictModel, Text

PLACES = {
    "of": "the value of `of`, such as the contact",
    "day": "the day of the call",
    "duration": "how long it lasted, as 1:07",
    "direction": "as the CRM writes it",
    "rule": "the rule that it was deleted under",
    "industry": "the industry of that rule",
    "record": "the number of the deletion record",
    "deleted_on": "the day of the deletion",
    "deleted_at": "its moment, in the mapping's zone",
    "uuid": "a new random id",
}
_PLACE = re.compile(r"\{([^{}]*)\}")


def _known_places(text: str | int) -> str | int:
    unknown = [name for name in _PLACE.findall(str(text)) if name not in PLACES]
    if unknown:
        raise ValueError(f"expected places {', '.join(PLACES)}; found {{{unknown[0]}}}")
    return text


TombstoneValue = Annotated[str | int, AfterValidator(_known_places)]


class Tombstone(StrictModel):
    """One row for each call that goes, in a table of a timeline; of a call that goes on request none.

    `of`: the fact or link by whose values there is a row each (a contact, a deal); a call without one leaves none.
    """

    table: Annotated[str, Field(pattern=r"^[^.\s]([^.]*[^.\s])?(\.[^.\s]([^.]*[^.\s])?)?$")]
    of: Name | None = None
    columns: Mapping[Text, TombstoneValue] = Field(min_length=1)

    @model_validator(mode="after")
    def _has_what_it_asks_for(self) -> Self:
        asked = {place for value in self.columns.values() for place in _PLACE.findall(str(value))}
        if ("of" in asked) != (self.of is not None):
            raise ValueError("expected `of` and the place {of}, or neither; found one of them")
        return self

    def row(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """The values of one row, by column, given those of the places."""
        return {name: _filled(value, given) for name, value in self.columns.items()}


def _filled(value: str | int, given: Mapping[str, Any]) -> Any:
    if isinstance(value, int):
        return value
    alone = _PLACE.fullmatch(value)
    if alone:
        return given[alone[1]]
    return _PLACE.sub(lambda place: "" if given[place[1]] is None else str(given[place[1]]), value)
