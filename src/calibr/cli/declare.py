"""Declares commands.

A parameter whose type is a dataclass stands for its fields, so that options which belong together (the connection to
the server, the parts of a rule) are written once and arrive as one value. What has a `close` is closed afterwards.
"""

import inspect
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import MISSING, Field, fields, is_dataclass
from functools import wraps
from typing import Any, TypeVar, get_type_hints

from typer import Typer

Command = TypeVar("Command", bound=Callable[..., None])


def group(name: str, summary: str, *, has_default: bool = False) -> Typer:
    """A group of commands; without a command it shows its help, or does its default."""
    return Typer(
        name=name, help=summary, no_args_is_help=not has_default, add_completion=False, rich_markup_mode="rich"
    )


def command(app: Typer, name: str, *, panel: str | None = None) -> Callable[[Command], Command]:
    """Register the function below as the command `name` of `app`; its docstring is the help."""

    def register(function: Command) -> Command:
        app.command(name, rich_help_panel=panel)(_expanded(function))
        return function

    return register


def default(app: Typer) -> Callable[[Command], Command]:
    """Make the function below what the group does by itself; it looks at `context.invoked_subcommand`."""

    def register(function: Command) -> Command:
        app.callback(invoke_without_command=True)(_expanded(function))
        return function

    return register


def _expanded(function: Callable[..., None]) -> Callable[..., None]:
    """The same command with each dataclass parameter replaced by keyword-only parameters, one per field."""
    hints = get_type_hints(function, include_extras=True)
    bundles: dict[str, Any] = {}
    plain: list[inspect.Parameter] = []
    spread: list[inspect.Parameter] = []
    for parameter in inspect.signature(function).parameters.values():
        hint = hints[parameter.name]
        if isinstance(hint, type) and is_dataclass(hint):
            bundles[parameter.name] = hint
            spread += _parameters(hint)
        else:
            plain.append(parameter.replace(annotation=hint, kind=inspect.Parameter.KEYWORD_ONLY))

    @wraps(function)
    def run(**given: object) -> None:
        arguments = {p.name: given.pop(p.name) for p in plain}
        with ExitStack() as closing:
            for name, bundle in bundles.items():
                made = bundle(**{f.name: given.pop(f.name) for f in fields(bundle) if f.init})
                closing.callback(getattr(made, "close", _nothing))
                arguments[name] = made
            function(**arguments)

    del run.__wrapped__  # its annotations would win over the signature below
    run.__signature__ = inspect.Signature([*plain, *spread])  # type: ignore[attr-defined]
    run.__annotations__ = {p.name: p.annotation for p in (*plain, *spread)}
    return run


def _nothing() -> None:
    """For what holds nothing that has to be given back."""


def _parameters(bundle: type) -> list[inspect.Parameter]:
    hints = get_type_hints(bundle, include_extras=True)
    return [
        inspect.Parameter(f.name, inspect.Parameter.KEYWORD_ONLY, default=_default(f), annotation=hints[f.name])
        for f in fields(bundle)
        if f.init
    ]


def _default(declared: "Field[Any]") -> object:
    if declared.default is not MISSING:
        return declared.default
    return declared.default_factory() if declared.default_factory is not MISSING else inspect.Parameter.empty
