"""One rehearsal from its stage to its verdict."""

import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import quantiles
from typing import Any, Final

import httpx2
import orjson
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from calibr.cli.demo.processes import Processes
from calibr.cli.demo.workspace import workspace
from calibr.cli.failures import FAILED, CliError
from calibr.cli.rehearse.nemesis import Crew, Harm, Nemesis, with_store
from calibr.cli.rehearse.stage import (
    Stage,
    approve,
    checker_folder,
    dismiss_preparer,
    open_stage,
    prepare_plan,
    subscribe,
)
from calibr.cli.rehearse.wish import LEASE_S, TIMES, Plan
from calibr.cli.signals import held_back
from calibr.monitor import configure_logging

SETTLE_S: Final = 90.0
LOOK_EVERY_S: Final = 0.2
LONGEST_CALL_S: Final = float(TIMES["CALIBR_STORE_CALL_S"]) + float(TIMES["CALIBR_STORE_DELAY_S"])


def rehearse(plan: Plan, notes: Console, *, keep: Path | None = None) -> dict[str, Any]:
    """Rehearse, and return the report. Raises CliError when it cannot be set up, or does not come to its end."""
    began = time.monotonic()
    configure_logging(console=True, level="warning")  # on standard error: standard output is for the report
    with workspace() as place:
        processes = Processes(place)
        try:
            stage = open_stage(plan, processes, notes)
            try:
                report = _perform(stage)
            finally:
                with held_back():
                    _keep(stage, keep)
                    stage.close()
        finally:
            with held_back():
                processes.end_all()
    report["seconds"] = round(time.monotonic() - began, 1)
    return report


def _perform(stage: Stage) -> dict[str, Any]:
    plan, chance = stage.plan, random.Random(stage.plan.seed)  # noqa: S311 - repeatable on purpose
    prepare_plan(stage)
    dismiss_preparer(stage)
    crew = Crew(stage)
    subscribe(stage)
    approve(stage, stage.change_id)
    _spoil_the_store(stage)
    crew.wait_ready()
    began = time.monotonic()
    changes, states, harm = [stage.change_id], [], Harm()
    with _shown(stage.notes, "applying") as told:
        nemesis = Nemesis(stage, crew, stage.change_id, plan.kills, plan.zombies, plan.edits, told, harm)
        states.append(nemesis.run(chance))
    if plan.rollback:
        made = stage.author.post(f"/v1/price-changes/{stage.change_id}/rollback")
        changes.append(str(made["id"]))
        approve(stage, changes[1])
        with _shown(stage.notes, "rolling back") as told:
            back = Harm()
            states.append(Nemesis(stage, crew, changes[1], plan.kills, plan.zombies, 0, told, back).run(chance))
            harm.kills, harm.zombies = harm.kills + back.kills, harm.zombies + back.zombies
            harm.resumed_s += back.resumed_s
            harm.interruptions += back.interruptions
    applied_s = time.monotonic() - began
    faults = with_store(stage, "/sandbox/stats")
    httpx2.delete(f"{stage.store.url}/sandbox/faults", trust_env=False)
    time.sleep(LONGEST_CALL_S)  # the last zombies have just been woken: what they do is judged too
    _let_settle(stage)
    crew.end()
    time.sleep(LONGEST_CALL_S)  # what a store may still do after its caller has gone
    verdict = _judge(stage, changes)
    return _report(stage, harm, states, verdict, faults, applied_s)


def _spoil_the_store(stage: Stage) -> None:
    """Put the faults into force now: the preparations had a good day."""
    chosen = stage.plan.faults
    if chosen == "none":
        return
    if chosen == "default":
        command = [sys.executable, "-m", "calibr_sandbox", "faults"]
        rules = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)  # noqa: S603 - our own module
    else:
        rules = _rules_of(Path(chosen))
    for rule in rules:
        with_store(stage, "/sandbox/faults", rule)


def _rules_of(path: Path) -> list[dict[str, Any]]:
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise CliError(f"--faults: {path} cannot be read: {error}") from error
    rules = document.get("faults") if isinstance(document, dict) else document
    if not isinstance(rules, list):
        raise CliError(f"--faults: {path} holds no JSON list of faults")
    return rules


