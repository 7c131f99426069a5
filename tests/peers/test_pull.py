"""strata pull, and run and create that pull what they lack, as a person sees them: against Debian's docker-registry,
filled by skopeo and buildah."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from engine.kernel.terminals import set_size
from engine.oci.digests import digest_of
from engine.oci.manifests import CONFIG, LAYER, MANIFEST
from tests.support.archives import File, ImageSpec, docker_archive, layer_tar
from tests.support.command import Strata
from tests.support.lying_registry import Cut, LyingRegistry, Stall
from tests.support.needs import needs, needs_root
from tests.support.registry import RegistryServer
from tests.support.rootfs import tiny_layer, tiny_spec
from tests.support.waiting import until

needs_root()
needs("docker-registry", "skopeo", "buildah")

BOTTOM = [File("bottom", b"b" * 1000)]
ONE = ImageSpec([BOTTOM, [File("one", b"1")]], ["x"], {"Cmd": ["sh"]})
TWO = ImageSpec([BOTTOM, [File("two", b"2")]], ["x"], {"Cmd": ["sh"]})


@pytest.fixture(scope="module")
def registry() -> Iterator[RegistryServer]:
    with RegistryServer() as server:
        yield server


@pytest.fixture
def strata(tmp_path: Path) -> Iterator[Strata]:
    with Strata() as command:
        command.env |= {"DOCKER_CONFIG": str(tmp_path / "docker"), "XDG_CONFIG_HOME": str(tmp_path / "config")}
        command.env.pop("STRATA_CONFIG", None)
        yield command


@pytest.fixture
def put(registry: RegistryServer, tmp_path: Path) -> Callable[..., str]:
    """Put an image into the registry by skopeo; returns its reference."""

    def into(name: str, spec: ImageSpec, *flags: str) -> str:
        archive = tmp_path / "image.tar"
        archive.write_bytes(docker_archive(spec))
        reference = f"{registry.address}/{name}"
        skopeo("copy", "--dest-tls-verify=false", *flags, f"docker-archive:{archive}", f"docker://{reference}")
        archive.unlink()
        return reference

    return into


def skopeo(*args: str) -> bytes:
    done = subprocess.run(["skopeo", *args], capture_output=True, timeout=100)
    assert done.returncode == 0, done.stderr
    return done.stdout


def raw(reference: str) -> bytes:
    return skopeo("inspect", "--raw", "--tls-verify=false", f"docker://{reference}")


def layers(reference: str) -> list[str]:
    """The ids that the lines about an image's layers begin with."""
    return [layer["digest"][7:19] for layer in json.loads(raw(reference))["layers"]]


def test_the_words_are_dockers(strata: Strata, registry: RegistryServer, put: Callable[..., str]) -> None:
    reference = put("words/demo:latest", ONE)
    bottom, top = layers(reference)
    digest = digest_of(raw(reference))
    done = strata.run("pull", reference.removesuffix(":latest"))
    first, second, *lines = done.stdout.splitlines()
    assert (done.returncode, done.stderr) == (0, "")
    assert (first, second) == ("Using default tag: latest", "latest: Pulling from words/demo")
    end = [f"Digest: {digest}", f"Status: Downloaded newer image for {reference}", reference]
    assert lines[-5:] == [f"{bottom}: Pull complete", f"{top}: Pull complete", *end]
    assert lines[:2] == [f"{bottom}: Pulling fs layer", f"{top}: Pulling fs layer"]
    again = ["latest: Pulling from words/demo", end[0], f"Status: Image is up to date for {reference}", reference]
    assert strata("pull", reference).splitlines() == again
    assert strata("pull", "--quiet", reference) == reference
    table = strata("images", "--digests", "--format", "{{.Repository}} {{.Tag}} {{.Digest}}")
    assert table == f"{registry.address}/words/demo latest {digest}"
    by_digest = f"{registry.address}/words/demo@{digest}"
    assert strata("pull", by_digest).splitlines() == [
        f"{digest}: Pulling from words/demo",
        f"Digest: {digest}",
        f"Status: Image is up to date for {by_digest}",
        by_digest,
    ]


