"""What a dialled number leads to."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cluster_core.dial_plan import DialPlan, Target
from cluster_core.settings import ClusterSettings, DnSettings, DnType


def plan(*dns: DnSettings) -> DialPlan:
    return DialPlan(ClusterSettings(name="c", realm="r", nodes=(), dns={dn.dn: dn for dn in dns}))


def trunk(name: str, prefix: str) -> DnSettings:
    return DnSettings(dn=name, type=DnType.TRUNK, prefix=prefix, contact="sip:192.0.2.9")


DEMO = plan(
    DnSettings(dn="1001", type=DnType.EXTENSION),
    DnSettings(dn="8000", type=DnType.ROUTING_POINT),
    DnSettings(dn="cluster", type=DnType.VOIP_SERVICE),
    trunk("t1", "1"),
    trunk("t12", "12"),
    trunk("t129", "129"),
    trunk("mute", ""),
)


@pytest.mark.parametrize(
    ("number", "kind", "dn"),
    [
        ("1001", DnType.EXTENSION, "1001"),
        ("8000", DnType.ROUTING_POINT, "8000"),
        ("1002", DnType.TRUNK, "t1"),
        ("1", DnType.TRUNK, "t1"),
        ("13", DnType.TRUNK, "t1"),
        ("1285", DnType.TRUNK, "t12"),
        ("1299", DnType.TRUNK, "t129"),
        ("2", None, ""),
        ("0", None, ""),
        ("", None, ""),
        ("cluster", None, ""),
        ("t1", None, ""),
        ("mute", None, ""),
    ],
)
def test_an_exact_dn_wins_then_the_longest_prefix_of_a_trunk(number, kind, dn):
    assert DEMO.find(number) == Target(kind, dn, number)


def test_of_two_trunks_with_one_prefix_the_first_takes_the_calls():
    assert plan(trunk("a", "9"), trunk("b", "9")).find("911").dn == "a"


@given(st.lists(st.text("0123", min_size=1, max_size=4), max_size=12), st.text("0123", max_size=6))
def test_the_longest_prefix_is_found_whatever_its_neighbours(prefixes, number):
    found = plan(*(trunk(f"t{prefix}", prefix) for prefix in prefixes)).find(number)
    fitting = [prefix for prefix in prefixes if number.startswith(prefix)]
    assert found.dn == ("t" + max(fitting, key=len) if fitting else "")
