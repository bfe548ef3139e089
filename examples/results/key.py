#!/usr/bin/env python3
"""A Paillier key for a mask that nobody else can read. Needs PyPI's `phe`.

    key.py make               write public.json, for the project, and private.json, to keep
    key.py modulus            print what the project's paillierPublicKey needs of it
    key.py decrypt MASK       tell how many positions of an encrypted mask, a JSON file, match
"""

import json
import sys

import phe
from phe.util import base64_to_int, int_to_base64

BITS = 2048


def make():
    public, private = phe.generate_paillier_keypair(n_length=BITS)
    n = int_to_base64(public.n)
    with open("public.json", "w", encoding="utf-8") as file:
        json.dump({"kty": "DAJ", "alg": "PAI-GN1", "key_ops": ["encrypt"], "n": n}, file)
    with open("private.json", "w", encoding="utf-8") as file:
        json.dump({"n": n, "p": int_to_base64(private.p), "q": int_to_base64(private.q)}, file)
    print("written: public.json, private.json")


def read(path):
    with open(path, encoding="utf-8") as file:
        return json.load(file)


def decrypt(path):
    key = read("private.json")
    public = phe.PaillierPublicKey(base64_to_int(key["n"]))
    private = phe.PaillierPrivateKey(public, base64_to_int(key["p"]), base64_to_int(key["q"]))
    encrypted = [phe.EncryptedNumber(public, int(one["v"]), one["e"]) for one in read(path)["mask"]]
    mask = [private.decrypt(one) for one in encrypted]
    # encrypted numbers can be added, which is what such masks are for
    assert private.decrypt(sum(encrypted[1:], encrypted[0])) == sum(mask)
    print(f"{sum(mask)} of {len(mask)} positions match")


match sys.argv[1:]:
    case ["make"]:
        make()
    case ["modulus"]:
        print(read("public.json")["n"])
    case ["decrypt", path]:
        decrypt(path)
    case _:
        sys.exit(__doc__)