def test_short_names_come_from_the_mirror_and_are_called_in_full(
    strata: Strata, registry: RegistryServer, put: Callable[..., str], tmp_path: Path
) -> None:
    put("library/demo:latest", ONE)
    config = tmp_path / "registries.toml"
    config.write_text(f'[registries."docker.io"]\nmirrors = ["http://{registry.address}"]\n')
    strata.env["STRATA_CONFIG"] = str(config)
    lines = strata("pull", "demo").splitlines()
    assert lines[:2] == ["Using default tag: latest", "latest: Pulling from library/demo"]
    assert lines[-2:] == ["Status: Downloaded newer image for demo:latest", "docker.io/library/demo:latest"]
    assert strata("pull", "-q", "docker.io/demo") == "docker.io/library/demo:latest"


def test_a_layer_that_is_here_is_not_fetched(strata: Strata, put: Callable[..., str]) -> None:
    one, two = put("shared:1", ONE), put("shared:2", TWO)
    strata("pull", one)
    bottom, top = layers(two)
    said = strata("pull", two).splitlines()
    assert [line for line in said if line.startswith(bottom)] == [f"{bottom}: Already exists"]
    assert f"{top}: Pulling fs layer" in said


def test_a_tag_that_has_moved_is_newer(strata: Strata, put: Callable[..., str]) -> None:
    reference = put("moved:1", ONE)
    strata("pull", reference)
    digest = digest_of(raw(reference))
    put("moved:1", TWO)
    assert f"Status: Downloaded newer image for {reference}" in strata("pull", reference)
    assert strata("inspect", "--format", "{{.Id}}", reference) == TWO.id
    assert strata("images", "--quiet", "--no-trunc", "--filter", "dangling=true") == ONE.id
    assert strata("image", "prune", "--force").splitlines()[1:3] == [
        f"untagged: {reference.rpartition(':')[0]}@{digest}",
        f"deleted: {ONE.id}",
    ]
    assert strata("images", "--quiet", "--no-trunc") == TWO.id


def test_all_tags(strata: Strata, registry: RegistryServer, put: Callable[..., str]) -> None:
    put("tags:1", ONE)
    put("tags:2", TWO)
    name = f"{registry.address}/tags"
    lines = strata("pull", "--all-tags", name).splitlines()
    assert [line for line in lines if "Pulling from" in line] == ["1: Pulling from tags", "2: Pulling from tags"]
    assert sum(line.startswith("Digest: ") for line in lines) == 2
    assert lines[-2:] == [f"Status: Downloaded newer image for {name}", name]
    assert strata("pull", "-a", name).splitlines()[-2] == f"Status: Image is up to date for {name}"
    assert strata("pull", "-aq", name).splitlines() == [f"{name}:1", f"{name}:2"]
    done = strata.run("pull", "-a", f"{name}:1")
    assert (done.returncode, done.stderr) == (1, "Error: tag can't be used with --all-tags/-a\n")
    assert len(strata("images", "--quiet").splitlines()) == 2


def test_a_tag_that_can_be_none_is_not_believed(strata: Strata) -> None:
    with LyingRegistry() as liar:
        liar.put("/v2/x/tags/list", json.dumps({"tags": ["good", "../\x1b[2Jevil"]}).encode(), "application/json")
        done = strata.run("pull", "-a", f"{liar.address}/x")
    said = f"Error: {liar.address} names a tag that cannot be one: '../\\x1b[2Jevil'\n"
    assert (done.returncode, done.stderr, strata("images", "-q")) == (1, said, "")


