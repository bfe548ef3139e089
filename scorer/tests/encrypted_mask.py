"""The judge of encrypted_mask.rs: PyPI's `phe` makes the key, and reads what was encrypted under it.

    encrypted_mask.py key FOLDER BITS      writes private.json and public.json, as `pheutil` does
    encrypted_mask.py check FOLDER MATCHES FILE...
        decrypts the mask of each file, and compares it with the positions that match, a JSON list
"""

import json
import sys
from pathlib import Path

import phe
from phe.util import base64_to_int, int_to_base64


def make_key(folder: Path, bits: int) -> None:
    public, private = phe.generate_paillier_keypair(n_length=bits)
    jwk = {"kty": "DAJ", "alg": "PAI-GN1", "key_ops": ["encrypt"], "n": int_to_base64(public.n), "kid": "a test's"}
    secret = {"kty": "DAJ", "key_ops": ["decrypt"], "p": int_to_base64(private.p), "q": int_to_base64(private.q),
              "pub": jwk}
    (folder / "public.json").write_text(json.dumps(jwk))
    (folder / "private.json").write_text(json.dumps(secret))


def check(folder: Path, matches: list, files: list) -> None:
    secret = json.loads((folder / "private.json").read_text())
    public = phe.PaillierPublicKey(base64_to_int(secret["pub"]["n"]))
    private = phe.PaillierPrivateKey(public, base64_to_int(secret["p"]), base64_to_int(secret["q"]))
    ciphertexts = None
    for file in files:
        result = json.loads(Path(file).read_text())
        assert result["paillier_context"] == {"base": 2, "encoded": True}, file
        numbers = [phe.EncryptedNumber(public, int(one["v"]), exponent=one["e"]) for one in result["mask"]]
        mask = [private.decrypt(number) for number in numbers]
        assert mask == [int(position in matches) for position in range(len(mask))], (file, mask, matches)
        # a sum of encrypted numbers: what such masks are for
        assert private.decrypt(sum(numbers[1:], numbers[0])) == len(matches), file
        found = [number.ciphertext(be_secure=False) for number in numbers]
        assert len(set(found)) == len(found) and all(0 < one < public.nsquare for one in found), file
        assert ciphertexts in (None, found), "all hold the same ciphertexts"
        ciphertexts = found


if __name__ == "__main__":
    command, folder, *rest = sys.argv[1:]
    if command == "key":
        make_key(Path(folder), int(rest[0]))
    else:
        check(Path(folder), json.loads(rest[0]), rest[1:])
