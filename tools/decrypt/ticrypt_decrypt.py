#!/usr/bin/env python3
"""Decrypts an exported vault offline, from docs/formats.md alone.

It shares no code with ticrypt: if it opens what ticrypt wrote, the description of the formats is complete, and data outlives
the program. Every signature, root, commitment and hash is checked before a byte is written; nothing existing is overwritten,
and nothing is written outside OUT_DIR. Section numbers below are those of docs/formats.md.
"""

import argparse
import base64
import errno
import getpass
import hashlib
import hmac
import os
import re
import stat
import sys
import unicodedata
import uuid

from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, mlkem, utils
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, MLKEM1024P384PrivateKey, Suite
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.serialization import load_der_private_key

CHUNK_SIZE = 8_388_608
VIEW, EDIT, SHARE = 1, 4, 8
DIRECTORY, FILE, VERSION = 0, 1, 2
P384_ORDER = int(
    "ffffffffffffffffffffffffffffffffffffffffffffffffc7634d81f4372ddf581a0db248b0a77aecec196accc52973", 16
)


class Refused(Exception):
    """Something is not what its signature, its key or its format says it must be."""


def need(condition, why):
    if not condition:
        raise Refused(why)


# §0 -- CBOR: the deterministic subset the records use. A reader this strict accepts one encoding only.

class Cbor:
    def __init__(self, data):
        self.data, self.at = data, 0

    def head(self):
        need(self.at < len(self.data), "cbor: cut off")
        first = self.data[self.at]
        self.at += 1
        major, info = first >> 5, first & 31
        if info < 24:
            return major, info
        need(info <= 27, "cbor: indefinite length or reserved form")
        size = 1 << (info - 24)
        value = int.from_bytes(self.take(size), "big")
        need(value >= (24 if size == 1 else 1 << (4 * size)), "cbor: a number in a longer form than it needs")
        return major, value

    def take(self, size):
        need(size <= len(self.data) - self.at, "cbor: cut off")
        self.at += size
        return self.data[self.at - size : self.at]

    def item(self, depth=0):
        need(depth < 8, "cbor: nested too deeply")
        major, value = self.head()
        if major == 0:
            return value
        if major == 2:
            return self.take(value)
        if major == 3:
            try:
                return self.take(value).decode("utf-8", "strict")
            except UnicodeDecodeError:
                raise Refused("cbor: text that is not utf-8") from None
        need(major == 4, "cbor: a type no record uses")
        need(value <= len(self.data) - self.at, "cbor: cut off")
        return [self.item(depth + 1) for _ in range(value)]

    def done(self):
        return self.at == len(self.data)


def cbor_encode(value):
    def head(major, number):
        if number < 24:
            return bytes([major << 5 | number])
        for info, size in ((24, 1), (25, 2), (26, 4), (27, 8)):
            if number < 1 << (8 * size):
                return bytes([major << 5 | info]) + number.to_bytes(size, "big")
        raise Refused("a number is too large")

    if isinstance(value, int):
        return head(0, value)
    if isinstance(value, bytes):
        return head(2, len(value)) + value
    if isinstance(value, str):
        return head(3, len(value.encode())) + value.encode()
    return head(4, len(value)) + b"".join(map(cbor_encode, value))


def record(data, names, forms, max_len):
    """Reads one record into a dict: element 0 is the version, the rest are named and have the forms given.

    Forms: i id, h hash, o hash or empty, n number, b bytes, t text, a array, or a length in bytes.
    """
    need(len(data) <= max_len, "a record is too long")
    reader = Cbor(data)
    value = reader.item()
    need(reader.done(), "something follows a record")
    need(isinstance(value, list) and value and isinstance(value[0], int), "not a record")
    need(value[0] == 1, f"a record of version {value[0]}: a newer program is needed")
    names, forms = names.split(), forms.split()
    need(len(value) == len(names) + 1, "a record has too many or too few elements")
    for element, form in zip(value[1:], forms, strict=True):
        need(has_form(element, form), "an element of a record has the wrong form")
    return dict(zip(names, value[1:]))


def has_form(element, form):
    if form == "n":
        return isinstance(element, int)
    if form == "t":
        return isinstance(element, str)
    if form == "a":
        return isinstance(element, list)
    if not isinstance(element, bytes):
        return False
    if form == "b":
        return True
    if form == "i":
        return len(element) == 16 and element[6] >> 4 == 4 and element[8] >> 6 == 2
    if form == "o":
        return len(element) in (0, 32)
    return len(element) == (32 if form == "h" else int(form))


def sha256(*parts):
    return hashlib.sha256(b"".join(parts)).digest()


def derive(label, key):
    return HKDF(hashes.SHA256(), 32, b"ticrypt/v1", label.encode()).derive(key)


