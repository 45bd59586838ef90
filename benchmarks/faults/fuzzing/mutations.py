"""Damage: a whole file in, a damaged one out, as a pure function of a seed."""

import copy
import json

INTERESTING = (0, 1, 2, 7, 8, 16, 127, 128, 255, 256, 65535, 65536, 2**31 - 1, 2**31)
INTERESTING += (2**32 - 1, 2**32, 2**53, 2**63 - 1, 2**63, 2**64 - 1)
VALUES = (None, True, False, 0, -1, 1, 2.5, 1e308, 10**40, "", "x", "../../x", "/etc")
VALUES += ([], {}, [[]], {"schema": 1}, float("nan"), float("inf"), "\x00\n", "é\udc80")
FIELDS = (b"", b" ", b"\0", b'"', b'""', b'"1', b"-1", b"1e400", b"nan", b"inf")
FIELDS += (b"0,5", b"1.000", b"1_0", b"9" * 5000, b"\xff\xfe", b"\r", b"frame", b"face")
FIELDS += (
    b"success",
    "\u0663\u00b2".encode(),
    b"\xef\xbb\xbf1",
    b"#NUM!",
    b"0x1",
    b",,,",
)
LONG = 200_000  # bytes of a line, more than is read


def damage_bytes(content, other, rng):
    """Damages bytes in one to four places.

    Args:
        content: bytes of a good file.
        other: bytes of another one, to take pieces from.
        rng: `random.Random`.

    Returns:
        bytes
    """
    content = bytearray(content)
    for _ in range(rng.choice((1, 1, 1, 2, 3, 4))):
        if not content:
            break
        rng.choice(_WAYS)(content, other, rng)
    return bytes(content)


def _place(content, rng):
    """A place in the file; half the time one that is not zero, where more depends."""
    at = rng.randrange(len(content))
    while content[at] == 0 and rng.random() < 0.5:
        at = rng.randrange(len(content))
    return at


def _flip(content, other, rng):
    content[_place(content, rng)] ^= 1 << rng.randrange(8)


def _set(content, other, rng):
    content[_place(content, rng)] = rng.choice(
        (0, 1, 127, 128, 255, rng.randrange(256))
    )


def _number(content, other, rng):
    size = rng.choice((2, 4, 8))
    value = rng.choice(INTERESTING) % 256**size
    at = _place(content, rng)
    content[at : at + size] = value.to_bytes(size, rng.choice(("little", "big")))


def _nudge(content, other, rng):
    at = _place(content, rng)
    content[at] = (content[at] + rng.choice((-8, -2, -1, 1, 2, 8))) % 256


def _cut(content, other, rng):
    at = _place(content, rng)
    del content[at : at + rng.choice((1, 8, 100, len(content)))]


def _insert(content, other, rng):
    at, start = _place(content, rng), rng.randrange(len(other))
    content[at:at] = other[start : start + rng.choice((1, 8, 100))]


def _splice(content, other, rng):
    at, start = _place(content, rng), rng.randrange(len(other))
    piece = other[start : start + rng.choice((4, 16, 64, 512))]
    content[at : at + len(piece)] = piece


def _clear(content, other, rng):
    at, size = _place(content, rng), rng.choice((2, 8, 32, 128))
    content[at : at + size] = bytes((rng.choice((0, 255)),)) * size


_WAYS = (_flip, _flip, _set, _number, _number, _nudge, _cut, _insert, _splice, _clear)


def damage_csv(content, other, rng):
    """Damages a CSV: mostly its fields and lines, now and then its bytes.

    Args and returns are those of `damage_bytes`.
    """
    if rng.random() < 0.3:
        return damage_bytes(content, other, rng)
    lines = content.split(b"\n")
    for _ in range(rng.choice((1, 1, 2, 3))):
        at, way = rng.randrange(len(lines)), rng.randrange(5)
        if way == 0:
            del lines[at : at + rng.choice((1, 1, 100))]
            lines = lines or [b""]
        elif way == 1:
            lines.insert(at, rng.choice(other.split(b"\n")))
        elif way == 2:
            lines[at] *= rng.choice((0, 2, LONG // (len(lines[at]) + 1) + 2))
        else:
            parting = rng.choice((b",", b";", b"\t"))
            fields = lines[at].split(parting)
            fields[rng.randrange(len(fields))] = rng.choice(FIELDS)
            lines[at] = rng.choice((b",", parting)).join(fields)
    return b"\n".join(lines)


def damage_json(content, other, rng):
    """Damages a JSON file: mostly its values and keys, now and then its bytes.

    Args and returns are those of `damage_bytes`.
    """
    if rng.random() < 0.3:
        return damage_bytes(content, other, rng)
    values = json.loads(content)
    for _ in range(rng.choice((1, 1, 2, 3))):
        _damage_value(values, rng)
    return json.dumps(values).encode(errors="surrogatepass")


def _damage_value(values, rng):
    """Replaces, removes, adds or swaps something anywhere below `values`."""
    holders = _list_holders(values)
    holder = rng.choice(holders)
    keys = list(holder) if isinstance(holder, dict) else list(range(len(holder)))
    if not keys:
        return
    key, way = rng.choice(keys), rng.randrange(6)
    if way == 0:
        del holder[key]
    elif way == 1 and isinstance(holder, dict):
        name = rng.choice(("x", "", "schema", "../x", "model"))
        holder[name] = copy.deepcopy(rng.choice(VALUES))
    elif way == 2:
        holder[key] = copy.deepcopy(rng.choice(holders))
    elif way == 3 and type(holder[key]) in (int, float):
        holder[key] = holder[key] * rng.choice((-1, 0.5, 10**6)) + rng.choice((0, 1))
    else:
        holder[key] = copy.deepcopy(rng.choice(VALUES))


def _list_holders(values):
    found = [values]
    for holder in found:
        inner = holder.values() if isinstance(holder, dict) else holder
        found += [value for value in inner if isinstance(value, (dict, list))]
    return found
