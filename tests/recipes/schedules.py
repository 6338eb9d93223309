"""What docs/deploy has for schedulers, pipelines and monitoring."""

from __future__ import annotations

import json
import re
import shlex
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from action import BASELINE
from lab import DEPLOY, MARIADB, MIXED, ROOT, Check, Lab, ends, equal, lacks


def gitlab(lab: Lab) -> Iterator[Check]:
    job = yaml.safe_load((DEPLOY / "gitlab-ci.yml").read_text(encoding="utf-8"))["binlogs"]
    place = lab.mysql("project", plaintext=True)
    (place / "binlogsec-policy.toml").write_text("require_proof = true\n")
    (place / "binlogsec-baseline.toml").write_text(BASELINE.replace("[12]", "1"))
    keyring = {"BINLOGSEC_KEYRING": str(lab.keyring("project"))}
    script = lab.bash("\n".join(["set -e", *job["script"]]), place, **keyring)
    yield ends("the job fails on findings", 1, script, "FAIL: 6 logs: 4 encrypted (proven)")
    issues = json.loads((place / job["artifacts"]["reports"]["codequality"]).read_text())
    errors = [issue for issue in issues if issue["severity"] == "critical"]
    yield equal("code quality has what the baseline does not accept", ["binlog.000002"], [it["location"]["path"] for it in errors])
    parts = {"description", "check_name", "fingerprint", "severity", "location"}
    yield equal("with all that GitLab wants", [parts] * len(issues), [set(issue) for issue in issues])
    fingerprints = [issue["fingerprint"] for issue in issues]
    yield equal("no fingerprint stands twice", len(fingerprints), len(set(fingerprints)))
    if not lacks("xmllint"):
        report = place / job["artifacts"]["reports"]["junit"]
        done = lab.run("xmllint", "--noout", "--schema", ROOT / "tests/schemas/junit-10.xsd", report)
        yield ends("the JUnit report is one", 0, done)
    for number in (1, 2):
        (place / f"binlog.00000{number}").unlink()
    clean = lab.bash("\n".join(["set -e", *job["script"]]), place, **keyring)
    yield ends("a project without plaintext passes", 0, clean, "PASS")


def pre_commit(lab: Lab) -> Iterator[Check]:
    if lacks("pre-commit"):
        return
    config = DEPLOY / "pre-commit-config.yaml"
    yield ends("the hooks are hooks", 0, lab.run("pre-commit", "validate-manifest", ROOT / ".pre-commit-hooks.yaml"))
    yield ends("the configuration is one", 0, lab.run("pre-commit", "validate-config", config))
    # This source as a repository with hooks.
    source, project = lab.folder / "source", lab.folder / "project"
    who = "-c user.name=x -c user.email=x@example.org -c commit.gpgsign=false"
    for place in (source, project):
        place.mkdir()
        lab.bash("git init -q .", place)
    shutil.copy(ROOT / ".pre-commit-hooks.yaml", source)
    lab.bash(f"git add -A && git {who} commit -qm x && git tag v0.1.0", source)
    shutil.copy(config, project / ".pre-commit-config.yaml")
    (project / "readme").write_text("no log\n")
    yield ends("it is installed", 0, lab.bash("pre-commit install && git add -A", project))
    commit = f"git add -A && git {who} commit -m x"
    yield ends("a commit without a log passes", 0, lab.bash(commit, project))
    shutil.copy(MIXED / "binlog.000001", project / "dump.bin")
    done = lab.bash(commit, project)
    yield ends("a commit with a plaintext log is refused, whatever its name", 1, done, "dump.bin")
    hook = {"repo": str(source), "rev": "v0.1.0", "hooks": [{"id": "binlogsec-check-installed"}]}
    (project / ".pre-commit-config.yaml").write_text(yaml.safe_dump({"repos": [hook]}))
    done = lab.bash(commit, project)
    yield ends("and so it is by the hook of this source", 1, done, "dump.bin")


