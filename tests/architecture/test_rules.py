"""The rules hold for the tree, and each rule still sees a planted breach."""

import subprocess
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

import rules
from source import ROOT, Module, modules, parse

BREACHES = {
    rules.sql_outside_its_places: ("calibr/changes/service/create.py", "from sqlalchemy import select\nselect(1)\n"),
    rules.commit_outside_the_session: ("calibr/changes/service/create.py", "def f(s):\n    s.commit()\n"),
    rules.tenant_as_a_filter: ("calibr/changes/reads.py", "def f(session, tenant_id):\n    return tenant_id\n"),
    rules.reach_into_another_feature: ("calibr/changes/apply.py", "from calibr.catalog.tables import product\n"),
    rules.impure_imports: ("calibr/pricing/x.py", "import time\n"),
    rules.work_at_import: ("calibr/http/x.py", "import subprocess\nsubprocess.run(['true'])\n"),
    rules.float_near_money: ("calibr/pricing/steps.py", "def f(x):\n    return float(x)\n"),
    rules.too_big: ("calibr/http/x.py", "def f():\n" + "    print()\n" * 90),
    rules.too_big_on_the_whole: ("calibr/http/x.py", "x = 1\n" * 500),
    rules.module_without_docstring: ("calibr/http/x.py", "x = 1\n"),
    rules.vague_names: ("calibr/http/utils.py", '"""x"""\n'),
}


@pytest.mark.parametrize("rule", rules.RULES, ids=lambda rule: str(rule.__name__))
def test_the_tree_keeps_the_rule(rule: Callable[[Iterable[Module]], list[str]]) -> None:
    assert rule(modules()) == []


@pytest.mark.parametrize("rule", rules.RULES, ids=lambda rule: str(rule.__name__))
def test_the_rule_sees_a_breach(rule: Callable[[Iterable[Module]], list[str]]) -> None:
    assert rule([parse(*BREACHES[rule])])


def test_an_escape_needs_a_reason() -> None:
    with_reason = parse("calibr/a/service.py", "def f(s):\n    s.commit()  # arch: allow commit: two-phase by design\n")
    without = parse("calibr/a/service.py", "def f(s):\n    s.commit()  # arch: allow commit:\n")

    assert rules.commit_outside_the_session([with_reason]) == []
    assert rules.commit_outside_the_session([without])


def test_imports_only_go_down_the_floors() -> None:
    done = subprocess.run(
        [Path(sys.executable).parent / "lint-imports", "--no-cache"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stdout + done.stderr


def test_no_tracked_file_names_a_machine_path_or_a_registry_host() -> None:
    root = "ro" + "ot"  # so that this file does not find itself
    hosts = "|".join(("pypi" + r"\.org", "pythonhosted" + r"\.org", "registry" + r"\.npmjs"))
    done = subprocess.run(
        ["git", "grep", "-nIE", f"{hosts}|/home/[a-z]+/|/{root}/"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.stdout == ""
