#!/usr/bin/env python3
"""What the binary is made of, from Cargo.lock: SBOM, licences, and the list inside the binary.

    dependencies.py sbom TARGET        CycloneDX 1.5, JSON
    dependencies.py notices TARGET     the licence texts of every package, each text once
    dependencies.py auditable TARGET   what `cargo auditable` puts into the section .dep-v0
    dependencies.py read BINARY        that section of a binary, as JSON

TARGET is the platform of the binary, such as x86_64-unknown-linux-musl. Dependencies for tests are
left out. SOURCE_DATE_EPOCH is the time that the SBOM bears; the same source makes the same bytes.
"""

from __future__ import annotations

import datetime
import json
import os
import subprocess
import sys
import tempfile
import tomllib
import uuid
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
# Licence files by the start of their names, in the order that crates use them.
LICENCE_FILES = ("LICENSE", "LICENCE", "COPYING", "NOTICE", "UNLICENSE", "COPYRIGHT")


@dataclass
class Package:
    """A package that is in the binary, or was needed to build it."""

    data: dict[str, Any]
    checksum: str | None
    runtime: bool
    needs: list[str]

    @property
    def purl(self) -> str:
        return f"pkg:cargo/{self.data['name']}@{self.data['version']}"

    @property
    def is_own(self) -> bool:
        return self.data["source"] is None


def metadata(target: str) -> dict[str, Any]:
    command = ["cargo", "metadata", "--locked", "--format-version", "1", "--features", "full"]
    command += ["--filter-platform", target]
    return json.loads(subprocess.run(command, cwd=ROOT, check=True, capture_output=True).stdout)


def chosen(target: str) -> set[str]:
    """Names and versions that a build takes. `cargo metadata` also tells what features for tests bring."""
    command = ["cargo", "tree", "--locked", "--features", "full", "--edges", "normal,build"]
    command += ["--target", target, "--prefix", "none", "--package", "binlogsec"]
    done = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
    return {" ".join(line.split()[:2]) for line in done.stdout.splitlines() if line}


def packages(target: str) -> tuple[str, dict[str, Package]]:
    """The id of the command's package, and all that it is built from, by id."""
    tree = metadata(target)
    root = next(it["id"] for it in tree["packages"] if it["name"] == "binlogsec")
    taken = chosen(target)
    by_id = {it["id"]: it for it in tree["packages"] if f"{it['name']} v{it['version']}" in taken}
    nodes = {it["id"]: it for it in tree["resolve"]["nodes"]}
    lock = tomllib.loads((ROOT / "Cargo.lock").read_text(encoding="utf-8"))
    sums = {(it["name"], it["version"]): it.get("checksum") for it in lock["package"]}
    found: dict[str, Package] = {}
    # What is needed at run time first: what only builds is marked so.
    for runtime in (True, False):
        ahead = [root] if runtime else list(found)
        seen: set[str] = set()
        while ahead:
            name = ahead.pop()
            if name in seen:
                continue
            seen.add(name)
            needs = [
                dep["pkg"]
                for dep in nodes[name]["deps"]
                if dep["pkg"] in by_id
                and any(kind["kind"] in ((None,) if runtime else (None, "build")) for kind in dep["dep_kinds"])
            ]
            is_macro = any("proc-macro" in it["kind"] for it in by_id[name]["targets"])
            if runtime and is_macro and name != root:
                continue
            if name not in found:
                data = by_id[name]
                found[name] = Package(data, sums[data["name"], data["version"]], runtime, [])
            found[name].needs = sorted(set(found[name].needs) | set(needs))
            ahead.extend(needs)
    for package in found.values():
        package.needs = [it for it in package.needs if it in found]
    return root, dict(sorted(found.items(), key=lambda it: (it[1].data["name"], it[1].data["version"])))


