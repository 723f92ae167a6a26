"""From a cell of the history to the picture, in one call: verified, cached, readable offline."""

import hashlib
import json
import pickle
import shutil
from typing import Any

import pytest
from tests.html_elements import Elements, assert_safe
from tests.http_artifacts import log_artifact
from tests.http_logging import LoggedRun
from tests.integration.test_notebook_cards import PNG

import runlake
from runlake import Media, MediaList
from runlake.errors import (
    FileTransferError,
    InvalidArgument,
    InvalidType,
    NotCached,
    RunFileNotFoundError,
    UnwritableCacheWarning,
)

PAGE = b"<h1>Page</h1><script>alert(1)</script>"
WAV = b"RIFF....WAVEfmt "


def cell(kind, path, content, **more):
    digest = hashlib.sha256(content).hexdigest()
    return {"_type": kind, "path": path, "sha256": digest, "size": len(content), **more}


def named(key, content, suffix="png"):
    """Return a name as the SDK gives it, with the beginning of the digest."""
    return f"media/images/{key}_0_{hashlib.sha256(content).hexdigest()[:20]}.{suffix}"


IMAGES = [PNG + bytes([index]) for index in range(3)]
FILES = {
    "media/images/photo.png": PNG,
    "media/html/page.html": PAGE,
    "media/audio/beep.wav": WAV,
    "media/images/changed.png": b"other" + PNG,
    "media/images/plain_0.png": PNG,
    **{named("samples", content): content for content in IMAGES},
}
CELLS = {
    "photo": cell("image-file", "media/images/photo.png", PNG, width=1, height=1, caption="one"),
    "page": cell("html-file", "media/html/page.html", PAGE),
    "nested": {"beep": cell("audio-file", "media/audio/beep.wav", WAV)},
    "gone": cell("image-file", "media/images/gone.png", PNG),
    "changed": cell("image-file", "media/images/changed.png", PNG),
    "samples": {
        "_type": "images/separated",
        "filenames": [named("samples", content) for content in IMAGES],
        "captions": ["a", "b", None],
        "width": 1,
        "height": 1,
        "count": 3,
        "format": "png",
    },
    "old": {"_type": "images/separated", "filenames": ["media/images/plain_0.png"], "count": 1},
    "sounds": {"_type": "audio", "audio": [cell("audio-file", "media/audio/beep.wav", WAV)]},
    "nameless": {"_type": "image-file"},
    "number": 3,
}


@pytest.fixture(scope="module")
def path(backend, tmp_path_factory):
    folder = tmp_path_factory.mktemp("media")
    for name, content in FILES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    logged = LoggedRun(backend, "pictures", "media")
    table = {"columns": ["a"], "data": [[1], [2]]}
    artifact_id = log_artifact(logged, "t", {"t.table.json": json.dumps(table).encode()})
    import base64

    reference = f"wandb-artifact://{base64.b64decode(artifact_id).hex()}/t.table.json"
    cells = {**CELLS, "table": {"_type": "table-file", "artifact_path": reference}}
    earlier = cell("image-file", "media/images/plain_0.png", PNG, caption="earlier")
    logged.log({"_step": 3, "photo": earlier}, {"_step": 5, **cells})
    run_path = logged.summarize(cells).finish().path
    settings = {"base_url": backend.base_url, "cache_dir": str(folder / "cache")}
    uploader = runlake.Api(settings, api_key=backend.api_key).run(run_path)
    for name in FILES:
        uploader.upload_file(folder / name, root=folder)
    return run_path


@pytest.fixture
def run(api, path):
    return api.run(path)


def test_a_key_opens_its_last_image(run, backend):
    image = run.image("photo")
    assert (image.kind, image.width, image.height, image.caption) == ("image", 1, 1, "one")
    assert (image.name, image.size, image.read_bytes()) == ("media/images/photo.png", len(PNG), PNG)
    assert image.sha256 == hashlib.sha256(PNG).hexdigest()
    assert image.path.suffix == ".png"
    assert image._repr_png_() == PNG
    assert image._repr_jpeg_() is None
    assert len(assert_safe(image._repr_html_()).of("img")) == 1
    assert repr(image) == "<Media image 1 x 1 media/images/photo.png: one>"
    with backend.counted() as requests:
        assert run.image("photo").path == image.path
    assert requests == []


def test_a_step_opens_the_image_of_that_step(run):
    assert run.image("photo", 3).caption == "earlier"
    assert run.image("photo", step=5).caption == "one"
    for step in (4, -1, 10**15):
        with pytest.raises(InvalidArgument, match="logged no image under 'photo' at step"):
            run.image("photo", step)


