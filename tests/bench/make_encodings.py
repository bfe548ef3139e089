#!/usr/bin/env python3
"""Make encodings of made-up people for the benchmarks: names, dates of birth and genders as they are
distributed in censuses, encoded by clkhash with its own schema (1024 bits).

    make_encodings.py RECORDS FOLDER     write FOLDER/a.clk and FOLDER/b.clk, raw encodings back to back

Of party b's records 30 % are people of party a, most of them with an error in name or date of birth. The first N
thousand records of either party are such data sets, too. The same bytes on every machine.
"""

import argparse
import functools
import multiprocessing
import random
import sys
from pathlib import Path

from clkhash.bloomfilter import hashing_function_from_properties
from clkhash.clk import generate_clks
from clkhash.key_derivation import generate_key_lists
from clkhash.randomnames import NameList

THOUSAND = 1000
THOUSANDS_A_TASK = 20
# So many records of each task are encoded by clkhash, too: they must be the same.
SAMPLE = 20
SECRET = "linkage-operator benchmark secret - never use it for real people"
SCHEMA = NameList.SCHEMA
LETTERS = "abcdefghijklmnopqrstuvwxyz"
SHARED = 0.3


@functools.cache
def population():
    source = NameList(0)
    source.load_data()
    source.year = 2024
    return source


def people(party, thousand):
    """A thousand people as (id, name, date of birth, gender)."""
    source = population()
    random.seed(f"{party} {thousand}")
    return list(source.generate_random_person(THOUSAND))


def with_error(text, letters):
    """A text with one letter replaced, left out, put in, or two swapped."""
    at = random.randrange(1, len(text) - 1)
    match random.randrange(4):
        case 0:
            return text[:at] + random.choice(letters) + text[at + 1 :]
        case 1:
            return text[:at] + text[at + 1 :]
        case 2:
            return text[:at] + random.choice(letters) + text[at:]
        case _:
            return text[:at] + text[at + 1] + text[at] + text[at + 2 :]


def as_other_party_has_it(person):
    number, name, birth, gender = person
    match random.randrange(6):
        case 0:
            pass
        case 1:
            day = f"{random.randrange(1, 29):02}"
            birth = birth[:-2] + day
        case 2:
            name = with_error(with_error(name, LETTERS), LETTERS)
        case _:
            name = with_error(name, LETTERS)
    return number, name, birth, gender


def shared(thousand):
    """Where party b's people of a thousand are also known to party a: places there, by places in b's thousand."""
    random.seed(f"errors {thousand}")
    return {place: (place * 7 + 3) % THOUSAND for place in random.sample(range(THOUSAND), int(SHARED * THOUSAND))}


def party_b(thousand):
    """A thousand people of party b: some of party a's thousand of the same number, in other places."""
    known, own = people("a", thousand), people("b", thousand)
    for place, known_place in shared(thousand).items():
        own[place] = as_other_party_has_it(known[known_place])
    return own


@functools.cache
def keys():
    """A key for each field."""
    derivation = {name: getattr(SCHEMA, f"kdf_{name}") for name in ("key_size", "salt", "info")}
    return generate_key_lists(SECRET, len(SCHEMA.fields), kdf=SCHEMA.kdf_type, hash_algo=SCHEMA.kdf_hash, **derivation)


@functools.cache
def token_bits(field, token, bits):
    """What clkhash makes of one token of a field, as a number."""
    properties = SCHEMA.fields[field].hashing_properties
    encode_tokens = hashing_function_from_properties(properties)
    return int.from_bytes(encode_tokens([token], keys()[field], [bits], SCHEMA.l, properties.encoding).tobytes())


@functools.lru_cache(1 << 17)
def field_bits(field, value):
    spec = SCHEMA.fields[field]
    properties = spec.hashing_properties
    if properties is None:
        return 0
    tokens = list(properties.comparator.tokenize(spec.format_value(value)))
    encoded = 0
    for token, bits in zip(tokens, properties.strategy.bits_per_token(len(tokens)), strict=True):
        encoded |= token_bits(field, token, bits)
    return encoded


def encode_record(record):
    """As clkhash does, but faster: an encoding is the union of its tokens' bits, and the same tokens come again and again."""
    encoded = 0
    for field, value in enumerate(record):
        encoded |= field_bits(field, value)
    return encoded.to_bytes(SCHEMA.l // 8)


def encode(task):
    party, first, last = task
    of = party_b if party == "b" else functools.partial(people, "a")
    records = [person for thousand in range(first, last) for person in of(thousand)]
    encodings = [encode_record(record) for record in records]
    sample = generate_clks(records[:SAMPLE], SCHEMA, SECRET, validate=False, max_workers=1)
    if encodings[:SAMPLE] != [bits.tobytes() for bits in sample]:
        raise AssertionError("these are not the encodings that clkhash makes")
    return b"".join(encodings)


def write(path, party, records, pool):
    """A file is there whole or not at all."""
    thousands = -(-records // THOUSAND)
    tasks = [
        (party, first, min(first + THOUSANDS_A_TASK, thousands))
        for first in range(0, thousands, THOUSANDS_A_TASK)
    ]
    partial = path.with_suffix(".partial")
    with partial.open("wb") as file:
        for done, encodings in enumerate(pool.imap(encode, tasks), 1):
            file.write(encodings)
            print(f"party {party}: {done / len(tasks):.0%} encoded", end="\r", file=sys.stderr)
        file.truncate(records * SCHEMA.l // 8)
    partial.rename(path)
    print(f"party {party}: {records:,} records encoded", file=sys.stderr)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("records", type=int, help="records of each party")
    parser.add_argument("folder", type=Path)
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    with multiprocessing.Pool() as pool:
        for party in "ab":
            path = arguments.folder / f"{party}.clk"
            if not path.exists() or path.stat().st_size != arguments.records * 128:
                write(path, party, arguments.records, pool)


if __name__ == "__main__":
    main()
