"""The second back end: rules for one price list become one SQL statement over its whole catalogue."""

from calibr.pricing.compile.plan import CompiledPlan, compile_plan

__all__ = ["CompiledPlan", "compile_plan"]
