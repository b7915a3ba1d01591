"""A collection on this machine: items go in, what has become of each comes out, one after the other on all cores."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from mien.errors import InputError, MissingExtraError
from mien.run.collection.items import Item
from mien.run.collection.sections import CollectionAnalysis, ItemOutcome, analyse_whole, make_plan

__all__ = ["Result", "run_here"]

Result = tuple[Item, str | None, int, ItemOutcome | str | None]
"""An item, its content's hash where it could be read, in how many sections it was read, and what has become of it: an
outcome; why it failed; None, where its table is there already and its content has not changed."""


def run_here(items: Sequence[Item], analysis: CollectionAnalysis, advance: Callable[[Item], None]) -> Iterator[Result]:
    """Yield what has become of each item.

    Args:
        items: What is to be done.
        analysis: How.
        advance: Told of each item that is begun.

    Raises:
        MienError: The output cannot be reached.
    """
    for item in items:
        advance(item)
        sha256: str | None = None
        try:
            plan = make_plan(item, analysis, divide=False)
            sha256 = plan.sha256
            outcome = None if sha256 == item.known else analyse_whole(item, plan, analysis)
        except (InputError, MissingExtraError) as error:
            yield item, sha256, 1, str(error)
        else:
            yield item, sha256, 1, outcome
