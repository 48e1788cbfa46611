"""The seal of a plan: the Merkle root over its header and its rows, which is what people approve."""

from collections.abc import Iterator

from calibr.changes.model import PriceChange
from calibr.changes.reads_plan import item_leaves, item_lines
from calibr.changes.repository import get_change
from calibr.core.errors import Conflict
from calibr.core.ids import PriceChangeId
from calibr.db import Session
from calibr.pricing import MerkleAccumulator, PlanHeader, canonical_header, leaf_hash


def header_of(change: PriceChange) -> PlanHeader:
    """The header of the plan of a change. Raises Conflict where no plan stands."""
    if change.plan_root is None or change.engine is None or change.computed_at is None or change.summary is None:
        raise Conflict("price_change.no_plan", f"price change {change.id} is {change.state} and has no plan")
    numbers = (change.summary["selected"], change.summary["left"], change.summary["items"])
    return PlanHeader(change.id, change.revision, change.rule_hash, change.engine, change.computed_at, *numbers)


def seal_items(session: Session, header: PlanHeader) -> str:
    """Compute the root over a header and the rows as they are now. Memory does not grow with the plan."""
    tree = MerkleAccumulator()
    tree.add(leaf_hash(canonical_header(header)))
    tree.extend(item_leaves(session, PriceChangeId(header.change_id)))
    return tree.root().hex()


def recompute_root(session: Session, change: PriceChange) -> str:
    """Compute the root of a plan again from its stored rows. Raises Conflict where no plan stands."""
    return seal_items(session, header_of(change))


def plan_lines(session: Session, change_id: PriceChangeId) -> Iterator[bytes]:
    """`plan.txt` in blocks of bounded size: each row of a plan with one line feed. Raises Conflict without a plan."""
    yield canonical_header(header_of(get_change(session, change_id))) + b"\n"
    yield from item_lines(session, change_id)
