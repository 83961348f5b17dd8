"""What is relied on inside of Spyne 2.14.0: each private hook that is overridden or used, pinned."""

from __future__ import annotations

import inspect
import subprocess
import sys
from types import ModuleType
from typing import Any

import pytest
import spyne
from spyne.application import Application
from spyne.interface.wsdl import Wsdl11
from spyne.protocol.soap import Soap11
from spyne.server import ServerBase

from birdbath.soap import spyne_compat
from birdbath.soap.protocol import CondorSoap
from birdbath.soap.server import CondorApplication, SoapServer
from birdbath.soap.wsdl import CondorWsdl
from tests.soap.wire import ask, call, schedd


def test_the_version() -> None:
    assert spyne.__version__ == "2.14.0"


def test_garbage_is_not_collected_in_the_request_path() -> None:
    assert float("inf") == spyne.const.MIN_GC_INTERVAL


@pytest.mark.parametrize(
    ("ours", "theirs", "names"),
    [
        (
            CondorSoap,
            Soap11,
            [
                "set_app",
                "create_in_document",
                "decompose_incoming_envelope",
                "generate_method_contexts",
                "deserialize",
                "serialize",
                "create_out_string",
            ],
        ),
        (CondorApplication, Application, ["process_request"]),
        (SoapServer, ServerBase, ["get_in_object"]),
        (CondorWsdl, Wsdl11, ["get_interface_document", "build_interface_document"]),
    ],
)
def test_every_overridden_hook_exists_with_the_same_parameters(
    ours: Any, theirs: Any, names: list[str]
) -> None:
    for name in names:
        assert name in vars(ours)
        own = list(inspect.signature(getattr(ours, name)).parameters)
        assert own == list(inspect.signature(getattr(theirs, name)).parameters)[: len(own)]


def test_spyne_runs_the_stages_in_the_order_we_rely_on(monkeypatch: pytest.MonkeyPatch) -> None:
    stages: list[str] = []

    def watch(owner: Any, name: str) -> None:
        original = getattr(owner, name)

        def stage(*arguments: Any, **more: Any) -> Any:
            stages.append(name)
            return original(*arguments, **more)

        monkeypatch.setattr(owner, name, stage)

    names = [
        "create_in_document",
        "decompose_incoming_envelope",
        "generate_method_contexts",
        "deserialize",
        "process_request",
        "serialize",
        "create_out_string",
    ]
    for name in names:
        watch(CondorApplication if name == "process_request" else CondorSoap, name)
    ask(schedd(new_cluster=1), call("newCluster"))
    assert stages == names


def test_an_operation_has_one_handle_and_its_messages_have_type_info() -> None:
    interface = SoapServer().app.interface
    assert "{urn:condor}newCluster" in interface.service_method_map
    (descriptor,) = interface.service_method_map["{urn:condor}newCluster"]
    assert descriptor.operation_name == "newCluster"
    assert list(descriptor.in_message._type_info) == ["transaction"]
    assert list(descriptor.out_message._type_info) == ["response"]
    assert descriptor.out_message.get_type_name() == "newClusterResponse"


# ---------------------------------------------------------------- the import shim


def test_the_shim_makes_spyne_importable_without_cgi_and_six_finders() -> None:
    """Python 3.13 played on any version: no cgi, and six's own importer without find_spec."""
    script = """
import importlib.abc, sys
class NoCgi(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name == "cgi":
            raise ModuleNotFoundError(name)
import birdbath.schedd, email.message  # all that may look at the version has done so
sys.modules.pop("cgi", None)
sys.meta_path.insert(0, NoCgi())
sys.version_info = (3, 13, 0, "final", 0)
from birdbath.soap import spyne_compat
"""
    check = """
import spyne.util.six.moves.urllib.parse, spyne.protocol.soap, cgi
assert type(spyne.util.six.moves.urllib.parse.__spec__.loader).__name__ == "SixMovesFinder"
assert cgi.parse_header("text/xml; charset=utf-8") == ("text/xml", {"charset": "utf-8"})
"""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", script + check],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_installing_twice_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "meta_path", list(sys.meta_path))
    spyne_compat.install((3, 13))
    before = list(sys.meta_path), sys.modules.get("cgi")
    spyne_compat.install((3, 13))
    assert (list(sys.meta_path), sys.modules.get("cgi")) == before


def test_cgi_is_replaced_only_where_python_has_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "meta_path", [])
    monkeypatch.setattr(sys, "modules", {name: m for name, m in sys.modules.items() if name != "cgi"})
    spyne_compat.install((3, 12))
    assert [type(finder) for finder in sys.meta_path] == [spyne_compat.SixMovesFinder]
    assert "cgi" not in sys.modules
    spyne_compat.install((3, 13))
    assert len(sys.meta_path) == 1
    assert isinstance(sys.modules["cgi"], ModuleType)


def test_every_importer_can_be_asked_for_a_spec() -> None:
    """six's own cannot, and pytest, among others, asks all."""
    assert [finder for finder in sys.meta_path if not hasattr(finder, "find_spec")] == []


def test_the_finder_finds_only_six() -> None:
    finder = spyne_compat.SixMovesFinder()
    assert finder.find_spec("os") is None
    assert finder.find_spec("spyne.util.six.movesx") is None
    spec = finder.find_spec("spyne.util.six.moves.urllib.parse")
    assert spec is not None
    module: Any = finder.create_module(spec)
    assert module.quote("a b") == "a%20b"
    finder.exec_module(module)


@pytest.mark.parametrize(
    ("line", "wanted"),
    [
        ('text/xml; charset="utf-8"; Boundary=x', ("text/xml", {"charset": "utf-8", "boundary": "x"})),
        ("text/xml", ("text/xml", {})),
    ],
)
def test_parse_header(line: str, wanted: tuple[str, dict[str, str]]) -> None:
    assert spyne_compat.parse_header(line) == wanted
