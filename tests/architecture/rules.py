"""The rules of the house that an import graph cannot express, as pure functions from modules to findings.

Each finding is `path:line: what`. `test_rules.py` runs them over the tree and over planted breaches, so that a rule
that has gone blind fails too.
"""

import ast
from collections.abc import Iterable, Iterator
from statistics import quantiles

from source import Module

SQL_PLACES = ("/repository", "/reads", "/tables", "calibr/db/", "calibr/events/log", "calibr/pricing/")
SQL_CALLS = {"select", "insert", "update", "delete", "text"}
TENANT_FILTER_EXEMPT = ("calibr/access/", "calibr/db/", "calibr/worker", "calibr/vault/", "calibr_sandbox/")
PURE = ("calibr/core/", "calibr/pricing/", "calibr/changes/lifecycle.py")
IMPURE = ("sqlalchemy.engine", "sqlalchemy.orm", "sqlalchemy.ext", "time", "datetime.now", "random", "os", "socket")
EFFECT_CALLS = {"connect", "run", "Popen", "urlopen", "getLogger", "create_engine", "mkdir", "write_text"}


def functions(module: Module) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    """Every function and method of a module."""
    for node in ast.walk(module.tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def sql_outside_its_places(modules: Iterable[Module]) -> list[str]:
    """SQLAlchemy statements stand where a reader looks for them (SQL scattered over services cannot be reviewed)."""
    found = []
    for m in modules:
        if not m.path.startswith("calibr/") or any(place in m.path for place in SQL_PLACES):
            continue
        names = _imported_from_sqlalchemy(m) & SQL_CALLS
        for node in ast.walk(m.tree):
            called = isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in names
            if called and not m.allows("sql", node.lineno):
                found.append(f"{m.path}:{node.lineno}: SQL outside repository, reads, db, events/log or pricing")
    return found


def commit_outside_the_session(modules: Iterable[Module]) -> list[str]:
    """One place commits, so that a state change, its event and its audit cannot come apart."""
    found = []
    for m in modules:
        if not m.path.startswith("calibr/") or m.path == "calibr/db/session.py":
            continue
        for node in ast.walk(m.tree):
            is_commit = (
                isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "commit"
            )
            if is_commit and not m.allows("commit", node.lineno):
                found.append(f"{m.path}:{node.lineno}: commit outside db/session")
    return found


def tenant_as_a_filter(modules: Iterable[Module]) -> list[str]:
    """The tenant comes from the session; a parameter `tenant_id` is a filter that somebody will forget."""
    found = []
    for m in modules:
        if not m.path.startswith("calibr/") or any(m.path.startswith(e) for e in TENANT_FILTER_EXEMPT):
            continue
        for function in functions(m):
            names = {a.arg for a in (*function.args.args, *function.args.kwonlyargs)}
            if "tenant_id" in names and not m.allows("tenant", function.lineno):
                found.append(f"{m.path}:{function.lineno}: {function.name}() takes a tenant_id")
    return found


def reach_into_another_feature(modules: Iterable[Module]) -> list[str]:
    """A feature reaches another through its package, never through its tables or repository."""
    features = {"access", "catalog", "changes", "events"}
    found = []
    for m in modules:
        own = m.path.split("/")[1] if m.path.startswith("calibr/") else ""
        for node in ast.walk(m.tree):
            target = node.module if isinstance(node, ast.ImportFrom) and node.module else ""
            parts = target.split(".")
            hidden = len(parts) > 2 and (parts[2] == "tables" or parts[2].startswith("repository"))
            if parts[0] == "calibr" and hidden and parts[1] in features - {own}:
                found.append(f"{m.path}:{node.lineno}: imports {target}")
    return found


def impure_imports(modules: Iterable[Module]) -> list[str]:
    """Pure packages have no engine, clock, chance or surroundings (import contracts see packages, not their parts)."""
    found = []
    for m in modules:
        if not m.path.startswith(PURE):
            continue
        for node in ast.walk(m.tree):
            names = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            names += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            bad = [n for n in names if n in IMPURE or n.startswith(("sqlalchemy.engine.", "sqlalchemy.orm."))]
            if bad and not m.allows("pure", getattr(node, "lineno", 1)):
                found.append(f"{m.path}:{getattr(node, 'lineno', 1)}: imports {bad[0]}")
    return found


def work_at_import(modules: Iterable[Module]) -> list[str]:
    """Importing a module has no effect outside it."""
    found = []
    for m in modules:
        for node in m.tree.body:
            call = node.value if isinstance(node, ast.Expr | ast.Assign) else None
            name = getattr(getattr(call, "func", None), "attr", getattr(getattr(call, "func", None), "id", ""))
            if isinstance(call, ast.Call) and name in EFFECT_CALLS:
                found.append(f"{m.path}:{node.lineno}: {name}() at import time")
    return found


def float_near_money(modules: Iterable[Module]) -> list[str]:
    """No float in the packages that compute or carry amounts."""
    places = ("calibr/core/money", "calibr/pricing/", "calibr/changes/", "calibr/catalog/", "calibr/connectors/")
    found = []
    for m in modules:
        if not m.path.startswith(places):
            continue
        for node in ast.walk(m.tree):
            is_call = isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "float"
            if is_call and not m.allows("float", node.lineno):
                found.append(f"{m.path}:{node.lineno}: float() near money")
    return found


def too_big(modules: Iterable[Module]) -> list[str]:
    """Hard stops: function 80 lines, file 600 lines, 7 parameters."""
    found = []
    for m in modules:
        if (lines := len(m.text.splitlines())) > 600:
            found.append(f"{m.path}: {lines} lines")
        for function in functions(m):
            length = (function.end_lineno or function.lineno) - function.lineno + 1
            parameters = len([*function.args.args, *function.args.kwonlyargs, *function.args.posonlyargs])
            if length > 80:
                found.append(f"{m.path}:{function.lineno}: {function.name}() has {length} lines")
            if parameters - _has_self(function) > 7:
                found.append(f"{m.path}:{function.lineno}: {function.name}() has {parameters} parameters")
    return found


def too_big_on_the_whole(modules: Iterable[Module]) -> list[str]:
    """Function p95 at most 40 lines, and at most 5 % of the files above 400."""
    listed = list(modules)
    lengths = [(f.end_lineno or f.lineno) - f.lineno + 1 for m in listed for f in functions(m)]
    found = []
    if len(lengths) > 20 and (p95 := quantiles(lengths, n=20)[-1]) > 40:
        found.append(f"function p95 is {p95:.0f} lines, 40 allowed")
    large = [m.path for m in listed if len(m.text.splitlines()) > 400]
    if len(large) > len(listed) * 0.05:
        found.append(f"over 5 % of the files have more than 400 lines: {', '.join(large)}")
    return found


def module_without_docstring(modules: Iterable[Module]) -> list[str]:
    """Every module says what it owns."""
    return [f"{m.path}: no module docstring" for m in modules if m.text.strip() and not ast.get_docstring(m.tree)]


def vague_names(modules: Iterable[Module]) -> list[str]:
    """A file named utils is a place for everything, so it is a place for nothing."""
    vague = {"utils.py", "helpers.py", "common.py", "misc.py", "manager.py", "util.py"}
    return [f"{m.path}: vague name" for m in modules if m.path.rsplit("/", 1)[-1] in vague]


RULES = (
    sql_outside_its_places,
    commit_outside_the_session,
    tenant_as_a_filter,
    reach_into_another_feature,
    impure_imports,
    work_at_import,
    float_near_money,
    too_big,
    too_big_on_the_whole,
    module_without_docstring,
    vague_names,
)


def _imported_from_sqlalchemy(module: Module) -> set[str]:
    return {
        alias.asname or alias.name
        for node in ast.walk(module.tree)
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "sqlalchemy"
        for alias in node.names
    }


def _has_self(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    return int(bool(function.args.args) and function.args.args[0].arg in {"self", "cls"})