def test_buildahs_list_gives_each_platform_its_image(
    strata: Strata, registry: RegistryServer, put: Callable[..., str], tmp_path: Path
) -> None:
    name = f"{registry.address}/list:1"
    buildah = ("buildah", "--root", str(tmp_path / "b"), "--runroot", str(tmp_path / "r"), "--storage-driver", "vfs")
    subprocess.run([*buildah, "manifest", "create", "list"], check=True, capture_output=True, timeout=100)
    ids = {}
    for architecture, variant in (("amd64", ""), ("arm64", "v8"), ("arm", "v6"), ("arm", "v7")):
        extra = {"architecture": architecture, **({"variant": variant} if variant else {})}
        spec = ImageSpec([BOTTOM], ["x"], {"Cmd": [architecture + variant]}, extra)
        one = put(f"list:{architecture}{variant}", spec)
        ids[f"{architecture}{variant}"] = spec.id
        add = ["manifest", "add", "--tls-verify=false", "list", f"docker://{one}"]
        subprocess.run([*buildah, *add], check=True, capture_output=True, timeout=100)
    push = ["manifest", "push", "--all", "--tls-verify=false", "list", f"docker://{name}"]
    subprocess.run([*buildah, *push], check=True, capture_output=True, timeout=100)
    digest = digest_of(raw(name))
    wanted = {"": "amd64", "linux/arm64": "arm64v8", "linux/arm/v7": "armv7", "linux/arm/v6": "armv6"}
    for platform, which in wanted.items():
        said = strata("pull", *(["--platform", platform] if platform else []), name)
        assert f"Digest: {digest}" in said.splitlines()
        assert strata("inspect", "--format", "{{.Id}}", name) == ids[which]
        assert strata("inspect", "--format", "{{join .RepoDigests ` `}}", name) == f"{registry.address}/list@{digest}"
    done = strata.run("pull", "--platform", "linux/riscv64", name)
    assert done.returncode == 1
    assert done.stderr.startswith(
        f"Error: no matching manifest for linux/riscv64 in the manifest list entries; {name} has linux/amd64, linux/arm"
    )
    done = strata.run("pull", "--platform", "linux/", name)
    assert (done.returncode, done.stderr.split(":")[1]) == (1, ' "linux/" is not a platform')


def test_the_only_image_is_for_other_machines(strata: Strata, put: Callable[..., str]) -> None:
    reference = put("arm:1", ImageSpec([BOTTOM], ["x"], {}, {"architecture": "arm64"}))
    text = f"image with reference {reference} was found but its platform (linux/arm64) does not match"
    done = strata.run("pull", "--platform", "linux/s390x", reference)
    assert (done.returncode, done.stderr) == (1, f"Error: {text} the specified platform (linux/s390x)\n")
    assert strata("images", "-q") == ""
    assert f"\nWARNING: {text} this machine's (linux/" in strata("pull", reference)
    strata("pull", "--platform", "linux/arm64", reference)
    done = strata.run("pull", "--platform", "linux/s390x", reference)
    assert done.returncode == 1  # also when it is here


def test_a_broken_download_goes_on_and_says_so(strata: Strata) -> None:
    data = layer_tar([File("noise", os.urandom(300_000))])
    config = ImageSpec([data], ["x"], {"Cmd": ["sh"]}).document()
    entry = {"mediaType": LAYER, "digest": digest_of(data), "size": len(data)}
    manifest = {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": {"mediaType": CONFIG, "digest": digest_of(config), "size": len(config)},
        "layers": [entry],
    }
    with LyingRegistry() as liar:
        blob = f"/v2/x/blobs/{liar.put_blob('x', data)}"
        liar.put_blob("x", config)
        liar.put("/v2/x/manifests/1", json.dumps(manifest).encode(), MANIFEST)
        liar.faults[blob] = [Cut(100_000), Cut(0)]
        said = strata("pull", f"{liar.address}/x:1")
        assert [headers.get("Range") for headers in liar.asked(blob)] == [None, "bytes=100000-", "bytes=100000-"]
    short = digest_of(data)[7:19]
    assert f"{short}: Retrying in 1 second" in said.splitlines()
    assert said.splitlines()[-4] == f"{short}: Pull complete"


# run and create.


def test_run_pulls_what_is_missing(strata: Strata, put: Callable[..., str]) -> None:
    reference = put("tiny:1", tiny_spec("x"))
    done = strata.run("run", "--rm", reference, "echo", "hello")
    lines = done.stderr.splitlines()
    assert (done.returncode, done.stdout) == (0, "hello\n")
    assert lines[:2] == [f"Unable to find image '{reference}' locally", "1: Pulling from tiny"]
    assert lines[-2:] == [
        f"Digest: {digest_of(raw(reference))}",
        f"Status: Downloaded newer image for {reference}",
    ]
    done = strata.run("run", "--rm", reference, "echo", "again")
    assert (done.stdout, done.stderr) == ("again\n", "")


