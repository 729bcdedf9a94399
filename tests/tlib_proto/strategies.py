"""Messages of every shape that the format can hold, and what can go wrong with their octets."""

from hypothesis import strategies as st

from tlib_proto.constants import ATTRIBUTE_TYPES, AttributeType
from tlib_proto.records import Message, Unknown

octets = st.binary(max_size=20)
texts = st.one_of(
    st.text(st.characters(exclude_categories=("Cs",)), max_size=12),
    octets.map(lambda data: data.decode("utf-8", "surrogateescape")),
)
leaves = st.one_of(texts, octets, st.integers(-(2**31), 2**31 - 1))
lists = st.recursive(
    st.lists(st.tuples(texts, leaves), max_size=4).map(tuple),
    lambda inner: st.lists(st.tuples(texts, st.one_of(leaves, inner)), max_size=4).map(tuple),
    max_leaves=8,
)
BY_TYPE = {
    AttributeType.U32: st.integers(0, 2**32 - 1),
    AttributeType.U64: st.integers(0, 2**64 - 1),
    AttributeType.TEXT: texts,
    AttributeType.KVLIST: lists,
    AttributeType.BYTES: octets,
}
UNKNOWN_IDS = st.integers(0, 65535).filter(lambda number: number not in ATTRIBUTE_TYPES)


def foreign(declared: int | None):
    """An Unknown whose type is not the declared one, nor one that is read as a value without declaration."""
    known = (1, 3, 4, 5) if declared is None else (declared,)
    return st.builds(Unknown, st.integers(0, 255).filter(lambda kind: kind not in known), octets)


def declared(attribute: int):
    kind = ATTRIBUTE_TYPES[attribute]
    return st.tuples(st.just(attribute), st.one_of(BY_TYPE[kind], foreign(int(kind))))


attributes = st.one_of(
    st.sampled_from(sorted(ATTRIBUTE_TYPES)).flatmap(declared),
    st.tuples(UNKNOWN_IDS, st.one_of(BY_TYPE[AttributeType.U32], texts, octets, lists, foreign(None))),
)
messages = st.builds(
    Message,
    st.integers(0, 65535),
    st.integers(0, 2**32 - 1),
    st.lists(attributes, max_size=8).map(dict),
)
