"""What makes a release: it refuses while nobody has said where the source is."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator

from lab import ROOT, Check, Lab, ends, equal, lacks

ADDRESS = "https://forge.example/dba/binlogsec"
WHO = {"DEBFULLNAME": "A. Maintainer", "DEBEMAIL": "a@example.org"}
GIT = "git -c user.name=x -c user.email=x@example.org -c commit.gpgsign=false"


def checks(lab: Lab) -> Iterator[Check]:
    if lacks("git"):
        return
    # The parts of the source that a release looks at, as a repository of their own.
    place = lab.folder / "source"
    place.mkdir()
    for part in ("Cargo.toml", "CHANGELOG.md", "action.yml"):
        shutil.copy(ROOT / part, place)
    for part in ("docs", ".ci"):
        shutil.copytree(ROOT / part, place / part)
    version = subprocess.run(
        ["sed", "-n", r's/^version = "\(.*\)"$/\1/p', "Cargo.toml"], cwd=place, check=True, capture_output=True, text=True
    ).stdout.split()[0]
    commit = f"{GIT} add -A && {GIT} commit -qm x"
    lab.bash(f"git init -q . && {commit}", place)
    release = place / ".ci/package/release"
    done = lab.run(release, where=place)
    yield ends("without an address there is no release", 1, done, "Cargo.toml does not say where the source is")
    for what in ("OWNER/REPOSITORY stands for the source's address in docs/recipes.md", "DEBEMAIL", f"no heading for {version}", f"the tag v{version}"):
        yield ends(f"and what else is missing is said: {what}", 1, done, what)
    yield equal("nothing was built", False, (place / "target").exists())
    yield ends("what is no address is refused", 2, lab.run(release, "--repository", "dba/binlogsec", where=place))
    yield ends("an address is filled in", 0, lab.run(release, "--repository", ADDRESS, where=place), ADDRESS)
    yield equal("in one place of Cargo.toml", 1, (place / "Cargo.toml").read_text().count(f'repository = "{ADDRESS}"'))
    recipe = (place / "docs/recipes.md").read_text()
    yield equal("and where pages name it", 1, recipe.count(f"uses: dba/binlogsec@v{version}"))
    text = (place / "CHANGELOG.md").read_text().replace("## Unreleased", f"## {version}", 1)
    (place / "CHANGELOG.md").write_text(text)
    done = lab.run(release, "--check", where=place, **WHO)
    yield ends("what is not committed is no release", 1, done, "not committed")
    lab.bash(f"{commit} && git tag v{version}", place)
    yield ends("then it is ready", 0, lab.run(release, "--check", where=place, **WHO), f"{version} is ready")
