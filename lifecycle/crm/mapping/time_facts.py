"""What a mapping may say of one time fact: an epoch number, a text of a format, the zone it is of. The YAML only."""

from datetime import UTC, datetime
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from lifecycle.policy.documents.model_types import StrictModel, Text, Zone

NO_OFFSET = ("UTC", "Etc/UTC")


def _require_readable(text: str) -> str:
    sample = datetime(2021, 12, 31, 23, 59, 58, tzinfo=UTC)
    try:
        known = datetime.strptime(sample.strftime(text), text)  # noqa: DTZ007
    except ValueError as error:
        raise ValueError(f"expected a format such as '%d.%m.%Y %H:%M', found {text!r} ({error})") from None
    if known.date() != sample.date():
        raise ValueError(f"expected a format with year, month and day, found {text!r}")
    return text


class TimeFact(StrictModel):
    """What a mapping says of one time fact. `zone` of naive times and texts; the source's where it is silent.

    An epoch number is of UTC in any case; `zone: UTC` beside it says that a computed one was made from a time in UTC.
    """

    unit: Annotated[Literal["epoch_seconds", "epoch_milliseconds"] | None, Field(alias="as")] = None
    format: Annotated[Text, AfterValidator(_require_readable)] | None = None
    zone: Zone | None = None

    @property
    def says_zone(self) -> bool:
        """Whether it leaves no doubt in which zone a computed value is."""
        return self.zone is not None or (self.format is not None and "%z" in self.format)

    @model_validator(mode="after")
    def _says_one_thing(self) -> Self:
        if self.unit and (self.format or (self.zone and self.zone.key not in NO_OFFSET)):
            raise ValueError(
                "expected `as` alone, or with zone: UTC: an epoch number has neither format nor other zone"
            )
        if not self.unit and not self.format and not self.zone:
            raise ValueError("expected as, format or zone, found none of them")
        return self
