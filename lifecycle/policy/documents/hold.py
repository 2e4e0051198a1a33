"""Legal holds, and extensions authorities ask for: which calls, from when to when. Matching facts is `matching`'s."""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum
from itertools import chain
from typing import Annotated, Any, Self

from pydantic import BeforeValidator, ConfigDict, Field, model_validator

from lifecycle.policy.documents import schema_annotations
from lifecycle.policy.documents.model_types import Name, StrictModel, Text, fact_text, fold_name
from lifecycle.policy.documents.yaml_document import YamlDocument, parse_model

FACT_OF_SCOPE = {
    "account_ids": "account_id",
    "call_ids": "call_id",
    "phones": "phone",
    "agent_ids": "agent_id",
    "deal_ids": "deal_id",
    "contact_ids": "contact_id",
    "task_ids": "task_id",
    "lead_ids": "lead_id",
    "case_ids": "case_id",
    "industries": "industry",
}


def _listed(value: Any) -> frozenset[str]:
    if not isinstance(value, list):
        raise ValueError(f"expected a list of values, found {value!r}")
    return frozenset(fact_text(item) for item in value)


Listed = Annotated[frozenset[str], BeforeValidator(_listed), schema_annotations.VALUE_LIST]


class HoldScope(StrictModel):
    """Which calls. Every key given must match; an empty list is a key that is not given."""

    model_config = ConfigDict(json_schema_extra={**schema_annotations.NOT_EMPTY})

    account_ids: Listed = frozenset()
    call_ids: Listed = frozenset()
    phones: Listed = frozenset()
    agent_ids: Listed = frozenset()
    deal_ids: Listed = frozenset()
    contact_ids: Listed = frozenset()
    task_ids: Listed = frozenset()
    lead_ids: Listed = frozenset()
    case_ids: Listed = frozenset()
    industries: Listed = frozenset()
    first_day: date | None = Field(default=None, alias="from")
    last_day: date | None = Field(default=None, alias="to")

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if not self.wanted() and self.first_day is None and self.last_day is None:
            raise ValueError("expected at least one key with a value, found an empty scope")
        if self.first_day and self.last_day and self.last_day < self.first_day:
            raise ValueError(f"expected `to` on or after `from`, found {self.first_day} to {self.last_day}")
        return self

    def wanted(self) -> dict[str, frozenset[str]]:
        """The values each fact must have, by the fact's name."""
        given = {fact: getattr(self, key) for key, fact in FACT_OF_SCOPE.items()}
        return {fact: values for fact, values in given.items() if values}


def _scopes(value: Any) -> Any:
    if value == []:
        raise ValueError("expected at least one scope, found an empty list")
    return value if isinstance(value, list) else [value]


HoldScopes = Annotated[
    tuple[HoldScope, ...], BeforeValidator(_scopes), Field(strict=False), schema_annotations.OneOrMany()
]


def facts_of_scopes(scopes: Iterable[HoldScope]) -> frozenset[str]:
    """The facts that scopes ask for by value. A date range needs either end of the call."""
    return frozenset(fact for scope in scopes for fact in scope.wanted())


class ReleaseRule(StrEnum):
    """How many people it takes to release a hold."""

    ONE_PERSON = "one_person"
    TWO_PEOPLE = "two_people"


class Hold(StrictModel):
    """One matter. It binds from the moment its file is there through the day of its release."""

    model_config = ConfigDict(json_schema_extra=schema_annotations.keys_given_together("released_at", "released_by"))

    id: Name
    matter: Text
    placed_at: date
    placed_by: Text
    scope: HoldScopes
    release: Annotated[ReleaseRule, Field(strict=False)] = ReleaseRule.ONE_PERSON
    released_at: date | None = None
    released_by: Text | None = None
    release_confirmed_by: Text | None = None

    @model_validator(mode="after")
    def _release_is_signed(self) -> Self:
        if (self.released_at is None) != (self.released_by is None):
            raise ValueError("expected released_at and released_by together, found one of them")
        if self.released_by is None and self.release_confirmed_by is not None:
            raise ValueError("expected release_confirmed_by beside released_at and released_by, found it alone")
        if self.released_at is not None and self.released_at < self.placed_at:
            raise ValueError(f"expected a release on or after {self.placed_at}, found {self.released_at}")
        return self

    @model_validator(mode="after")
    def _two_people_release(self) -> Self:
        """Half a release is an error rather than no release: whoever wrote it believes in it."""
        if self.release is ReleaseRule.ONE_PERSON or self.released_by is None:
            return self
        if self.release_confirmed_by is None:
            raise ValueError("release: two_people: expected release_confirmed_by beside released_by, found none")
        if fold_name(self.release_confirmed_by) == fold_name(self.released_by):
            raise ValueError(f"release: two_people: expected two people, found {self.released_by} twice")
        return self

    def active(self, as_of: date) -> bool:
        """Whether the hold binds on a night: through the day of its release, which is not counted as a day without.

        A placing date in the future binds already: holding early harms nobody.
        """
        return self.released_at is None or as_of <= self.released_at


def read_hold(document: YamlDocument) -> Hold:
    """Read one hold file. Raises PolicyError with file and line."""
    return parse_model(Hold, document)


class Extension(StrictModel):
    """An authority's dated request that some records be kept longer under one regime.

    `dated` is the day of the request; what it may do is the regime's `extension` to say.
    """

    model_config = ConfigDict(json_schema_extra=schema_annotations.keys_given_together("withdrawn_at", "withdrawn_by"))

    id: Name
    regime: Name
    authority: Text
    reference: Text
    dated: date
    registered_by: Text
    scope: HoldScopes
    withdrawn_at: date | None = None
    withdrawn_by: Text | None = None

    @model_validator(mode="after")
    def _withdrawal_is_signed(self) -> Self:
        if (self.withdrawn_at is None) != (self.withdrawn_by is None):
            raise ValueError("expected withdrawn_at and withdrawn_by together, found one of them")
        return self

    def active(self, as_of: date) -> bool:
        """Whether it binds on a night."""
        return self.withdrawn_at is None or as_of < self.withdrawn_at


def read_extension(document: YamlDocument) -> Extension:
    """Read one extension file. Raises PolicyError with file and line."""
    return parse_model(Extension, document)


@dataclass(frozen=True, slots=True)
class Holds:
    """Every hold and extension on file, by id, and the digest of the files they were read from."""

    by_id: Mapping[str, Hold]
    sha256: str = hashlib.sha256().hexdigest()
    extensions: Mapping[str, Extension] = field(default_factory=dict)

    def active(self, as_of: date) -> tuple[Hold, ...]:
        """The holds that bind on a night."""
        return tuple(hold for hold in self.by_id.values() if hold.active(as_of))

    def active_extensions(self, as_of: date) -> tuple[Extension, ...]:
        """The extensions that bind on a night."""
        return tuple(extension for extension in self.extensions.values() if extension.active(as_of))

    def facts(self) -> frozenset[str]:
        """The facts a source must give, or the holds cannot be kept."""
        scopes = [*(hold.scope for hold in self.by_id.values()), *(each.scope for each in self.extensions.values())]
        return facts_of_scopes(chain.from_iterable(scopes))