def aead_open(key, aad, sealed):
    need(len(sealed) >= 28, "something sealed is too short")
    try:
        return AESGCM(key).decrypt(sealed[:12], sealed[12:], aad)
    except InvalidTag:
        raise Refused("not authentic: altered, moved, or under another key") from None


# §1 -- signatures

def root_from_path(leaf, index, count, path):
    need(0 <= index < count <= 1 << 20, "impossible place in a batch")
    position, last, value = index, count - 1, leaf
    for beside in path:
        need(last > 0, "the path of a batch is too long")
        if position & 1 or position == last:
            value = sha256(b"\x01", beside, value)
            while not position & 1 and position:
                position, last = position >> 1, last >> 1
        else:
            value = sha256(b"\x01", value, beside)
        position, last = position >> 1, last >> 1
    need(last == 0, "the path of a batch is too short")
    return value


def merkle_root(leaves):
    level = list(leaves)
    while len(level) > 1:
        pairs = [sha256(b"\x01", level[i], level[i + 1]) for i in range(0, len(level) - 1, 2)]
        level = pairs + ([level[-1]] if len(level) % 2 else [])
    return level[0]


def envelope_parts(data):
    parts = record(data, "suite payload index count path signature", "n b n n a 64", 65_536 + 1024)
    need(parts["suite"] == 1, "an unknown suite")
    need(len(parts["payload"]) <= 65_536, "a payload is too long")
    need(all(has_form(beside, "h") for beside in parts["path"]), "a path holds something that is no hash")
    return parts


def verify(data, namespace, key):
    """Returns the payload of an envelope signed by `key` (65 bytes) in a namespace."""
    parts = envelope_parts(data)
    root = root_from_path(sha256(b"\x00", parts["payload"]), parts["index"], parts["count"], parts["path"])
    message = b"ticrypt/v1\x00" + namespace.encode() + b"\x00" + parts["count"].to_bytes(4, "big") + root
    r, s = (int.from_bytes(half, "big") for half in (parts["signature"][:32], parts["signature"][32:]))
    need(len(key) == 65 and key[0] == 4, "a public key has the wrong form")
    try:
        public = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), key)
        public.verify(utils.encode_dss_signature(r, s), message, ec.ECDSA(hashes.SHA256()))
    except (InvalidSignature, ValueError):
        raise Refused(f"a signature is not of its signer ({namespace})") from None
    return parts["payload"]


# §2 -- bundles

BUNDLE = (
    "deployment user name generation suite signing_key kem_key predecessor reason created",
    "i i t n n 65 1665 o n n",
)


def read_bundle(data):
    outer = record(data, "envelope rotation", "b b", 16_384)
    claimed = record(envelope_parts(outer["envelope"])["payload"], *BUNDLE, 2048)
    payload = verify(outer["envelope"], "bundle", claimed["signing_key"])
    need(claimed["suite"] == 1, "an unknown suite")
    need(re.fullmatch(r"[a-z0-9][a-z0-9._-]{1,63}", claimed["name"]), "a user name breaks its rules")
    first = claimed["generation"] == 0
    need(first == (claimed["predecessor"] == b"") == (claimed["reason"] == 0), "a bundle is of an impossible generation")
    need(claimed["reason"] <= 3, "a bundle has an unknown reason")
    need((claimed["reason"] in (1, 2)) == (outer["rotation"] != b""), "a bundle's rotation signature is missing or too many")
    return claimed | {"hash": sha256(payload), "payload": payload, "rotation": outer["rotation"]}


# §9 -- the key file

def pem_blocks(text):
    blocks, lines = [], text.replace("\r\n", "\n").rstrip("\n").split("\n")
    for label in ("ENCRYPTED PRIVATE KEY", "TICRYPT KEM SEEDS"):
        need(lines and lines[0] == f"-----BEGIN {label}-----", "not a key file")
        end = f"-----END {label}-----"
        need(end in lines, "not a key file: a block has no end")
        at = lines.index(end)
        try:
            blocks.append(base64.b64decode("".join(lines[1:at]), validate=True))
        except ValueError:
            raise Refused("not a key file: not base64") from None
        lines = lines[at + 1 :]
    need(not lines, "something follows the two blocks of the key file")
    return blocks


