"""The examples in a rule's documentation are its tests."""

from __future__ import annotations

import pytest

from asynclint.rules import Default, Rule, all_rules

ON = [rule for rule in all_rules() if rule.default is Default.ON]
PREVIEW = [rule for rule in all_rules() if rule.default is Default.PREVIEW]


def examples(kind: str) -> list:
    return [
        pytest.param(rule, example, id=f"{rule.code}-{number}")
        for rule in all_rules()
        for number, example in enumerate(getattr(rule, kind), 1)
    ]


def with_rule(rules: list[Rule], rule: Rule) -> list[Rule]:
    return rules if rule in rules else [*rules, rule]


@pytest.mark.parametrize(("rule", "example"), examples("bad"))
def test_bad_example_is_reported_by_its_rule_and_no_other(check_example, rule, example):
    found = check_example(example, with_rule(ON, rule), preview=rule.default is Default.PREVIEW)
    assert found == {rule.code}


@pytest.mark.parametrize(("rule", "example"), examples("good"))
def test_good_example_is_reported_by_no_rule(check_example, rule, example):
    assert check_example(example, with_rule([*ON, *PREVIEW], rule), preview=True) == set()


# What ASY000 is about cannot be shown as a module.
@pytest.mark.parametrize("rule", [rule for rule in all_rules() if rule.code != "ASY000"], ids=lambda rule: rule.code)
def test_rule_has_examples_of_both_kinds(rule):
    assert rule.bad
    assert rule.good