def component(package: Package, kind: str) -> dict[str, Any]:
    data = package.data
    item: dict[str, Any] = {"type": kind, "bom-ref": package.purl, "name": data["name"], "version": data["version"]}
    if data["description"]:
        item["description"] = " ".join(data["description"].split())
    # All that is built in is required; what only builds is not in the binary.
    item["scope"] = "required" if package.runtime else "excluded"
    if package.checksum:
        item["hashes"] = [{"alg": "SHA-256", "content": package.checksum}]
    if data["license"]:
        # Older crates write `MIT/Apache-2.0`.
        item["licenses"] = [{"expression": data["license"].replace("/", " OR ")}]
    item["purl"] = package.purl
    if data["repository"]:
        item["externalReferences"] = [{"type": "vcs", "url": data["repository"]}]
    return item


def sbom(target: str) -> str:
    root, found = packages(target)
    own = found[root]
    moment = datetime.datetime.fromtimestamp(int(os.environ.get("SOURCE_DATE_EPOCH", "0")), datetime.UTC)
    parts = [component(it, "library") for name, it in found.items() if name != root]
    subject = component(own, "application")
    del subject["scope"]
    number = uuid.uuid5(uuid.NAMESPACE_URL, json.dumps([target, subject, parts], sort_keys=True))
    document = {
        "$schema": "http://cyclonedx.org/schema/bom-1.5.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "serialNumber": f"urn:uuid:{number}",
        "version": 1,
        "metadata": {
            "timestamp": moment.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "component": subject,
            "properties": [{"name": "cargo:target", "value": target}, {"name": "cargo:features", "value": "full"}],
        },
        "components": parts,
        "dependencies": [{"ref": it.purl, "dependsOn": [found[need].purl for need in it.needs]} for it in found.values()],
    }
    return json.dumps(document, indent=2) + "\n"


def licence_files(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.iterdir()):
        if path.is_file() and path.name.upper().startswith(LICENCE_FILES):
            yield path


def notices(target: str) -> str:
    """Who wrote what is linked in, and under which terms. Texts that are equal stand once."""
    root, found = packages(target)
    others = [it for it in found.values() if it.runtime and not it.is_own]
    texts: dict[str, list[str]] = {}
    lines = ["binlogsec is linked from these packages, each under its licence:", ""]
    for package in others:
        data = package.data
        lines.append(f"  {data['name']} {data['version']}: {data['license'] or 'see its text below'}")
        for path in licence_files(Path(data["manifest_path"]).parent):
            text = "\n".join(line.rstrip() for line in path.read_text(encoding="utf-8", errors="replace").splitlines())
            texts.setdefault(text.strip("\n"), []).append(f"{data['name']} {data['version']}")
    for text, owners in texts.items():
        lines += ["", "-" * 78, ", ".join(sorted(set(owners))), "-" * 78, text]
    return "\n".join(lines) + "\n"


def auditable(target: str) -> bytes:
    """The format of cargo-auditable, version 0: compressed JSON, packages by number."""
    root, found = packages(target)
    number = {name: at for at, name in enumerate(found)}
    items = []
    for name, package in found.items():
        data = package.data
        item: dict[str, Any] = {"name": data["name"], "version": data["version"]}
        item["source"] = "local" if package.is_own else "crates.io"
        if not package.runtime:
            item["kind"] = "build"
        needs = sorted(number[it] for it in package.needs)
        if needs:
            item["dependencies"] = needs
        if name == root:
            item["root"] = True
        items.append(item)
    return zlib.compress(json.dumps({"packages": items}, separators=(",", ":")).encode())


def read(binary: str) -> str:
    with tempfile.TemporaryDirectory() as folder:
        section = Path(folder) / "section"
        subprocess.run(["objcopy", "--dump-section", f".dep-v0={section}", binary, f"{folder}/copy"], check=True)
        return zlib.decompress(section.read_bytes()).decode() + "\n"


def main() -> int:
    match sys.argv[1:]:
        case ["sbom", target]:
            sys.stdout.write(sbom(target))
        case ["notices", target]:
            sys.stdout.write(notices(target))
        case ["auditable", target]:
            sys.stdout.buffer.write(auditable(target))
        case ["read", binary]:
            sys.stdout.write(read(binary))
        case _:
            print(__doc__, file=sys.stderr)
            return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