def test_pull_always_never_and_quiet(strata: Strata, put: Callable[..., str]) -> None:
    reference = put("moving:1", ImageSpec([tiny_layer(), [File("which", b"one\n")]], ["x"]))
    done = strata.run("run", "--pull", "never", reference, "cat", "/which")
    assert (done.returncode, done.stderr.split("\n")[0]) == (125, f"strata: No such image: {reference}")
    assert strata("ps", "-aq") == "" and strata("images", "-q") == ""
    done = strata.run("run", "--rm", "-q", reference, "cat", "/which")
    assert (done.returncode, done.stdout, done.stderr) == (0, "one\n", "")
    put("moving:1", ImageSpec([tiny_layer(), [File("which", b"two\n")]], ["x"]))
    for policy in ("missing", "never"):
        assert strata("run", "--rm", "--pull", policy, reference, "cat", "/which") == "one"
    done = strata.run("run", "--rm", "--pull=always", reference, "cat", "/which")
    assert (done.stdout, done.stderr.split("\n")[0]) == ("two\n", "1: Pulling from moving")
    done = strata.run("run", "--rm", "--pull=sometimes", reference)
    assert done.returncode == 125 and 'must be one of "always", "missing" or "never"' in done.stderr
    created = strata.run("create", "--pull=always", reference, "sh")
    assert created.stdout.strip() == strata("ps", "-aq", "--no-trunc")
    assert f"Status: Image is up to date for {reference}" in created.stderr


def test_run_of_another_platform_pulls_that(strata: Strata, put: Callable[..., str]) -> None:
    reference = put("both:1", tiny_spec("x"))
    strata("pull", reference)
    assert strata("run", "--rm", "--platform", "linux/amd64", reference, "echo", "here") == "here"
    text = (
        f"image with reference {reference} was found but its platform (linux/amd64) does not match the specified "
        "platform (linux/arm64)"
    )
    for policy, first in (("never", f"strata: {text}"), ("missing", f"Unable to find image '{reference}' locally")):
        done = strata.run("run", "--rm", "--pull", policy, "--platform", "linux/arm64", reference)
        assert (done.returncode, done.stderr.split("\n")[0]) == (125, first)
        assert f"strata: {text}\n" in done.stderr


@pytest.mark.parametrize("words", [["run"], ["run", "-d"], ["run", "--pull", "always"], ["create"]])
def test_what_cannot_be_pulled_makes_nothing(strata: Strata, words: list[str], tmp_path: Path) -> None:
    cidfile = str(tmp_path / "cid")
    done = strata.run(*words, "--cidfile", cidfile, "127.0.0.1:1/none")
    status = 1 if words == ["create"] else 125
    assert (done.returncode, done.stdout) == (status, "")
    assert "cannot reach the registry 127.0.0.1:1: Connection refused" in done.stderr
    assert strata("ps", "-aq") == "" and not os.path.exists(cidfile)


@pytest.mark.parametrize("image", ["a" * 64, "sha256:" + "a" * 64])
def test_an_id_is_not_looked_for_in_a_registry(strata: Strata, image: str) -> None:
    done = strata.run("run", image)
    assert (done.returncode, done.stderr.split("\n")[0]) == (125, f"strata: No such image: {image}")


def test_what_run_names_is_an_image_never_a_place(strata: Strata, registry: RegistryServer, tmp_path: Path) -> None:
    config = tmp_path / "registries.toml"
    config.write_text(f'[registries."docker.io"]\nmirrors = ["http://{registry.address}"]\n')
    strata.env |= {"STRATA_CONFIG": str(config), "https_proxy": "http://127.0.0.1:1"}
    done = strata.run("run", "oci:nowhere")
    assert done.returncode == 125
    assert done.stderr.startswith("Unable to find image 'oci:nowhere' locally\nnowhere: Pulling from library/oci\n")


# On a terminal.