def check_pbes2(der):
    """Reads just enough ASN.1 to refuse weak parameters before the passphrase is used (RFC 8018)."""

    def element(data, tag):
        need(len(data) >= 2 and data[0] == tag, "the key file's first block is not pbes2 as it must be")
        size, at = data[1], 2
        if size & 0x80:
            count = size & 0x7F
            need(1 <= count <= 4 and len(data) >= 2 + count, "the key file's first block is cut off")
            size, at = int.from_bytes(data[2 : 2 + count], "big"), 2 + count
        need(len(data) >= at + size, "the key file's first block is cut off")
        return data[at : at + size], data[at + size :]

    algorithm, _ = element(element(der, 0x30)[0], 0x30)
    oid, rest = element(algorithm, 0x06)
    need(oid.hex() == "2a864886f70d01050d", "the key file is not under pbes2")
    kdf, encryption = element(element(rest, 0x30)[0], 0x30)
    oid, rest = element(kdf, 0x06)
    need(oid.hex() == "2a864886f70d01050c", "the key file is not under pbkdf2")
    salt, rest = element(element(rest, 0x30)[0], 0x04)
    rounds, rest = element(rest, 0x02)
    need(len(salt) >= 16, "the key file's salt is too short")
    need(600_000 <= int.from_bytes(rounds, "big") <= 10_000_000, "the key file's rounds are too few or too many")
    if rest[:1] == b"\x02":
        _, rest = element(rest, 0x02)
    need(element(element(rest, 0x30)[0], 0x06)[0].hex() == "2a864886f70d0209", "the key file is not under hmac-sha-256")
    oid, _ = element(element(encryption, 0x30)[0], 0x06)
    need(oid.hex() == "60864801650304012a", "the key file is not under aes-256-cbc")


def kem_private_key(seed):
    """Expands the 32-byte private key of MLKEM1024-P384: SHAKE-256 gives the ML-KEM seed, then candidates for the scalar."""
    stream = hashlib.shake_256(seed).digest(64 + 48 * 8)
    candidates = (int.from_bytes(stream[i : i + 48], "big") for i in range(64, len(stream), 48))
    scalar = next(value for value in candidates if 0 < value < P384_ORDER)
    return MLKEM1024P384PrivateKey(
        mlkem.MLKEM1024PrivateKey.from_seed_bytes(stream[:64]), ec.derive_private_key(scalar, ec.SECP384R1())
    )


def unlock(text, passphrase):
    """Returns the key file's header and a dict of generation to KEM private key, and the public signing key."""
    encrypted_key, second = pem_blocks(text)
    need(len(second) >= 4, "the key file's second block is cut off")
    size = int.from_bytes(second[:4], "big")
    need(len(second) >= 4 + size, "the key file's second block is cut off")
    header_bytes, sealed = second[4 : 4 + size], second[4 + size :]
    header = record(header_bytes, "deployment user name generation", "i i t n", 256)
    check_pbes2(encrypted_key)
    try:
        key = load_der_private_key(encrypted_key, passphrase)
    except (ValueError, TypeError):
        raise Refused("wrong passphrase, or the first block of the key file was altered") from None
    need(isinstance(key, ec.EllipticCurvePrivateKey) and isinstance(key.curve, ec.SECP256R1), "not a p-256 key")
    scalar = key.private_numbers().private_value.to_bytes(32, "big")
    seeds = record(aead_open(derive("keyfile/seeds", scalar), sha256(encrypted_key) + header_bytes, sealed), "list", "a", 65_536)
    keys, order = {}, []
    for pair in seeds["list"]:
        need(isinstance(pair, list) and len(pair) == 2 and has_form(pair[0], "n") and has_form(pair[1], "h"), "not a seed")
        keys[pair[0]] = kem_private_key(pair[1])
        order.append(pair[0])
    need(order and order == sorted(set(order), reverse=True) and order[0] == header["generation"], "seeds in a wrong order")
    numbers = key.public_key().public_numbers()
    point = b"\x04" + numbers.x.to_bytes(32, "big") + numbers.y.to_bytes(32, "big")
    return header | {"seeds": keys, "signing_key": point}


# §5 -- names, tags, wraps

def name_from_padded(padded):
    need(len(padded) in (32, 64, 128, 256), "a padded name has an impossible length")
    size = padded[0]
    smallest = next(total for total in (32, 64, 128, 256) if total >= 1 + size)
    need(smallest == len(padded), "a name is not padded to the smallest size")
    need(not any(padded[1 + size :]), "the padding of a name is not zeros")
    try:
        name = padded[1 : 1 + size].decode("utf-8", "strict")
    except UnicodeDecodeError:
        raise Refused("a name is not utf-8") from None
    need(name not in ("", ".", "..") and "/" not in name and "\0" not in name, "a hostile name")
    need(unicodedata.is_normalized("NFC", name), "a name is not in normal form c")
    return name


class Wraps:
    """Opens wraps of one deployment."""

    def __init__(self, deployment):
        self.deployment = deployment

    def open(self, label, key, purpose, parent, child, kind, parent_epoch, child_epoch, sealed):
        context = [1, 1, purpose, self.deployment, parent, child, kind, parent_epoch, child_epoch]
        return aead_open(derive(label, key), cbor_encode(context), sealed)

    def key(self, *arguments):
        key = self.open(*arguments)
        need(len(key) == 32, "a wrapped key has the wrong length")
        return key

    def props(self, list_key, node, kind, epoch, sealed):
        plain = self.open("list/props", list_key, "entry-props", node, node, kind, epoch, 0, sealed)
        props = record(plain, "name created modified mode", "b n n n", 288)
        need(props["mode"] <= 0o777, "a mode has more than permission bits")
        return props | {"name": name_from_padded(props["name"])}


