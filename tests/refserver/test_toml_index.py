"""Positions of keys: tables, arrays of tables, dotted and quoted keys, values of many lines."""

import pytest

from refserver.toml_index import TomlIndex

TEXT = '''\
top = 1
a."b c".'d' = { x = 1, y = [2] }
[table]
text = """
[not] = "a table"
[[nor]]
"""
other = \'\'\'
x = 1 \'\'\' # "end
list = [
  1, # ]
  "]",
]
after = 1
[[node]]
name = "n1"
[[node.member]]
name = "a"
[[node.member]]
name = "b"
[[node]]
[node.sub]
k = 1
[ dn . "10\\u0030" ]
k = 1
[dn.1001]
2002 = 3
'''


@pytest.mark.parametrize(
    ("path", "line"),
    [
        (("top",), 1),
        (("a", "b c", "d"), 2),
        (("a", "b c", "d", "x"), 2),
        (("table",), 3),
        (("table", "text"), 4),
        (("table", "other"), 8),
        (("table", "list"), 10),
        (("table", "after"), 14),
        (("node", 0, "name"), 16),
        (("node", 0, "member", 0, "name"), 18),
        (("node", 0, "member", 1), 19),
        (("node", 0, "member", 1, "name"), 20),
        (("node", 1), 21),
        (("node", 1, "nothing"), 21),
        (("node", 1, "sub", "k"), 23),
        (("dn", "100", "k"), 25),
        (("dn", "1001"), 26),
        (("nowhere", "at", "all"), 1),
    ],
)
def test_a_key_has_its_line(path, line):
    assert TomlIndex(TEXT).line(path) == line


def test_keys_of_bare_digits_are_noted():
    assert TomlIndex(TEXT).bare_digits == [(26, "1001"), (27, "2002")]