def on_a_terminal(strata: Strata, *args: str, columns: int = 70, until_said: str = "") -> tuple[int, str]:
    """Run a command on a terminal of its own; its exit status, and all it wrote. until_said: then comes ctrl-c."""
    master, slave = pty.openpty()
    set_size(slave, 20, columns)
    env = {**strata.env, "TERM": "xterm"}
    child = subprocess.Popen(
        strata.argv(*args), stdin=slave, stdout=slave, stderr=slave, env=env, start_new_session=True
    )
    os.close(slave)
    said = b""
    try:
        while True:
            try:
                data = os.read(master, 65536)
            except OSError:
                break
            said += data
            if until_said and until_said.encode() in said:
                os.killpg(child.pid, signal.SIGINT)
                until_said = ""
        return child.wait(60), said.decode()
    finally:
        child.kill()
        child.wait()
        os.close(master)


def test_on_a_terminal_lines_are_drawn_anew(strata: Strata, put: Callable[..., str]) -> None:
    spec = ImageSpec([[File("noise", os.urandom(6_000_000))], [File("more", os.urandom(6_000_000))]], ["x"])
    reference = put("terminal:1", spec)
    status, said = on_a_terminal(strata, "pull", reference)
    assert status == 0
    assert "\x1b[2A\r" in said  # up again, to the first of both
    bottom, top = layers(reference)
    picture, _, rest = said.rpartition("\x1b[2A\r")[2].partition("Digest: ")
    assert picture.count("\r\n") == 2
    assert rest.splitlines()[1:] == [f"Status: Downloaded newer image for {reference}", reference]
    for layer in (bottom, top):
        assert f"{layer}: Pull complete" in said
    quiet = on_a_terminal(strata, "pull", "-q", reference)
    assert quiet == (0, f"{reference}\r\n")


def test_run_draws_on_standard_error_only(strata: Strata, put: Callable[..., str]) -> None:
    reference = put("terminal:2", tiny_spec("x"))
    status, said = on_a_terminal(strata, "run", "--rm", reference, "echo", "hello")
    assert status == 0
    assert said.startswith(f"Unable to find image '{reference}' locally\r\n2: Pulling from terminal")
    assert said.endswith(f"Status: Downloaded newer image for {reference}\r\nhello\r\n")


def test_ctrl_c_leaves_a_tidy_terminal_and_a_whole_store(strata: Strata) -> None:
    data = [layer_tar([File(name, os.urandom(6_000_000))]) for name in ("first", "second")]
    config = ImageSpec(data, ["x"], {"Cmd": ["sh"]}).document()
    manifest = {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": {"mediaType": CONFIG, "digest": digest_of(config), "size": len(config)},
        "layers": [{"mediaType": LAYER, "digest": digest_of(layer), "size": len(layer)} for layer in data],
    }
    with LyingRegistry() as liar:
        blobs = [f"/v2/x/blobs/{liar.put_blob('x', layer)}" for layer in data]
        liar.put_blob("x", config)
        liar.put("/v2/x/manifests/1", json.dumps(manifest).encode(), MANIFEST)
        for blob in blobs:
            liar.faults[blob] = [Stall(4_000_000, 5)]
        status, said = on_a_terminal(strata, "pull", f"{liar.address}/x:1", until_said="Downloading [")
        assert status == 130
        assert said.endswith("\n") and "Traceback" not in said and "Exception" not in said
        last = said.rpartition("\x1b[2A\r")[2].replace("\x1b[K", "")
        assert last.count("\r\n") == 2  # the picture's two lines, and the cursor below them
        assert strata("images", "-q") == "" and "Error" not in strata("system", "check")
        until(lambda: not os.listdir(os.path.join(strata.root, "tmp")))
        # Which layer had come how far is chance: the next try asks for what is missing of each, and for no more.
        there = [os.path.join(strata.root, "incoming", blob.rpartition(":")[2]) for blob in blobs]
        sizes = [os.path.getsize(path) if os.path.exists(path) else 0 for path in there]
        liar.requests.clear()
        liar.faults.clear()
        strata("pull", "-q", f"{liar.address}/x:1")
        asked = [[headers.get("Range", "") for headers in liar.asked(blob)] for blob in blobs]
        assert asked == [[f"bytes={size}-" if size else ""] for size in sizes]