def test_a_cell_of_a_row_or_of_a_frame_opens_too(run):
    row = next(iter(run.scan_history(["page"])))
    assert run.media(row["page"]).read_bytes() == PAGE
    (struct,) = run.frame(["page"])["page"].to_list()
    page = run.html(struct)
    assert page.read_text() == PAGE.decode()
    (frame,) = Elements(page._repr_html_()).of("iframe")
    assert frame["sandbox"] == ""


def test_lists_and_nested_keys_and_tables_open(run, backend):
    samples = run.image("samples")
    assert isinstance(samples, MediaList)
    assert [one.read_bytes() for one in samples] == IMAGES
    assert [one.caption for one in samples] == ["a", "b", None]
    assert len(assert_safe(samples._repr_html_()).of("img")) == 3
    assert repr(samples) == "<MediaList of 3 image>"
    with backend.counted() as requests:
        assert [one.path for one in run.image("samples")] == [one.path for one in samples]
    assert requests == []
    assert run.audio("nested.beep").read_bytes() == WAV
    assert run.audio("sounds")[0].kind == "audio"
    assert run.image("old")[0].read_bytes() == PNG
    assert run.media("table")["a"].to_list() == [1, 2]


def test_what_is_not_the_logged_file_is_refused(run):
    with pytest.raises(FileTransferError, match=r"longer than|is not the file that was logged"):
        run.image("changed")
    with pytest.raises(RunFileNotFoundError, match="gone"):
        run.image("gone")


def test_wrong_arguments_say_what_there_is(run):
    with pytest.raises(InvalidArgument, match=r"no image under 'page'; .*'html-file'.*photo"):
        run.image("page")
    with pytest.raises(InvalidArgument, match=r"no media under 'phot'.*nested\.beep"):
        run.media("phot")
    with pytest.raises(InvalidArgument, match="of type int"):
        run.media("number")
    with pytest.raises(InvalidArgument, match="names no file"):
        run.media("nameless")
    with pytest.raises(InvalidArgument, match="_type is None"):
        run.media({"a": 1})
    with pytest.raises(InvalidArgument, match="step"):
        run.media(CELLS["photo"], 3)
    for wrong in (3, None, b"photo", ["photo"]):
        with pytest.raises(InvalidType, match="key"):
            run.media(wrong)
    for step in ("3", 1.5, True):
        with pytest.raises(InvalidArgument, match="step"):
            run.image("photo", step)


def test_offline_media_is_from_the_cache_or_refused(run, backend, path):
    run.pull()
    online = run.image("photo"), run.image("samples"), run.image("old")
    api = runlake.Api({"base_url": backend.base_url}, api_key=backend.api_key, offline=True)
    with pytest.warns(runlake.errors.StaleWarning):
        offline: Any = api.run(path)
    assert offline.image("photo").path == online[0].path
    assert [one.path for one in offline.image("samples")] == [one.path for one in online[1]]
    assert offline.image("old")[0].path == online[2][0].path
    with pytest.raises(NotCached, match=r"page\.html.*offline"):
        offline.html("page")


def test_pulled_files_are_found_offline(backend, path, tmp_path):
    place = {"base_url": backend.base_url, "cache_dir": str(tmp_path / "lake")}
    runlake.Lake(tmp_path / "lake").pull(
        [runlake.Api(place, api_key=backend.api_key).run(path)], files=True
    )
    offline: Any = runlake.Lake(tmp_path / "lake").run(path)
    assert offline.image("photo").read_bytes() == PNG
    assert [one.read_bytes() for one in offline.image("samples")] == IMAGES
    with pytest.raises(NotCached, match="gone"):
        offline.image("gone")
    with pytest.raises(NotCached, match="changed"):
        offline.image("changed")


def test_a_damaged_file_is_downloaded_again(run):
    path = run.image("photo").path
    path.write_bytes(b"damaged")
    assert run.image("photo").read_bytes() == PNG


def test_a_cache_that_cannot_be_written_is_no_obstacle(run):
    root = run._client.settings.cache_dir
    shutil.rmtree(root / "media", ignore_errors=True)
    root.mkdir(parents=True, exist_ok=True)
    (root / "media").write_bytes(b"in the way")
    with pytest.warns(UnwritableCacheWarning, match="temporary"):
        image = run.image("photo")
    assert image.read_bytes() == PNG
    assert root not in image.path.parents


def test_media_can_be_pickled(run):
    image: Media = pickle.loads(pickle.dumps(run.image("photo")))
    assert image.read_bytes() == PNG
    assert pickle.loads(pickle.dumps(run.image("samples")))[2].read_bytes() == IMAGES[2]