def _let_settle(stage: Stage) -> None:
    """Wait until every event is delivered, to the subscriber and to the projections in the database."""
    deadline = time.monotonic() + SETTLE_S
    subscriptions = [str(found["id"]) for found in stage.author.pages("/v1/subscriptions")]
    while time.monotonic() < deadline:
        standing = [stage.author.get(f"/v1/subscriptions/{id_}")["standing"] for id_ in subscriptions]
        if not any(each["behind"] or each["parked"] for each in standing):
            return
        time.sleep(LOOK_EVERY_S)


def _judge(stage: Stage, changes: list[str]) -> dict[str, Any]:
    """Let the checker, which shares no code with us, look at the evidence."""
    command = [sys.executable, str(checker_folder()), "--tenant", stage.tenant_id]
    command += ["--store", str(stage.place.store_file)]
    command += ["--lease-ms", str(round(LEASE_S * 1000))]
    command += ["--deliveries", str(stage.deliveries), "--subscription", str(stage.subscription_id)]
    for change_id, plan in zip(changes, stage.plans, strict=True):
        command += ["--change", change_id, "--plan", str(plan)]
    environment = {**os.environ, "CHECK_DATABASE": stage.opened.admin.conninfo()}
    done = subprocess.run(command, env=environment, check=False, capture_output=True)  # noqa: S603 - our own program
    try:
        verdict: dict[str, Any] = orjson.loads(done.stdout)
    except ValueError:
        raise CliError(f"the checker failed: {done.stderr.decode()[-1500:]}", FAILED) from None
    return verdict


def _report(
    stage: Stage, harm: Harm, states: list[str], verdict: dict[str, Any], faults: dict[str, Any], applied_s: float
) -> dict[str, Any]:
    with stage.admin() as admin:
        rows = admin.execute("select state, count(*) from calibr.price_change_item group by state").fetchall()
    arrivals = sum(1 for _ in stage.deliveries.open("rb"))
    effects = sum(b'"effect": true' in line for line in stage.deliveries.open("rb"))
    resumed = harm.resumed_s
    p95 = quantiles(resumed, n=20, method="inclusive")[-1] if len(resumed) > 1 else (resumed or [0.0])[0]
    return {
        "violations": verdict["violations"],
        "integrity": verdict["integrity"],
        "evidence": verdict["evidence"],
        "raced": verdict["raced"],
        "rehearsed": _rehearsed(stage),
        "items": stage.plan.items,
        "kills": harm.kills,
        "zombies": harm.zombies,
        "faults_injected": int(faults["faults"]),
        "seed": stage.plan.seed,
        "states": states,
        "item_states": {str(state): int(number) for state, number in rows},
        "edits": harm.edits,
        "pauses": harm.pauses,
        "interruptions": harm.interruptions,
        "faults_by_kind": faults["faults_injected"],
        "events_delivered": effects,
        "redeliveries": arrivals - effects,
        "resume_p95_s": round(p95, 2),
        "lease_s": LEASE_S,
        "apply_seconds": round(applied_s, 1),
    }


def _rehearsed(stage: Stage) -> dict[str, Any]:
    """What this was a rehearsal of, and how many of its prices were planned otherwise here."""
    copied = stage.plan.copied
    if copied is None:
        return {"change_id": None, "name": None, "plan_root": None, "left_out": 0, "planned_otherwise": 0}
    computed = stage.author.pages(f"/v1/price-changes/{stage.change_id}/items")
    return {
        "change_id": copied.change_id,
        "name": copied.name,
        "plan_root": copied.plan_root,
        "left_out": copied.left_out,
        "planned_otherwise": copied.differing(computed),
    }


def _keep(stage: Stage, keep: Path | None) -> None:
    """Copy the logs for whoever wants to know why."""
    if keep is not None:
        keep.mkdir(parents=True, exist_ok=True)
        for log in stage.place.logs.iterdir():
            (keep / log.name).write_bytes(log.read_bytes())


@contextmanager
def _shown(notes: Console, label: str) -> "Iterator[Any]":
    """A bar with what is done and what was done to it."""
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, TextColumn("{task.fields[harm]}", style="bright_black"), console=notes) as progress:
        task = progress.add_task(label, total=None, harm="")

        def told(done: int, total: int, harm: Harm) -> None:
            said = f"{harm.kills} kills, {harm.zombies} zombies, {harm.edits} edits"
            progress.update(task, completed=done, total=total, harm=said)

        yield told
