"""A plan is pure data: what a start will do, decided from the configuration alone."""

from __future__ import annotations

import marshal

import pytest

from engine.errors import StartFailed
from engine.runtime.plan import PATH, environment, make_plan
from tests.support.runtime import Config

ID = "ab" * 32
CONFIG = Config(ID, ("sh", "-c", "true"), layers=("bottom", "middle", "top"))


def test_the_overlay_has_the_top_layer_first_and_the_skeleton_last() -> None:
    plan = make_plan(CONFIG, "/root")
    assert plan.lowers == (*(f"/root/layers/{layer}/diff" for layer in ("top", "middle", "bottom")), "/root/skeleton")
    assert (plan.upper, plan.work) == (f"/root/layers/{ID}/diff", f"/root/layers/{ID}/work")
    assert plan.rootfs == f"/root/containers/{ID}/rootfs"


def test_five_hundred_layers_are_the_most_and_leave_no_room_for_the_skeleton() -> None:
    full = CONFIG.replaced(layers=tuple(map(str, range(500))))
    plan = make_plan(full, "/root")
    assert len(plan.lowers) == 500
    assert plan.skeleton not in plan.lowers
    assert plan.wire()["skeleton"] == ()
    with pytest.raises(StartFailed, match="501 layers: overlayfs takes at most 500") as refused:
        make_plan(CONFIG.replaced(layers=tuple(map(str, range(501)))), "/root")
    assert refused.value.exit_status == 125


def test_nothing_to_run_is_refused() -> None:
    for args in ((), ("",)):
        with pytest.raises(StartFailed, match="no command specified"):
            make_plan(CONFIG.replaced(args=args), "/root")


def test_the_environment_is_dockers_and_the_containers_own_wins() -> None:
    assert environment((), "host", False) == (f"PATH={PATH}", "HOSTNAME=host")
    assert environment((), "host", True)[2] == "TERM=xterm"
    own = environment(("PATH=/x", "A=1", "A=2", "EMPTY=", "NOVALUE", "=odd", "EQ=a=b"), "host", False)
    assert own == ("PATH=/x", "HOSTNAME=host", "A=2", "EMPTY=", "EQ=a=b")


def test_the_host_name_is_the_short_id_unless_chosen() -> None:
    assert make_plan(CONFIG, "/root").hostname == ID[:12]
    assert make_plan(CONFIG.replaced(hostname="box"), "/root").hostname == "box"


def test_the_wire_form_survives_marshal_and_any_path() -> None:
    odd = CONFIG.replaced(args=("sh", "-c", "\udcff"), env=("A=\udc80",))
    wire = make_plan(odd, "/root").wire()
    assert marshal.loads(marshal.dumps(wire, 2)) == wire


def test_a_person_can_read_it() -> None:
    lines = make_plan(CONFIG.replaced(tty=True, cwd="/srv"), "/root").describe()
    text = "\n".join(lines)
    for word in ("/root/layers/top/diff", "/proc/kcore", "/proc/sys", "NET_BIND_SERVICE", "sh -c true", "devpts"):
        assert word in text
    assert len(lines) == len(set(lines))


def test_capabilities_are_dockers_fourteen() -> None:
    capabilities = make_plan(CONFIG, "/root").capabilities
    assert len(set(capabilities)) == 14
    assert not {"SYS_ADMIN", "SYS_PTRACE", "NET_ADMIN", "SYS_MODULE", "DAC_READ_SEARCH"} & set(capabilities)