ENTRY = (
    "parent parent_epoch child kind child_epoch tag name list_wrap tree_wrap props",
    "i n i n n 32 b b b b",
)


def entries_root(leaves, depth=0):
    """§7: `leaves` are (child id, leaf)."""
    if not leaves:
        return bytes(32)
    if len(leaves) == 1:
        return leaves[0][1]
    need(depth < 128, "a directory holds the same node twice")
    halves = ([], [])
    for child, leaf in leaves:
        halves[child[depth // 8] >> (7 - depth % 8) & 1].append((child, leaf))
    return sha256(b"\x01", entries_root(halves[0], depth + 1), entries_root(halves[1], depth + 1))


# §6 -- grants

GRANT = (
    "deployment suite grant node kind epoch list_commitment tree_commitment owner sealer sealer_bundle recipient_kind "
    "recipient recipient_bundle recipient_generation verbs expires predecessor authority log_size log_root issued",
    "i n i i n n h h i i h n i h n n n o o n o n",
)
HEAD = (
    "deployment directory counter epoch entry_count entries_root previous writer writer_bundle authority at",
    "i i n n n h o i h o n",
)
MANIFEST = (
    "deployment file sequence predecessor version size chunk_count chunk_root key_commitment props writer writer_bundle "
    "authority at",
    "i i n o i n n h h b i h o n",
)


class Vault:
    """An export, read and indexed; nothing of it believed before it is asked for."""

    def __init__(self, directory, me):
        self.directory, self.me, self.wraps = directory, me, Wraps(me["deployment"])
        self.bundles, self.grants, self.heads, self.files, self.props, self.children = {}, {}, {}, {}, {}, set()
        with open(os.path.join(directory, "vault.cbor"), "rb") as file:
            reader = Cbor(file.read())
        kinds = {"bundle": "b", "grant": "b b", "directory": "i b a", "file": "i a a", "props": "i b"}
        others_begun = False
        while not reader.done():
            item = reader.item()
            need(isinstance(item, list) and item and item[0] in kinds, "vault.cbor holds something unknown")
            forms = kinds[item[0]].split()
            need(len(item) == 1 + len(forms) and all(map(has_form, item[1:], forms)), f"a broken item: {item[0]}")
            need(item[0] != "bundle" or not others_begun, "vault.cbor does not begin with its bundles")
            if item[0] != "bundle" and not others_begun:
                others_begun = True
                self.check_bundles()
            getattr(self, "add_" + item[0])(*item[1:])
        need(others_begun, "vault.cbor holds bundles and nothing else")

    def add_bundle(self, data):
        bundle = read_bundle(data)
        need(bundle["deployment"] == self.me["deployment"], "a bundle of another deployment")
        self.bundles[bundle["hash"]] = bundle

    def check_bundles(self):
        for bundle in self.bundles.values():
            old = self.bundles.get(bundle["predecessor"])
            if old is None:
                continue
            need(old["user"] == bundle["user"] and old["generation"] + 1 == bundle["generation"], "a bundle does not follow")
            if bundle["rotation"]:
                payload = verify(bundle["rotation"], "bundle-rotation", old["signing_key"])
                need(payload == bundle["payload"], "the signatures of a bundle are over different records")
        # Mine are the bundles that need no comparing: the newest has the key in my hand, and names the ones before by hash.
        self.mine, me = set(), self.me
        newest = [b for b in self.bundles.values() if b["user"] == me["user"] and b["signing_key"] == me["signing_key"]]
        need(newest and newest[0]["generation"] == me["generation"], "the export is not of this key file's owner")
        bundle = newest[0]
        while bundle is not None:
            self.mine.add(bundle["hash"])
            bundle = self.bundles.get(bundle["predecessor"])

    def signer(self, user, bundle_hash):
        bundle = self.bundles.get(bundle_hash)
        need(bundle is not None, "a signer's bundle is not in the export")
        need(bundle["user"] == user, "a signer's bundle is of somebody else")
        need(user != self.me["user"] or bundle_hash in self.mine, "a bundle in my name that is not mine")
        return bundle["signing_key"]

    def add_grant(self, envelope, sealed):
        claimed = record(envelope_parts(envelope)["payload"], *GRANT, 1024)
        payload = verify(envelope, "grant", self.signer(claimed["sealer"], claimed["sealer_bundle"]))
        verbs = claimed["verbs"]
        need(verbs <= 15 and (verbs == 0 or verbs & VIEW), "a grant has impossible verbs")
        need(claimed["suite"] == 1 and claimed["deployment"] == self.me["deployment"], "a grant of elsewhere")
        need(claimed["kind"] <= 1 and claimed["epoch"] >= 1 and claimed["recipient_kind"] <= 1, "an impossible grant")
        need((claimed["authority"] == b"") == (claimed["sealer"] == claimed["owner"]), "a grant's authority is missing")
        need((claimed["log_root"] == b"") == (claimed["log_size"] == 0), "a grant's key log is impossible")
        self.grants[sha256(payload)] = claimed | {"payload": payload, "sealed": sealed, "hash": sha256(payload)}

    def add_directory(self, node, envelope, entries):
        need(node not in self.heads, "a directory stands twice in the export")
        need(all(isinstance(entry, bytes) for entry in entries), "an entry is not bytes")
        self.heads[node] = (envelope, entries)
        for entry in entries:
            try:
                self.children.add(record(entry, *ENTRY, 1280)["child"])
            except Refused:
                pass  # The directory that holds it is refused when it is met.

    def add_file(self, node, manifests, versions):
        need(node not in self.files, "a file stands twice in the export")
        need(all(isinstance(m, list) and len(m) == 2 and has_form(m[0], "b") and has_form(m[1], "60") for m in manifests),
             "a manifest has the wrong form")
        need(all(isinstance(v, list) and len(v) == 3 and has_form(v[0], "i") and has_form(v[1], "60")
                 and has_form(v[2], "a") and all(has_form(h, "h") for h in v[2]) for v in versions),
             "a version has the wrong form")
        self.files[node] = (manifests, {version: (wrap, chunk_hashes) for version, wrap, chunk_hashes in versions})

    def add_props(self, node, sealed):
        self.props[node] = sealed

    def holds(self, grant, depth=0):
        """A grant's chain must end at the owner; returns nothing, refuses otherwise."""
        need(depth < 64, "a chain of grants is too long")
        if grant["authority"] == b"":
            return
        authority = self.grants.get(grant["authority"])
        need(authority is not None, "a grant rests on one that is not in the export")
        need(authority["owner"] == grant["owner"], "a grant rests on one of another tree")
        need(authority["recipient_kind"] == 0 and authority["recipient"] == grant["sealer"], "a grant rests on another's")
        predecessor = self.grants.get(grant["predecessor"])
        terms = ("verbs", "expires", "recipient", "recipient_kind", "node", "owner")
        reseal = predecessor is not None and all(grant[t] == predecessor[t] for t in terms)
        if reseal and authority["verbs"] & EDIT:
            self.holds(predecessor, depth + 1)
        else:
            need(authority["verbs"] & SHARE, "a grant rests on one that may not share")
            need(grant["verbs"] & ~authority["verbs"] == 0, "a grant allows more than the one it rests on")
            ends = authority["expires"]
            need(ends == 0 or 0 < grant["expires"] <= ends, "a grant outlasts the one it rests on")
        self.holds(authority, depth + 1)

    def open_grant(self, grant):
        self.holds(grant)
        key = self.me["seeds"].get(grant["recipient_generation"])
        need(key is not None, "a grant is for keys that are not in the key file")
        suite = Suite(KEM.MLKEM1024_P384, KDF.HKDF_SHA384, AEAD.AES_256_GCM)
        try:
            plain = suite.decrypt(grant["sealed"], key, info=sha256(b"ticrypt/v1/grant\x00", grant["payload"]))
        except (InvalidTag, ValueError):
            raise Refused("a grant's keys do not open") from None
        keys = record(plain, "list tree", "h b", 128)
        need(len(keys["tree"]) == (32 if grant["verbs"] & VIEW else 0), "a grant's tree key does not fit its verbs")
        need(sha256(b"ticrypt/v1/list-key\x00", keys["list"]) == grant["list_commitment"], "other keys than the grant names")
        if keys["tree"]:
            need(sha256(b"ticrypt/v1/tree-key\x00", keys["tree"]) == grant["tree_commitment"], "other keys than the grant names")
        return Place(grant["node"], grant["kind"], grant["epoch"], keys["list"], keys["tree"], grant["owner"], ())

    def may_write(self, place, writer, authority_hash):
        """§7, §8: the owner writes, and whoever has a grant with *edit* on the node or above."""
        if authority_hash == b"":
            need(writer == place.owner, "written by somebody who is not the owner and names no grant")
            return None
        grant = self.grants.get(authority_hash)
        if grant is None:
            # Of a node shared with me, rights above it are not mine to see (§11).
            need(place.owner != self.me["user"], "written under a grant that is not in the export")
            return "written under a grant that is not in the export"
        self.holds(grant)
        need(grant["verbs"] & EDIT and grant["owner"] == place.owner, "written under a grant that does not allow it")
        need(grant["recipient_kind"] == 0 and grant["recipient"] == writer, "written under somebody else's grant")
        if grant["node"] not in (place.node, *place.above):
            need(place.owner != self.me["user"], "written under a grant for another node")
            return "written under a grant for a node that is not above this one here"
        return None


class Place:
    """A node whose keys are at hand."""

    def __init__(self, node, kind, epoch, list_key, tree_key, owner, above):
        self.node, self.kind, self.epoch, self.owner, self.above = node, kind, epoch, owner, above
        self.list_key, self.tree_key = list_key, tree_key


# Writing: beneath one directory, never through a link, never over anything.

DIR_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
NEW_FLAGS = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


def shown(path):
    """A path that cannot forge a terminal's output."""
    return "/".join(ascii(part)[1:-1] if not part.isascii() or not part.isprintable() else part for part in path)


class Restore:
    def __init__(self, vault, out_fd, links):
        self.vault, self.out_fd, self.links = vault, out_fd, links
        self.faults, self.notes, self.files, self.seen = [], [], 0, set()

    def attempt(self, path, what, *arguments):
        try:
            what(path, *arguments)
        except Refused as why:
            self.faults.append(f"{shown(path) or '.'}: {why}")
        except OSError as why:
            self.faults.append(f"{shown(path) or '.'}: {why.strerror}")

    def run(self):
        vault, me, opened = self.vault, self.vault.me, {}
        for grant in sorted(vault.grants.values(), key=lambda g: (g["epoch"], g["verbs"])):
            if grant["recipient_kind"] == 0 and grant["recipient"] == me["user"]:
                try:
                    place = vault.open_grant(grant)
                except Refused as why:
                    self.faults.append(f"grant {uuid.UUID(bytes=grant['grant'])}: {why}")
                    continue
                # A grant of an older epoch is one that was replaced; with more verbs it opens more.
                opened[grant["node"]] = place
        self.opened = opened
        roots = [place for place in opened.values() if place.owner == me["user"]]
        for place in roots + [place for place in opened.values() if place.owner != me["user"]]:
            # One that is an entry of a directory here is met there.
            if place.node not in vault.children:
                self.attempt((), self.root, place)

    def root(self, _, place):
        sealed, props = self.vault.props.get(place.node), None
        if sealed is not None:
            props = self.vault.wraps.props(place.list_key, place.node, place.kind, place.epoch, sealed)
        if place.owner == self.vault.me["user"] and props is None:
            # The root of one's own tree has no name.
            self.children((), self.out_fd, place)
        else:
            name = props["name"] if props else str(uuid.UUID(bytes=place.node))
            self.node((name,), self.out_fd, name, place, props)

    def node(self, path, parent_fd, name, place, props):
        if place.kind == FILE:
            self.file(path, parent_fd, name, place)
            return
        os.mkdir(name, 0o700, dir_fd=parent_fd)
        fd = os.open(name, DIR_FLAGS, dir_fd=parent_fd)
        try:
            self.children(path, fd, place)
            if props:
                os.fchmod(fd, props["mode"] or 0o700)
                os.utime(fd, ns=(props["modified"] * 1_000_000,) * 2)
        finally:
            os.close(fd)

    def children(self, path, fd, place):
        need(place.node not in self.seen and len(path) <= 256, "a directory is below itself")
        self.seen.add(place.node)
        vault = self.vault
        need(place.node in vault.heads, "the directory is not in the export")
        envelope, entries = vault.heads[place.node]
        claimed = record(envelope_parts(envelope)["payload"], *HEAD, 512)
        verify(envelope, "directory", vault.signer(claimed["writer"], claimed["writer_bundle"]))
        need(claimed["deployment"] == vault.me["deployment"] and claimed["directory"] == place.node, "the head of another directory")
        need(claimed["epoch"] == place.epoch and claimed["counter"] >= 1, "a head of another epoch than its keys")
        need((claimed["counter"] == 1) == (claimed["previous"] == b""), "a head names a wrong one before it")
        note = vault.may_write(place, claimed["writer"], claimed["authority"])
        if note:
            self.notes.append(f"{shown(path) or '.'}: {note}")
        read = [record(data, *ENTRY, 1280) for data in entries]
        leaves = [(entry["child"], sha256(b"\x00", data)) for entry, data in zip(read, entries)]
        need(len(leaves) == claimed["entry_count"], "the listing has more or fewer entries than were signed")
        need(entries_root(leaves) == claimed["entries_root"], "the listing is not the one that was signed")
        names = set()
        for entry in read:
            need((entry["parent"], entry["parent_epoch"]) == (place.node, place.epoch), "an entry of another directory")
            need(entry["kind"] <= 1 and entry["child_epoch"] >= 1, "an impossible entry")
            name = self.entry_name(place, entry)
            need(name not in names, "two entries have the same name")
            names.add(name)
        for entry in read:
            name = self.entry_name(place, entry)
            self.attempt(path + (name,), self.entry, fd, name, place, entry)

    def entry_name(self, place, entry):
        padded = self.vault.wraps.open("list/name", place.list_key, "name", place.node, entry["child"], entry["kind"],
                                       place.epoch, 0, entry["name"])
        name = name_from_padded(padded)
        tag = hmac.new(derive("list/tag", place.list_key), name.encode(), "sha256").digest()
        need(hmac.compare_digest(tag, entry["tag"]), "a name tag is not of its name")
        return name

    def entry(self, path, fd, name, place, entry):
        wraps, child, kind, epoch = self.vault.wraps, entry["child"], entry["kind"], entry["child_epoch"]
        need(bool(entry["list_wrap"]) == bool(entry["tree_wrap"]), "an entry has one wrap of two")
        if entry["list_wrap"]:
            list_key = wraps.key("list/wrap", place.list_key, "list", place.node, child, kind, place.epoch, epoch, entry["list_wrap"])
            tree_key = b""
            if place.tree_key:
                tree_key = wraps.key("tree/wrap", place.tree_key, "tree", place.node, child, kind, place.epoch, epoch,
                                     entry["tree_wrap"])
            below = Place(child, kind, epoch, list_key, tree_key, place.owner, (place.node, *place.above))
        else:
            below = self.opened.get(child)
            need(below is not None, "it has keys of its own, which no grant here holds")
            need((below.kind, below.epoch, below.owner) == (kind, epoch, place.owner), "its grant is of another epoch or tree")
            below.above = (place.node, *place.above)
        props = wraps.props(below.list_key, child, kind, epoch, entry["props"])
        need(props["name"] == name, "the properties of an entry have another name")
        self.node(path, fd, name, below, props)

    # §8 -- files

    def manifest(self, place):
        """The newest manifest, after checking each and the chain between those that are there."""
        manifests, _ = self.vault.files[place.node]
        read = {}
        for envelope, wrap in manifests:
            claimed = record(envelope_parts(envelope)["payload"], *MANIFEST, 1024)
            payload = verify(envelope, "manifest", self.vault.signer(claimed["writer"], claimed["writer_bundle"]))
            need(claimed["deployment"] == self.vault.me["deployment"] and claimed["file"] == place.node, "a manifest of another file")
            need((claimed["sequence"] == 1) == (claimed["predecessor"] == b"") and claimed["sequence"] >= 1, "an impossible manifest")
            count = max(1, -(-claimed["size"] // CHUNK_SIZE))
            need(claimed["chunk_count"] == count <= 1 << 20, "a manifest counts its chunks wrongly")
            need(claimed["sequence"] not in read, "two manifests have the same sequence")
            read[claimed["sequence"]] = claimed | {"hash": sha256(payload), "wrap": wrap}
        need(read, "the file has no manifest in the export")
        for sequence, manifest in read.items():
            before = read.get(sequence - 1)
            need(before is None or manifest["predecessor"] == before["hash"], "the chain of manifests is broken")
        return read[max(read)]

    def file(self, path, parent_fd, name, place):
        self.seen.add(place.node)
        vault, wraps = self.vault, self.vault.wraps
        need(place.node in vault.files, "the file is not in the export")
        manifest = self.manifest(place)
        note = vault.may_write(place, manifest["writer"], manifest["authority"])
        if note:
            self.notes.append(f"{shown(path)}: {note}")
        if not place.tree_key:
            self.notes.append(f"{shown(path)}: shared without view; its content cannot be opened")
            return
        version, sequence = manifest["version"], manifest["sequence"]
        props_key = wraps.key("list/props", place.list_key, "manifest-props-key", place.node, version, VERSION, place.epoch, sequence,
                              manifest["wrap"])
        plain = wraps.open("content/props", props_key, "manifest-props", place.node, version, VERSION, 0, sequence, manifest["props"])
        props = record(plain, "type modified mode sha256", "n n n h", 64)
        need(props["type"] <= 1 and props["mode"] <= 0o777, "a file of unknown type or mode")
        need(version in vault.files[place.node][1], "the current version is not in the export")
        content_wrap, chunk_hashes = vault.files[place.node][1][version]
        content = wraps.key("tree/content", place.tree_key, "content", place.node, version, VERSION, place.epoch, 0, content_wrap)
        need(derive("content/commitment", content) == manifest["key_commitment"], "another content key than was signed")
        need(len(chunk_hashes) == manifest["chunk_count"], "more or fewer chunks than were signed")
        need(merkle_root(sha256(b"\x00", h) for h in chunk_hashes) == manifest["chunk_root"], "other chunks than were signed")
        chunks = self.chunks(place.node, manifest, content, chunk_hashes)
        if props["type"] == 1:
            self.link(path, parent_fd, name, b"".join(chunks), props)
        else:
            self.write(parent_fd, name, chunks, props)
        self.files += 1

    def chunks(self, file, manifest, content, chunk_hashes):
        """Yields the plaintext of each chunk once it is known to be authentic."""
        version, key, commitment = manifest["version"], AESGCM(derive("content/chunk", content)), manifest["key_commitment"]
        folder = os.path.join(self.vault.directory, "chunks", str(uuid.UUID(bytes=file)), str(uuid.UUID(bytes=version)))
        for number, expected in enumerate(chunk_hashes):
            last = number + 1 == len(chunk_hashes)
            size = manifest["size"] - number * CHUNK_SIZE if last else CHUNK_SIZE
            with open(os.path.join(folder, str(number)), "rb") as stored_file:
                stored = stored_file.read(size + 65)
            need(len(stored) == size + 64, f"chunk {number} has the wrong length")
            need(sha256(stored) == expected, f"chunk {number} is not the one that was signed")
            header = bytes([1, 1, 0, int(last)])
            need(stored[:4] == header, f"chunk {number} has a wrong header")
            need(hmac.compare_digest(stored[16:48], commitment), f"chunk {number} is under another key")
            aad = header + file + version + number.to_bytes(8, "big") + bytes([int(last)])
            try:
                yield key.decrypt(stored[4:16], stored[48:], aad)
            except InvalidTag:
                raise Refused(f"chunk {number} is not authentic") from None

    def write(self, parent_fd, name, chunks, props):
        fd = os.open(name, NEW_FLAGS, 0o600, dir_fd=parent_fd)
        try:
            with os.fdopen(fd, "wb") as file:
                digest = hashlib.sha256()
                for plaintext in chunks:
                    digest.update(plaintext)
                    file.write(plaintext)
                need(digest.digest() == props["sha256"], "the content is not the one its writer hashed")
                file.flush()
                os.fchmod(file.fileno(), props["mode"])
                os.utime(file.fileno(), ns=(props["modified"] * 1_000_000,) * 2)
        except BaseException:
            os.unlink(name, dir_fd=parent_fd)
            raise

    def link(self, path, parent_fd, name, target, props):
        need(sha256(target) == props["sha256"], "the link is not the one its writer hashed")
        need(target and b"\0" not in target, "a link to nothing")
        if not self.links:
            self.write(parent_fd, name + ".symlink", [target], props | {"mode": 0o600})
            self.notes.append(f"{shown(path)}: a symbolic link; its target is in {shown((name,))}.symlink (--links makes links)")
            return
        os.symlink(target, name, dir_fd=parent_fd)


def main():
    parser = argparse.ArgumentParser(description="Decrypts an exported ticrypt vault, offline.")
    parser.add_argument("export_dir")
    parser.add_argument("keyfile")
    parser.add_argument("out_dir", help="made if it is not there; nothing in it is overwritten")
    parser.add_argument("--passphrase-file", help="its first line is the passphrase; else it is asked for")
    parser.add_argument("--links", action="store_true", help="make symbolic links instead of files that hold their target")
    options = parser.parse_args()
    sys.setrecursionlimit(10_000)  # A vault may be 256 directories deep.
    try:
        if options.passphrase_file:
            with open(options.passphrase_file, "rb") as file:
                passphrase = file.readline().rstrip(b"\r\n")
        else:
            passphrase = getpass.getpass("passphrase: ").encode()
        with open(options.keyfile, encoding="ascii", errors="replace") as file:
            me = unlock(file.read(65_537), passphrase)
        vault = Vault(options.export_dir, me)
        try:
            os.mkdir(options.out_dir, 0o700)
        except FileExistsError:
            need(stat.S_ISDIR(os.stat(options.out_dir).st_mode), "OUT_DIR is not a directory")
        restore = Restore(vault, os.open(options.out_dir, os.O_RDONLY | os.O_DIRECTORY), options.links)
        restore.run()
    except Refused as why:
        print(f"refused: {why}", file=sys.stderr)
        return 2
    except OSError as why:
        print(f"failed: {why}", file=sys.stderr)
        return 3 if why.errno != errno.ENOENT else 4
    for user, name, fingerprint in sorted((b["user"], b["name"], b["hash"].hex()) for b in vault.bundles.values()):
        if user != me["user"]:
            groups = " ".join(fingerprint[i : i + 4] for i in range(0, 64, 4))
            print(f"key of {name}, believed without comparing: {groups}")
    for note in restore.notes:
        print(f"note: {note}")
    for fault in restore.faults:
        print(f"refused: {fault}", file=sys.stderr)
    print(f"{restore.files} files written, {len(restore.faults)} refused")
    return 2 if restore.faults else 0


if __name__ == "__main__":
    sys.exit(main())
