"""What a run that is spread over many machines is to do: the names of its items, dealt to lanes, a page at a time."""

from pydantic import BaseModel, ConfigDict

from records.report import Problem


class Page(BaseModel):
    """Some items of one lane, by name, spelt as in the records; ``lane`` and ``number`` count from 0."""

    model_config = ConfigDict(frozen=True)

    lane: int
    number: int
    names: tuple[str, ...]


class LanePlan(BaseModel):
    """How many items a run is to look at, and in how many pages each lane does so; of bounded size.

    ``digest`` names exactly this list of names: two listings that differ are two plans. ``problems`` are those that listing
    the estate met.
    """

    model_config = ConfigDict(frozen=True)

    digest: str
    item_count: int
    pages_by_lane: tuple[int, ...]
    problems: tuple[Problem, ...] = ()
