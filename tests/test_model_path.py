"""Paths and hub names of models are decided at once; the hub is asked once, without repetitions."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest
from huggingface_hub import constants, set_client_factory

from envtune.errors import UserError
from envtune.model_path import _require_on_hub, require_model, require_weights

GIVE = "give the folder of a causal language model or its name on the Hugging Face hub"


class Hub:
    """Stands in for the hub's HTTP client and counts requests."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.status: int | None = None
        """Of the responses; None for a machine without network."""

    def answer(self, request: httpx2.Request) -> httpx2.Response:
        # The library may ask about the program that runs it as well.
        if request.url.path.startswith("/api/models/"):
            self.asked.append(request.url.path)
        if self.status is None:
            raise httpx2.ConnectError("[Errno -3] Temporary failure in name resolution")
        headers = {"X-Error-Code": "RepoNotFound"} if self.status == 404 else {}
        return httpx2.Response(self.status, headers=headers, json={"id": "org/name"})


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    hub = Hub()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    set_client_factory(lambda: httpx2.Client(transport=httpx2.MockTransport(hub.answer)))
    _require_on_hub.cache_clear()
    yield hub
    _require_on_hub.cache_clear()
    set_client_factory(httpx2.Client)


def model_folder(folder: Path, weights: str = "model.safetensors") -> str:
    folder.mkdir(parents=True)
    (folder / "config.json").write_text("{}")
    (folder / weights).touch()
    return str(folder)


@pytest.mark.parametrize("path", ["./typo", "/no/such", "a/b/c", "../typo", "~/model", "runs/typo", "runs/typo/"])
def test_what_can_only_be_a_path_is_refused_without_asking_the_hub(hub: Hub, path: str) -> None:
    Path("runs/2026").mkdir(parents=True)
    with pytest.raises(UserError, match=rf"^model path {path} does not exist: {GIVE}$"):
        require_model(path)
    assert hub.asked == []


def test_a_machine_without_network_asks_once(hub: Hub) -> None:
    with pytest.raises(UserError, match=r"^model path org/name is not a folder here, .* cannot be reached \(.*name re"):
        require_model("org/name")
    assert hub.asked == ["/api/models/org/name"]


def test_offline_mode_asks_nothing(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(UserError, match=r"offline mode \(HF_HUB_OFFLINE=1\), where only downloaded models can be used"):
        require_model("org/name")
    assert hub.asked == []


@pytest.mark.parametrize(
    ("status", "sentence"),
    [(404, "the Hugging Face hub has no model of that name"), (500, "the Hugging Face hub answers with an error")],
)
def test_an_answer_that_is_not_a_model_is_refused_after_one_request(hub: Hub, status: int, sentence: str) -> None:
    hub.status = status
    with pytest.raises(UserError, match=sentence) as error:
        require_model("org/name")
    assert "\n" not in str(error.value)
    assert len(hub.asked) == 1


def test_a_model_on_the_hub_is_accepted_and_asked_for_once(hub: Hub) -> None:
    hub.status = 200
    # Beside a model of the same organisation that was downloaded to this folder.
    model_folder(Path("org/other"))
    for name in ("org/name", "org/name", "gpt2"):
        require_weights(name)
    assert hub.asked == ["/api/models/org/name", "/api/models/gpt2"]


def test_a_downloaded_model_is_accepted_without_network(hub: Hub) -> None:
    snapshot = Path("cache/models--org--name")
    (snapshot / "refs").mkdir(parents=True)
    (snapshot / "refs/main").write_text("abc")
    model_folder(snapshot / "snapshots/abc")
    require_model("org/name")
    assert hub.asked == []


def test_a_folder_with_config_and_weights_is_accepted(hub: Hub, tmp_path: Path) -> None:
    require_weights(model_folder(tmp_path / "one"))
    require_weights(model_folder(tmp_path / "two", "pytorch_model.bin"))
    assert hub.asked == []


def test_a_folder_without_config_or_weights_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"is not a folder with a config\.json; give the folder"):
        require_model(str(tmp_path))
    (tmp_path / "config.json").write_text("{}")
    require_model(str(tmp_path))
    with pytest.raises(UserError, match=r"holds no weights \(model\.safetensors\): copy or download the model again"):
        require_weights(str(tmp_path))


@pytest.mark.parametrize("config", [True, False])
def test_gguf_weights_are_refused_with_what_converts_them(tmp_path: Path, config: bool) -> None:
    file = tmp_path / "model.gguf"
    file.touch()
    if config:
        (tmp_path / "config.json").write_text("{}")
    for path in (file, tmp_path):
        with pytest.raises(UserError, match=r"in the format GGUF, .*gguf_file=FILE.*needs the package gguf"):
            require_weights(str(path))


def test_the_folder_of_a_run_is_refused_with_init_from(tmp_path: Path) -> None:
    (tmp_path / "run.json").touch()
    with pytest.raises(UserError, match=r"is the folder of a run: give it as init_from"):
        require_model(str(tmp_path))


def test_another_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").touch()
    with pytest.raises(UserError, match=r"model\.safetensors is a file; give the folder"):
        require_model(str(tmp_path / "model.safetensors"))
