#!/usr/bin/env python3
"""Runs the published vectors that the decryptor's functions cover, so that two implementations agree on what to refuse."""

import json
import pathlib
import sys

import ticrypt_decrypt as t

LABELS = {
    "name": "list/name", "list": "list/wrap", "tree": "tree/wrap", "entry-props": "list/props", "content": "tree/content",
    "manifest-props-key": "list/props", "manifest-props": "content/props",
}


def raw(vector, name):
    return bytes.fromhex(vector[name])


def equal(found, expected):
    t.need(found == expected, "another value")


def wrap(v):
    purpose = v["purpose"]
    child_epoch = 0 if purpose in ("name", "entry-props", "content") else v["child_epoch"]
    parent_epoch = 0 if purpose == "manifest-props" else v["parent_epoch"]
    wraps = t.Wraps(raw(v, "deployment"))
    plain = wraps.open(LABELS[purpose], raw(v, "key"), purpose, raw(v, "parent"), raw(v, "child"), v["node_kind"], parent_epoch,
                       child_epoch, raw(v, "sealed"))
    if purpose in ("list", "tree", "content", "manifest-props-key"):
        t.need(len(plain) == 32, "a wrapped key has the wrong length")
    elif purpose == "name":
        t.name_from_padded(plain)
    elif purpose == "entry-props":
        wraps.props(raw(v, "key"), raw(v, "parent"), v["node_kind"], v["parent_epoch"], raw(v, "sealed"))
    else:
        props = t.record(plain, "type modified mode sha256", "n n n h", 64)
        t.need(props["type"] <= 1 and props["mode"] <= 0o777, "a file of unknown type or mode")
    equal(plain, raw(v, "plain"))


def entries_root(v):
    ids = [bytes.fromhex(i) for i in v["ids"]]
    t.need(len(set(ids)) == len(ids), "the same id twice")
    equal(t.entries_root(list(zip(ids, (bytes.fromhex(leaf) for leaf in v["leaves"])))).hex(), v["root"])


def group_previous(v):
    """§12: the seed of a generation under the one after it."""
    context = [1, 1, "group-previous", raw(v, "deployment"), raw(v, "group"), [bytes.fromhex(tag) for tag in v["compartment"]], v["generation"]]
    equal(t.aead_open(t.derive("group/previous", raw(v, "key")), t.cbor_encode(context), raw(v, "sealed")), raw(v, "plain"))


def group_seal(v):
    """§12: the seed of a generation, sealed to a member; that it is the seed of the head's key is compared as the seed itself."""
    terms = t.record(raw(v, "terms"), "deployment group tags generation member bundle bundle_generation", "i i a n i h n", 1024)
    whose = (terms["deployment"], terms["member"], terms["bundle_generation"])
    t.need(whose == (raw(v, "deployment"), raw(v, "user"), v["generation"]), "a seal for somebody else, or for keys not held")
    info = t.sha256(b"ticrypt/v1/group-seal\x00", raw(v, "terms"))
    try:
        plain = HPKE.decrypt(raw(v, "sealed"), t.kem_private_key(raw(v, "seed")), info=info)
    except (t.InvalidTag, ValueError):
        raise t.Refused("a sealed seed is not authentic") from None
    equal(t.record(plain, "seed", "h", 64)["seed"], raw(v, "plain"))


def roster_proof(v):
    """§13: somebody's entry, under the root of a project's head."""
    head = t.record(raw(v, "head"), "deployment project parent counter previous members root pi writer writer_bundle at", "i i b n o n h b i h n", 512)
    entry = t.record(raw(v, "entry"), "deployment project user role restrictions expires salt", "i i i t n n 16", 128)
    t.need(all(entry[name] == head[name] for name in ("deployment", "project")), "an entry of another project")
    t.need(len(v["beside"]) <= 128, "a proof is too long")
    root = t.sha256(b"\x00", raw(v, "entry"))
    for depth, beside in reversed(list(enumerate(v["beside"]))):
        pair = (bytes.fromhex(beside), root) if entry["user"][depth // 8] >> (7 - depth % 8) & 1 else (root, bytes.fromhex(beside))
        root = t.sha256(b"\x01", *pair)
    t.need(root == head["root"], "an entry is not under the head")


HPKE = t.Suite(t.KEM.MLKEM1024_P384, t.KDF.HKDF_SHA384, t.AEAD.AES_256_GCM)

RUN = {
    "envelope": lambda v: equal(t.verify(raw(v, "bytes"), v["namespace"], raw(v, "key")), raw(v, "payload")),
    "padded-name": lambda v: t.name_from_padded(raw(v, "padded")),
    "derive": lambda v: equal(t.derive(v["label"], raw(v, "key")), raw(v, "out")),
    "merkle-root": lambda v: equal(t.merkle_root([bytes.fromhex(leaf) for leaf in v["leaves"]]).hex(), v["root"]),
    "entries-root": entries_root,
    "key-file": lambda v: equal(t.unlock(v["text"], v["passphrase"].encode())["signing_key"], raw(v, "public_key")),
    "key-file-text": lambda v: t.unlock(v["text"], b""),
    "wrap": wrap,
    "group-previous": group_previous,
    "group-seal-open": group_seal,
    "roster-proof": roster_proof,
}


def main():
    accepted = refused = 0
    for path in sorted(pathlib.Path(sys.argv[1]).glob("*.json")):
        for vector in json.loads(path.read_text())["vectors"]:
            if vector["kind"] == "bundle" and "previous" not in vector:
                run = lambda v: t.read_bundle(raw(v, "bytes"))
            elif vector["kind"] in RUN:
                run = RUN[vector["kind"]]
            else:
                continue
            try:
                run(vector)
                result = True
            except t.Refused:
                result = False
            if result != vector["accept"]:
                print(f"{path.name}: {vector['name']}: {'accepted' if result else 'refused'}")
                return 1
            accepted, refused = accepted + result, refused + (not result)
    print(f"{accepted} accepted, {refused} refused, as the vectors say")
    return 0 if accepted >= 25 and refused >= 130 else 1


if __name__ == "__main__":
    sys.exit(main())
