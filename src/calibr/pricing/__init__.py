"""Rules, prices, explanations: what documents mean, in two back ends that agree to the last minor unit.

Pure: no engine, no session, no clock. `evaluate` answers for one item in Python; `compile_plan` builds one SQL
statement for a whole price list. The meaning of the documents is told in docs/reference/rules.md.
"""

from calibr.pricing.compile import CompiledPlan, compile_plan
from calibr.pricing.engine import engine_version
from calibr.pricing.evaluate import Evaluation, Outcome, evaluate
from calibr.pricing.explain import PlanItem, TraceMismatch, explain_item, plan_item
from calibr.pricing.faults import DocumentError, FaultCode, document_error
from calibr.pricing.item import Inputs, Item, age_days
from calibr.pricing.rules import BoundRules, NotApplied, Rules, load_document, parse_rules, rule_hash
from calibr.pricing.seal import (
    MerkleAccumulator,
    PlanHeader,
    canonical_header,
    canonical_row,
    canonical_row_sql,
    leaf_hash,
    leaf_hash_sql,
)
from calibr.pricing.source import PlanSource
from calibr.pricing.trace import TraceLayout, layout_of
from calibr.pricing.vocabulary import Direction, Reason, Verdict

__all__ = [
    "BoundRules",
    "CompiledPlan",
    "Direction",
    "DocumentError",
    "Evaluation",
    "FaultCode",
    "Inputs",
    "Item",
    "MerkleAccumulator",
    "NotApplied",
    "Outcome",
    "PlanHeader",
    "PlanItem",
    "PlanSource",
    "Reason",
    "Rules",
    "TraceLayout",
    "TraceMismatch",
    "Verdict",
    "age_days",
    "canonical_header",
    "canonical_row",
    "canonical_row_sql",
    "compile_plan",
    "document_error",
    "engine_version",
    "evaluate",
    "explain_item",
    "layout_of",
    "leaf_hash",
    "leaf_hash_sql",
    "load_document",
    "parse_rules",
    "plan_item",
    "rule_hash",
]
