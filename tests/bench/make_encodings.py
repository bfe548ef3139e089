#!/usr/bin/env python3
"""Make encodings of made-up people for the benchmarks: names, dates of birth and genders as they are
distributed in censuses, encoded by clkhash with its own schema (1024 bits).

    make_encodings.py RECORDS FOLDER     write FOLDER/a.clk and FOLDER/b.clk, raw encodings back to back

Of party b's records 30 % are people of party a, most of them with an error in name or date of birth. The first N
thousand records of either party are such data sets, too. The same bytes on every machine.
"""

import argparse
import multiprocessing
import random
import sys
from pathlib import Path

from clkhash.clk import generate_clks
from clkhash.randomnames import NameList

THOUSAND = 1000
THOUSANDS_A_TASK = 20
SECRET = "linkage-operator benchmark secret - never use it for real people"
LETTERS = "abcdefghijklmnopqrstuvwxyz"
SHARED = 0.3


def people(party, thousand):
    """A thousand people as (id, name, date of birth, gender)."""
    random.seed(f"{party} {thousand}")
    source = NameList(0)
    source.load_data()
    source.year = 2024
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


def encode(task):
    party, first, last = task
    of = party_b if party == "b" else lambda thousand: people("a", thousand)
    records = [person for thousand in range(first, last) for person in of(thousand)]
    encodings = generate_clks(records, NameList.SCHEMA, SECRET, validate=False, max_workers=1)
    return b"".join(bits.tobytes() for bits in encodings)


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
        file.truncate(records * 128)
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