def crontab(lab: Lab) -> Iterator[Check]:
    lines = (DEPLOY / "crontab").read_text(encoding="utf-8").splitlines()
    variables = dict(line.split("=", 1) for line in lines if re.match(r"[A-Z_]+=", line))
    jobs = [line for line in lines if re.match(r"[0-9*]", line)]
    yield equal("there is one job, at minute 17 of hour 3, of the server's user", ["17 3 * * * mysql"], [" ".join(job.split()[:6]) for job in jobs])
    yield equal("no `%`, which is a line's end to cron", False, "%" in jobs[0])
    place = lab.mysql("mysql", plaintext=True)
    (lab.folder / "state").mkdir()
    policy = DEPLOY / "policy.toml"
    command = jobs[0].split(maxsplit=6)[6]
    for there, here in {
        "/usr/bin/binlogsec": "binlogsec",
        "/var/lib/binlogsec": str(lab.folder / "state"),
        "/etc/binlogsec/policy.toml": str(policy),
        "/var/lib/mysql": str(place),
    }.items():
        command = command.replace(there, here)
    keyring = {"BINLOGSEC_KEYRING": str(lab.keyring("mysql"))}
    yield equal("the keyring is named", True, "BINLOGSEC_KEYRING" in variables)
    found = lab.run("sh", "-c", command, **keyring)
    yield ends("findings are mailed", 0, found, "FAIL: 6 logs: 4 encrypted (proven)")
    for number in (1, 2):
        (place / f"binlog.00000{number}").unlink()
    clean = lab.run("sh", "-c", command, **keyring)
    yield equal("nothing is mailed without findings", (0, "", ""), (clean.returncode, clean.stdout, clean.stderr))
    yield equal("metrics are there", True, (lab.folder / "state" / "binlogsec.prom").exists())


def systemd(lab: Lab) -> Iterator[Check]:
    unit = (DEPLOY / "binlogsec-check.service").read_text(encoding="utf-8")
    command = re.search(r"^ExecStart=(.*)$", unit, re.MULTILINE)[1]  # type: ignore[index]
    place = lab.mysql("mysql", plaintext=True)
    (lab.folder / "state").mkdir()
    for there, here in {
        "/usr/local/bin/binlogsec": "binlogsec",
        "/var/lib/binlogsec": str(lab.folder / "state"),
        "/etc/binlogsec/policy.toml": str(DEPLOY / "policy.toml"),
        "/var/lib/mysql": str(place),
    }.items():
        command = command.replace(there, here)
    variable = re.search(r"^#   Environment=(\w+)=", unit, re.MULTILINE)[1]  # type: ignore[index]
    done = lab.run(*shlex.split(command), **{variable: str(lab.keyring("mysql"))})
    yield ends("the unit fails on findings", 1, done, "FAIL: 6 logs: 4 encrypted (proven)")
    yield equal("both reports are there", ["binlogsec.prom", "check.json"], sorted(it.name for it in (lab.folder / "state").iterdir()))


def kubernetes(lab: Lab) -> Iterator[Check]:
    manifests = sorted(path for path in DEPLOY.glob("*.yaml") if "\nkind: " in path.read_text(encoding="utf-8"))
    yield equal("there are manifests", True, len(manifests) >= 4)
    if not lacks("kubernetes-validate"):
        for manifest in manifests:
            yield ends(f"{manifest.name} is what Kubernetes takes", 0, lab.run("kubernetes-validate", "--strict", manifest))
    for manifest in manifests:
        documents = list(yaml.safe_load_all(manifest.read_text(encoding="utf-8")))
        if any(it["kind"] == "CronJob" for it in documents):
            yield from cron_job(lab, manifest, documents)


