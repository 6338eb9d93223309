"""A real store, OpenBao, behind a proxy that errs, stalls, cuts and redirects: what a command says
then, how it ends, how often it asks, and where the token goes.
"""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import proxy
from bao import TOKEN, Bao, percona_name
from checks import Check, each, equal, exit_status, same_bytes, true
from lab import Lab
from proxy import Handler, Proxy
from shop import Shop, a_server, entries
from tool import Binlogsec

MOUNT = "kv1/a"
TIMEOUT_SECONDS = 2
ATTEMPTS = 3


def run(lab: Lab, binlogsec: Path) -> Iterator[Check]:
    shop = a_server(lab, Binlogsec(binlogsec))
    with Bao(lab.scratch("bao")) as bao:
        bao.mount("kv1", 1)
        for entry in entries(shop.keyring):
            value = base64.b64encode(bytes.fromhex(entry["data"])).decode()
            secret = {"type": entry["data_type"], "value": value}
            bao.ask("POST", f"{MOUNT}/{percona_name(entry['data_id'], entry['user'])}", secret)
        yield from each(
            partial(faults, shop, bao),
            partial(a_redirect_to_another_host, shop, bao),
            partial(a_store_that_recovers, shop, bao),
            partial(a_key_that_is_not_there, shop, bao),
        )


def configuration(shop: Shop, url: str, mount: str = MOUNT) -> Path:
    path = shop.lab.scratch("faults-conf") / "component_keyring_vault.cnf"
    members = {"timeout": TIMEOUT_SECONDS, "vault_url": url, "secret_mount_point": mount}
    members |= {"secret_mount_point_version": "1", "token": TOKEN}
    path.write_text(json.dumps(members))
    path.chmod(0o600)
    return path


def decrypts(shop: Shop, what: str, url: str, status: int, said: str, mount: str = MOUNT) -> Iterator[Check]:
    """It ends so, says so, writes nothing, and shows no token."""
    log, plain = next(iter(shop.logs.items()))
    target = shop.lab.scratch("faults-plain") / log.name
    begun = time.monotonic()
    keyring = configuration(shop, url, mount)
    done = shop.tool.run("decrypt", log, "-o", target, "--keyring", keyring, "--allow-http", "-v")
    took = time.monotonic() - begun
    yield exit_status(what, status, done)
    text = (done.stdout + done.stderr).decode(errors="replace")
    yield true(f"{what}: it is told", said in text, said, text)
    yield true(f"{what}: without the token", TOKEN not in text, "no token", text)
    longest = ATTEMPTS * TIMEOUT_SECONDS + 3
    yield true(f"{what}: in time", took < longest, f"less than {longest} s", took)
    if status == 0:
        yield same_bytes(f"{what}: as the server serves it", plain, target.read_bytes())
    else:
        yield true(f"{what}: nothing is left", not list(target.parent.iterdir()), "nothing", "a file")


def faults(shop: Shop, bao: Bao) -> Iterator[Check]:
    cases: list[tuple[str, Handler, int, str, int]] = [
        ("no fault", proxy.passes, 0, "keys are asked of", 1),
        ("garbage", proxy.garbage, 2, "does not speak HTTP", 1),
        ("another body", proxy.garbled, 2, "no key as the server stores it", 1),
        ("an answer that is cut", proxy.cut, 2, "ends before its announced length", 1),
        ("a connection that ends", proxy.hangs_up, 2, "does not speak HTTP", 1),
        ("a byte now and then", proxy.slow, 2, "no whole answer within", ATTEMPTS),
        ("an endless body", proxy.endless, 2, "goes on beyond", 1),
        ("endless chunks", proxy.endless_chunks, 2, "goes on beyond", 1),
        ("503", proxy.status(503), 2, "it is sealed, or starting", ATTEMPTS),
        ("500", proxy.status(500), 2, "is not able to answer (status 500", ATTEMPTS),
        ("429", proxy.status(429), 2, "is not able to answer (status 429", ATTEMPTS),
        ("403", proxy.status(403), 2, "refuses the token", 1),
        ("400", proxy.status(400), 2, "refuses the token", 1),
        ("418", proxy.status(418), 2, "with the status 418", 1),
    ]
    for what, handle, status, said, requests in cases:
        with Proxy(bao.port, handle) as between:
            yield from decrypts(shop, what, between.url, status, said)
            yield equal(f"{what}: so many requests", requests, len(between.requests))


def a_redirect_to_another_host(shop: Shop, bao: Bao) -> Iterator[Check]:
    with Proxy(bao.port, proxy.passes) as other, Proxy(bao.port, proxy.redirects(other.url)) as between:
        to = f"127.0.0.1:{other.port}"
        yield from decrypts(shop, "a redirect", between.url, 2, f"to {to}, which is not followed")
        yield equal("the other host is not asked", [], other.requests)


def a_store_that_recovers(shop: Shop, bao: Bao) -> Iterator[Check]:
    with Proxy(bao.port, proxy.passes) as one:
        port = one.port
    yield from decrypts(shop, "nobody listens", f"http://127.0.0.1:{port}", 2, "after 3 attempts")
    with Proxy(bao.port, proxy.resets_first(2)) as between:
        yield from decrypts(shop, "two resets, then an answer", between.url, 0, "keys are asked of")
        yield equal("it was asked three times", 3, len(between.requests))


def a_key_that_is_not_there(shop: Shop, bao: Bao) -> Iterator[Check]:
    with Proxy(bao.port, proxy.passes) as between:
        said = "is not in the Vault at"
        yield from decrypts(shop, "a missing key", between.url, 3, said, mount="kv1/b")
        yield equal("which is asked for once", 1, len(between.requests))
