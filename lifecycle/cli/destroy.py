"""`destroy` and `lock`: archived copies that may go, destroyed where it is told to run; those that may not, locked."""

import getpass
from typing import Annotated, Any
from uuid import uuid4

import typer

from lifecycle.authority.destroy_approval import destroy_release_commands
from lifecycle.cli.options import AcceptedPlans, AsJson, AsOf, open_lifecycle
from lifecycle.cli.output import print_json, print_sentence, print_table, progress_bar
from lifecycle.custody.archive_locks import renew_locks
from lifecycle.custody.destroy import DestroyResult, destroy_copies, survey_destruction
from lifecycle.custody.destroy_plans import DestroySurvey
from lifecycle.custody.merge_batches import merge_small_batches
from lifecycle.deployment.lifecycle import Lifecycle, Run, resolve_night
from lifecycle.deployment.repository_location import mail_of_account
from lifecycle.errors import SettingsError
from lifecycle.night.seal import seal_ledger
from lifecycle.policy.approval import command_line_actor

DoRun = Annotated[bool, typer.Option("--run", help="Destroy what the plan names. Without it nothing is changed.")]
Every = Annotated[
    bool,
    typer.Option("--every-batch", help="Judge each batch there is, not those alone whose day has come: after a law "
                 "that ends copies sooner."),
]  # fmt: skip
DoMerge = Annotated[bool, typer.Option("--run", help="Merge them. Without it nothing is changed.")]
_LISTED = 50


def register(app: typer.Typer) -> None:
    """Add this group's commands."""
    app.command("destroy")(destroy)
    app.command("lock")(lock)
    app.command("merge")(merge)


def destroy(
    as_of: AsOf = None,
    run: DoRun = False,
    accept_plan: AcceptedPlans = None,
    every_batch: Every = False,
    json_output: AsJson = False,
) -> None:
    """Destroy archived copies whose day has come; without --run, show the plan.

    Each is judged again under today's schedules, laws, holds and requests. Every version of every object goes, is shown
    to be gone, and each copy is recorded. Exit 1 where a plan waits, or something is there still.
    """
    with progress_bar(json_output) as draw:
        lifecycle = open_lifecycle(draw)
        night = resolve_night(lifecycle, as_of) if run or as_of is None else as_of
        if run:
            actor = command_line_actor(getpass.getuser(), mail_of_account(lifecycle.settings.policies))
            result = destroy_copies(lifecycle, night, Run(uuid4().hex, actor), accept_plan or [], every_batch)
            seal_ledger(lifecycle)
        else:
            result = survey_destruction(lifecycle, night, every_batch)
    if json_output:
        print_json(_plain(result, run))
    else:
        _tell(lifecycle, result, run)
    raise typer.Exit(1 if result.needs_person else 0)


def lock(json_output: AsJson = False) -> None:
    """Keep the store's locks in step: legal holds mirrored and lifted, locks lengthened where days moved later.

    Needs LIFECYCLE_OBJECT_LOCK. Exit 1 where a batch could not be looked at.
    """
    with progress_bar(json_output) as draw:
        lifecycle = open_lifecycle(draw)
        found = renew_locks(lifecycle, resolve_night(lifecycle, None))
    if json_output:
        print_json(vars(found))
    else:
        done = f"{len(found.held)} held, {len(found.lifted)} no longer, {len(found.lengthened)} locks longer"
        print_sentence(f"{found.batches} batches looked at: {done}.")
        _list("Could not be looked at", found.problems)
    raise typer.Exit(1 if found.problems else 0)


