"""Checks a seal manifest with nothing of binlogsec: Python's standard library, and `openssl` for Ed25519.

    seal_verify.py MANIFEST DIRECTORY [KEY]

KEY is an Ed25519 public key (PEM), or `hex:` and a replication encryption key in hexadecimal digits.
Compares the stored bytes; docs/seal.md has the format.
"""
import hashlib, hmac, json, pathlib, subprocess, sys, tempfile

def sha256(*parts):
    return hashlib.sha256(b"".join(parts)).digest()

def root(level):
    while len(level) > 1:
        pairs = [level[i:i + 2] for i in range(0, len(level), 2)]
        level = [sha256(b"\1", *pair) if len(pair) == 2 else pair[0] for pair in pairs]
    return level[0] if level else sha256()

def leaves(stored, record):
    if record["up_to"] is not None:  # The in-use flag is still to be cleared.
        stored = stored[:21] + b"\0" + stored[22:]
    size = record["chunk"]
    return [sha256(b"\0", stored[i:i + size]) for i in range(0, len(stored), size)]

def is_signed(line, record, key):
    message, signature = line.rsplit(b',"signature":"', 1)[0], bytes.fromhex(record["signature"])
    if record["algorithm"] == "hmac-sha256":
        prk = hmac.digest(bytes(32), bytes.fromhex(key.removeprefix("hex:")), "sha256")
        okm = hmac.digest(prk, b"binlogsec.seal/1 hmac-sha256\x01", "sha256")
        return hmac.compare_digest(hmac.digest(okm, message, "sha256"), signature)
    with tempfile.TemporaryDirectory() as folder:
        files = [pathlib.Path(folder, name) for name in ("message", "signature")]
        files[0].write_bytes(message), files[1].write_bytes(signature)
        command = ["openssl", "pkeyutl", "-verify", "-pubin", "-inkey", key, "-rawin"]
        command += ["-in", files[0], "-sigfile", files[1]]
        return subprocess.run(command, stdout=subprocess.DEVNULL).returncode == 0

def check(manifest, directory, key=None):
    lines, wrong, previous, record = manifest.read_bytes().split(b"\n"), [], None, {}
    assert lines.pop() == b"", "the last line has no end"
    for number, line in enumerate(lines, 1):
        record = json.loads(line)
        assert number == 1 or record["previous"] == previous.hex(), f"line {number}: chain"
        previous = sha256(line)
        if record["record"] == "log":
            listed = [bytes.fromhex(leaf) for leaf in record["leaves"]]
            assert root(listed).hex() == record["root"], f"line {number}: root"
            file = directory / record["name"]
            data = file.read_bytes() if file.is_file() else b""
            is_whole = len(data) == record["length"] or record["up_to"] is not None
            if not is_whole or leaves(data[record["body"]:record["length"]], record) != listed:
                wrong.append(record["name"])
    assert record["record"] == "signature", "no signature at the end"
    assert key is None or is_signed(lines[-1], record, key), "the signature is wrong"
    return wrong

if __name__ == "__main__":
    found = check(pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]), *sys.argv[3:])
    print("\n".join(found) or "unchanged")
    sys.exit(bool(found))
