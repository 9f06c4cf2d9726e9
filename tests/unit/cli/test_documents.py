"""The reference pages and the READMEs say what the program does: every field, every option, in both languages."""

import dataclasses
import re
from pathlib import Path

import pytest

from crosszone.core import answer, check, explanation, framework_choice, plan, prediction, why

ROOT = Path(__file__).parents[3]
NOUNS = [
    *(prediction.Prediction, prediction.Term, prediction.Input, prediction.Memory, prediction.StageMemory),
    *(prediction.Link, prediction.LinkGroup, prediction.Interval, prediction.Finish),
    *(prediction.Communication, prediction.CommunicationGroup),
    *(prediction.Agreement, prediction.Reliability, prediction.Costs, answer.Comparison, answer.Side),
    *(answer.Answer, answer.RankedPlan, answer.RejectedPlan, answer.Search, check.Check),
    *(explanation.Binding, explanation.RunnerUp, explanation.Difference, explanation.TermDifference),
    *(explanation.Restriction, explanation.ParetoPlan, explanation.Sensitivity, why.Why),
    *(framework_choice.FrameworkChoice, framework_choice.FrameworkOption),
    *(plan.Plan, plan.Stage, plan.Replica, plan.OwnDegrees, plan.IdleGpus, plan.Sync),
]
DERIVED = {"Plan": {"world_size", "zone_axis"}, "Answer": {"speedup_ratio", "scaling_ratio", "assumed"}}
UNITS = {"_bytes": "bytes", "_seconds": "s", "_fraction": "fraction", "_dollars": "USD", "_joules": "J"}


def page(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def section(text: str, title: str) -> str:
    _, _, rest = text.partition(f"\n## {title}\n")
    return rest.partition("\n## ")[0]


def rows(text: str) -> dict[str, str]:
    """Unit of each field in a table."""
    return {match[1]: match[2].strip() for match in re.finditer(r"^\| `(\w+)` \|([^|]*)\|", text, re.MULTILINE)}


@pytest.mark.parametrize("noun", NOUNS, ids=lambda noun: noun.__name__)
def test_every_field_of_the_json_is_explained(noun) -> None:
    documented = rows(section(page("docs/reference/prediction.md"), noun.__name__))
    fields = {field.name for field in dataclasses.fields(noun)}
    assert set(documented) == fields | DERIVED.get(noun.__name__, set())
    for name, unit in documented.items():
        expected = next((unit for ending, unit in UNITS.items() if name.endswith(ending)), unit)
        assert unit == expected, name


def test_no_noun_of_the_json_is_forgotten() -> None:
    classes = {
        value
        for module in (prediction, answer, explanation, framework_choice, plan, why)
        for value in vars(module).values()
        if dataclasses.is_dataclass(value)
    }
    assert {cls.__name__ for cls in classes} - {"Problem", "Change"} == {noun.__name__ for noun in NOUNS}


@pytest.mark.generated
@pytest.mark.parametrize(
    "verb", ["", "init", "predict", "plan", "whatif", "report", "deploy", "validate", "calibrate", "catalog"]
)
def test_reference_shows_the_help_of_every_verb(run, verb) -> None:
    command = f"crosszone {verb}".strip()
    shown = run(*verb.split(), "--help").out.rstrip()
    assert f"```\n$ {command} --help\n{shown}\n```" in page("docs/reference/cli.md")


def test_both_readmes_have_the_same_shape() -> None:
    english, chinese = page("README.md"), page("README.zh.md")
    code = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
    assert code.findall(english) == code.findall(chinese)
    levels = [
        [len(match[1]) for match in re.finditer(r"^(#+) ", code.sub("", text), re.MULTILINE)]
        for text in (english, chinese)
    ]
    assert levels[0] == levels[1]
    links = [
        sorted(re.findall(r"\]\(([^)]+)\)", text.replace("README.zh.md", "README.md").replace("-zh.png", "-en.png")))
        for text in (english, chinese)
    ]
    assert links[0] == links[1]