def merge(run: DoMerge = False, json_output: AsJson = False) -> None:
    """Merge small archived batches of one industry and month of destruction; without --run, say which.

    Nothing is destroyed: each copy is written again and proved before an old batch goes. Exit 1 where some is left.
    """
    with progress_bar(json_output) as draw:
        lifecycle = open_lifecycle(draw)
        if run and not lifecycle.settings.destroy:
            raise SettingsError("LIFECYCLE_DESTROY: merging removes old batches once it says true. Nothing was changed")
        actor = command_line_actor(getpass.getuser(), mail_of_account(lifecycle.settings.policies))
        night = resolve_night(lifecycle, None)
        found = merge_small_batches(lifecycle, night, Run(uuid4().hex, actor), run)
        if run:
            seal_ledger(lifecycle)
    left = {**found.done.left, **found.done.set_aside}
    if json_output:
        print_json({"run": run, "small": found.small, "merged": found.merged, "apart": found.apart, "left": left})
    else:
        old = sum(map(len, found.merged.values()))
        print_sentence(
            f"{found.small} small batches; {old} {'were' if run else 'can be'} merged into {len(found.merged)}."
        )
        _list("Stay apart", found.apart)
        _list("There still", left)
    raise typer.Exit(1 if left else 0)


def _tell(lifecycle: Lifecycle, result: DestroyResult, run: bool) -> None:
    survey, last = result.survey, resolve_night(lifecycle, None)
    _tell_plans(survey)
    for industry, reasons in result.waiting.items():
        for reason in reasons:
            print_sentence(f"{industry} waits for a person. {reason}", style="yellow")
        commands = destroy_release_commands(survey.plans[industry], reasons, registered=run)
        for line in commands if survey.as_of <= last else ():
            print_sentence(line, style="yellow")
    if run:
        done = result.done
        print_sentence(
            f"{done.copies} copies destroyed, {len(done.batches)} batches gone, {done.versions} versions removed."
        )
        if done.moved:
            print_sentence(f"{done.moved} copies that stay were moved to batches of their own.")
        _list("There still", done.left)
        _list("Stays, though it was planned", done.set_aside)
    elif survey.as_of > last:
        print_sentence(
            f"Nothing was changed. {survey.as_of} has not begun: its plans are made, and let go, from then on."
        )
    elif survey.plans:
        on = lifecycle.settings.destroy
        print_sentence("Nothing was changed. To destroy these: lifecycle destroy --run" if on else
                       "Nothing was changed. Destroying is off: LIFECYCLE_DESTROY=true switches it on.")  # fmt: skip
    _list("Damaged: nobody can judge these, and they stay", survey.damaged)


def _tell_plans(survey: DestroySurvey) -> None:
    print_sentence(f"{survey.batches} batches with {survey.copies.total()} copies; {survey.looked_at} looked at "
                   f"for {survey.as_of}.")  # fmt: skip
    if survey.plans:
        rows = [(p.industry, p.copies, p.going, len(p.batches), p.sha256) for p in survey.plans.values()]
        print_table(f"Copies that may go on {survey.as_of}", ("industry", "copies", "go", "batches", "plan"), rows)
    kept = [(reason, number) for reason, number in sorted(survey.kept.items())]
    if kept:
        print_table("Copies that stay, of the batches looked at", ("why", "copies"), kept)
    for industry, number in survey.unscheduled.items():
        print_sentence(f"{industry}: no schedule speaks of it any more; its {number} copies stay", style="yellow")


def _list(title: str, found: dict[str, str]) -> None:
    if found:
        print_sentence(f"{title} ({len(found)}):", "bold red")
        for name, why in list(found.items())[:_LISTED]:
            print_sentence(f"  {name}: {why}")
        if len(found) > _LISTED:
            print_sentence(f"  … and {len(found) - _LISTED} more; --json lists them all")


def _plain(result: DestroyResult, run: bool) -> dict[str, Any]:
    survey, done = result.survey, result.done
    plans = {
        name: {"digest": plan.sha256, "going": plan.going, **plan.model_dump(mode="json")}
        for name, plan in survey.plans.items()
    }
    return {
        "as_of": survey.as_of,
        "run": run,
        "batches": survey.batches,
        "looked_at": survey.looked_at,
        "copies": dict(survey.copies),
        "plans": plans,
        "kept": dict(survey.kept),
        "unscheduled": dict(survey.unscheduled),
        "damaged": survey.damaged,
        "waiting": result.waiting,
        "released": [plan.sha256 for plan in result.released],
        "destroyed": {
            "copies": done.copies,
            "batches": done.batches,
            "versions": done.versions,
            "moved": done.moved,
            "left": done.left,
            "set_aside": done.set_aside,
        },
    }