def cron_job(lab: Lab, manifest: Path, documents: list[dict[str, Any]]) -> Iterator[Check]:
    """Its container's command, on the volumes that the manifest mounts."""
    by_kind = {it["kind"]: it for it in documents}
    pod = by_kind["CronJob"]["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    home = lab.folder / manifest.stem
    volumes = {volume["name"]: volume for volume in pod["volumes"]}
    arguments = list(container["args"])
    is_mariadb = any(argument.startswith("--mariadb-keys") for argument in arguments)
    mounts = {}
    for mount in container["volumeMounts"]:
        assert mount["readOnly"], mount
        mounts[mount["mountPath"]] = home / mount["name"]
        fill(volumes[mount["name"]], home / mount["name"], by_kind, is_mariadb)
    # The longest first: none is the beginning of another that is not its own.
    def here(argument: str) -> str:
        for there in sorted(mounts, key=len, reverse=True):
            argument = re.sub(rf"(^|=){re.escape(there)}(?=/|$)", lambda found: found[1] + str(mounts[there]), argument)
        return argument

    command = [here(argument) for argument in arguments]
    expected = "PASS: 2 logs: 2 encrypted (proven)" if is_mariadb else "PASS: 4 logs: 4 encrypted (proven)"
    yield ends(f"{manifest.name}: logs that are encrypted pass, proven", 0, lab.run("binlogsec", *command), expected)
    shutil.copy(MIXED / "binlog.000001", mounts["/var/lib/mysql"])
    yield ends(f"{manifest.name}: a plaintext log fails the job", 1, lab.run("binlogsec", *command), "1 in plaintext")
    baseline = mounts["/etc/binlogsec"] / "baseline.toml"
    example = re.sub(r"^# (?=\[\[|\w+ = )", "", baseline.read_text(), flags=re.MULTILINE)
    baseline.write_text(example.replace("/var/lib/mysql", str(mounts["/var/lib/mysql"])).replace("2027-01-31", "2099-01-31"))
    yield ends(f"{manifest.name}: its baseline's example accepts that log", 0, lab.run("binlogsec", *command), "PASS")


def fill(volume: dict[str, Any], place: Path, by_kind: dict[str, dict[str, Any]], is_mariadb: bool) -> None:
    place.mkdir(parents=True)
    if "configMap" in volume:
        assert volume["configMap"]["name"] == by_kind["ConfigMap"]["metadata"]["name"]
        for name, text in by_kind["ConfigMap"]["data"].items():
            (place / name).write_text(text)
    elif "secret" in volume:
        source = MARIADB / "keys.txt" if is_mariadb else MIXED / "component_keyring_file"
        target = place / ("keys.txt" if is_mariadb else "keyring")
        shutil.copy(source, target)
        target.chmod(0o600)
    else:
        logs = sorted((MARIADB / "logs").iterdir()) if is_mariadb else [MIXED / f"binlog.{n:06}" for n in range(3, 7)]
        for log in logs:
            shutil.copy(log, place)
            (place / log.name).chmod(0o600)


def metrics(lab: Lab) -> Iterator[Check]:
    """Alerts and panels name metrics that a check writes, and promtool takes both."""
    place = lab.mysql("mysql", plaintext=False)
    keyring = str(lab.keyring("mysql"))
    sealed = lab.run("binlogsec", "seal", place, "-o", lab.folder / "m", "--keyring", keyring, "--hmac", "--allow-in-use")
    yield ends("logs are sealed", 0, sealed)
    written = lab.run("binlogsec", "check", place, "--keyring", keyring, "--sealed", lab.folder / "m", "--format", "prometheus")
    # Of a check that passed, so that the time of the last success is there, too.
    yield ends("metrics are written", 0, written)
    names = set(re.findall(r"^(binlogsec_\w+)", written.stdout, re.MULTILINE))
    rules, panels = DEPLOY / "prometheus-rules.yaml", DEPLOY / "grafana-dashboard.json"
    expressions = [rule["expr"] for group in yaml.safe_load(rules.read_text())["groups"] for rule in group["rules"]]
    dashboard = json.loads(panels.read_text(encoding="utf-8"))
    shown = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    shown.append(dashboard["templating"]["list"][1]["query"])
    for what, texts in (("alerts", expressions), ("panels", shown)):
        used = set(re.findall(r"binlogsec_\w+", " ".join(texts)))
        yield equal(f"{what} name metrics that there are", set(), used - names)
    yield equal("panels have numbers of their own", len(dashboard["panels"]), len({panel["id"] for panel in dashboard["panels"]}))
    if lacks("promtool"):
        return
    done = lab.bash('promtool check metrics <<< "$METRICS"', lab.folder, METRICS=written.stdout)
    yield ends("promtool takes the metrics", 0, done)
    yield ends("promtool takes the alerts", 0, lab.run("promtool", "check", "rules", rules))
    yield ends("the alerts fire when they should", 0, lab.run("promtool", "test", "rules", DEPLOY / "prometheus-rules-test.yaml"))
    # A panel's expression is tried as a rule.
    plain = [text.replace("$instance", ".*") for text in shown[:-1]]
    asked = {"groups": [{"name": "x", "rules": [{"record": f"x{at}", "expr": text} for at, text in enumerate(plain)]}]}
    (lab.folder / "panels.yaml").write_text(yaml.safe_dump(asked))
    yield ends("promtool takes the panels' expressions", 0, lab.run("promtool", "check", "rules", lab.folder / "panels.yaml"))
