"""Galleries for other tools, read by the tools' own code where that is installed."""

import base64
import io
import json
import zlib
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from analysis.cli.export import main
from analysis.gallery.export import (
    ATLAS_FILE,
    middle_frames,
    to_embedding_atlas,
    to_fiftyone,
    to_tensorboard,
)
from rspnet.retrieval.gallery import Gallery, Protocol

# Three videos at 0, 60 and 90 degrees: the cosines are known by hand.
ANGLES = np.radians([0, 60, 90])
VECTORS = np.stack([np.cos(ANGLES), np.sin(ANGLES)], axis=1).astype(np.float32)


def gallery(folder="videos", **more) -> Gallery:
    paths = tuple(Path(folder) / f"{name}.mp4" for name in ("a", "b", "c"))
    vectors = {"rsp": VECTORS, "avid": VECTORS[::-1].copy(), "backbone": VECTORS}
    return Gallery(paths, ("walk", "tab\there", ""), vectors, "hash", Protocol(), **more)


PICTURES = np.arange(3, dtype=np.uint8)[:, None, None, None] * np.full((1, 64, 64, 3), 80, np.uint8)


def test_tensorboard_reads_what_was_written(tmp_path):
    from google.protobuf import text_format
    from tensorboard.plugins.projector import ProjectorConfig

    out = to_tensorboard(gallery(), tmp_path / "out", ("rsp", "avid"), PICTURES)
    text = (out / "projector_config.pbtxt").read_text()
    config = text_format.Parse(text, ProjectorConfig())
    assert len(config.embeddings) == 2
    assert [own.tensor_name.partition(":")[0] for own in config.embeddings] == ["rsp", "avid"]
    for own, vectors in zip(config.embeddings, (VECTORS, VECTORS[::-1]), strict=True):
        np.testing.assert_allclose(np.loadtxt(out / own.tensor_path), vectors, atol=1e-6)
        lines = (out / own.metadata_path).read_text().splitlines()
        assert [line.split("\t") for line in lines] == [
            ["name", "label", "path"],
            ["a", "walk", "videos/a.mp4"],
            ["b", "tab here", "videos/b.mp4"],
            ["c", "-", "videos/c.mp4"],
        ]
        assert list(own.sprite.single_image_dim) == [64, 64]
        sheet = np.asarray(Image.open(out / own.sprite.image_path))
        assert sheet.shape[:2] == (128, 128)  # 2 x 2 pictures
        assert abs(int(sheet[10, 74, 0]) - 80) <= 1


def test_embedding_atlas_has_vectors_places_and_neighbours(tmp_path):
    file = to_embedding_atlas(gallery(splits=("train", "test", "test")), tmp_path, ("rsp",), None)
    rows = pq.read_table(file).to_pylist()
    assert list(rows[0]) == [
        "name", "label", "path", "split", "rsp_x", "rsp_y", "rsp_neighbors", "rsp",
    ]  # fmt: skip
    assert [row["split"] for row in rows] == ["train", "test", "test"]
    near = rows[0]["rsp_neighbors"]
    assert near["ids"] == [1, 2]
    np.testing.assert_allclose(near["distances"], [1 - 0.5, 1 - 0], atol=1e-6)
    np.testing.assert_allclose([row["rsp"] for row in rows], VECTORS, atol=1e-6)
    # Principal components only turn and shift: all distances stay.
    places = np.array([[row["rsp_x"], row["rsp_y"]] for row in rows])
    for i, j in ((0, 1), (0, 2), (1, 2)):
        own, known = (np.linalg.norm(v[i] - v[j]) for v in (places, VECTORS))
        assert own == pytest.approx(known, abs=1e-6)


def test_embedding_atlas_reads_it(tmp_path):
    utils = pytest.importorskip("embedding_atlas.utils", reason="pip install embedding-atlas")
    file = to_embedding_atlas(gallery(), tmp_path, ("rsp",), PICTURES)
    data = utils.load_pandas_data(str(file))
    assert list(data["name"]) == ["a", "b", "c"]
    assert data["frame"][0]["bytes"].startswith(b"\x89PNG")


def test_fiftyone_has_a_sample_a_video(tmp_path):
    """The folder as FiftyOne 1.22 reads it: the field types are its own class names."""
    own = gallery(tmp_path, splits=("train", "test", "test"))
    out = to_fiftyone(own, tmp_path / "out", ("rsp", "avid"), None)
    about = json.loads((out / "metadata.json").read_text())
    fields = {field["name"]: field for field in about["sample_fields"]}
    assert about["media_type"] == "video"
    assert fields["id"]["db_field"] == "_id"
    assert fields["rsp"]["ftype"] == "fiftyone.core.fields.VectorField"
    assert fields["avid_neighbors"]["subfield"] == "fiftyone.core.fields.ObjectIdField"
    assert fields["ground_truth"]["embedded_doc_type"] == "fiftyone.core.labels.Classification"
    samples = json.loads((out / "samples.json").read_text())["samples"]
    assert {*samples[0]} - {"_id", "_media_type"} == {*fields} - {"id"}
    assert [sample["tags"] for sample in samples] == [["train"], ["test"], ["test"]]
    assert [sample["filepath"] for sample in samples] == [str(path) for path in own.paths]
    assert samples[0]["ground_truth"]["label"] == "walk"
    assert samples[2]["ground_truth"] is None  # no class is known
    ids = [sample["_id"] for sample in samples]
    assert samples[0]["rsp_neighbors"] == [ids[1], ids[2]]  # by their cosines
    assert len({sample["_id"]["$oid"] for sample in samples}) == 3
    assert all(len(bytes.fromhex(own["$oid"])) == 12 for own in ids)
    for sample, vector in zip(samples, VECTORS, strict=True):
        data = zlib.decompress(base64.b64decode(sample["rsp"]["$binary"]["base64"]))
        np.testing.assert_array_equal(np.load(io.BytesIO(data)), vector)


def test_fiftyone_opens_it(tmp_path):
    fo = pytest.importorskip("fiftyone", reason="pip install fiftyone; it starts a database")
    out = to_fiftyone(gallery(tmp_path), tmp_path / "out", ("rsp",), None)
    dataset = fo.Dataset.from_dir(str(out), dataset_type=fo.types.FiftyOneDataset)
    try:
        first = dataset.first()
        assert (first.media_type, first.ground_truth.label) == ("video", "walk")
        np.testing.assert_array_equal(dataset.values("rsp"), VECTORS)
        near = dataset.select(first.rsp_neighbors, ordered=True)
        assert [Path(path).stem for path in near.values("filepath")] == ["b", "c"]
    finally:
        dataset.delete()


def test_a_video_that_can_not_be_read_is_grey_and_named(tmp_path):
    pictures, missing = middle_frames([tmp_path / "none.mp4"])
    assert list(missing) == [tmp_path / "none.mp4"]
    assert (pictures == 128).all()


@pytest.mark.parametrize("tool", ["tensorboard", "embedding_atlas", "fiftyone"])
def test_the_command_says_how_to_open_it_and_overwrites_nothing(tool, tmp_path, capsys):
    folder, out = gallery(tmp_path).save(tmp_path / "gallery"), tmp_path / "out"
    words = ["--to", tool, "--gallery", str(folder), "--out", str(out), "--pictures", "false"]
    assert main(words) == 0
    told = capsys.readouterr().out
    says = {"tensorboard": "--logdir", "embedding_atlas": ATLAS_FILE, "fiftyone": "fo.Dataset"}
    assert says[tool] in told
    before = sorted(out.rglob("*"))
    assert main(words) == 2
    assert "exists: give --out" in capsys.readouterr().err
    assert sorted(out.rglob("*")) == before


def test_too_many_pictures_for_tensorboard(tmp_path):
    many = np.zeros((128**2 + 1, 1, 1, 3), np.uint8)
    with pytest.raises(ValueError, match="at most 16,384 videos, the gallery has 16,385"):
        to_tensorboard(gallery(), tmp_path / "out", ("rsp",), many)
