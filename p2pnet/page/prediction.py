"""Predictions for rows that come as the body of a request, by the model that the agent has saved last."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from threading import Lock
from typing import Any, Final, final

from p2pnet.data.frame_files import read_frame
from p2pnet.errors import DataError, DataProblemsError, ModelError
from p2pnet.training.predict_json import predict_json
from p2pnet.training.prediction_text import predictions_csv
from p2pnet.training.trained_model import TrainedModel, load

MODEL_FILE: Final = "model.npz"


@final
class Predicting:
    """Reads the model file again when it has changed; one request is answered at a time."""

    def __init__(self, state_dir: Path, factory: str | None) -> None:
        """`factory` makes the network, where it is one's own."""
        self._path = state_dir / MODEL_FILE
        self._factory = factory
        self._lock = Lock()
        self._loaded: tuple[tuple[int, int, int], TrainedModel] | None = None

    @property
    def has_model(self) -> bool:
        return self._path.is_file()

    def of_json(self, body: bytes) -> dict[str, Any]:
        """The predictions for a JSON list of objects, as `predict_json`; DataError says what is wrong with it."""
        try:
            rows = json.loads(body)
        except (ValueError, RecursionError) as error:
            raise DataError(f"the body is not JSON: {error}") from None
        with self._lock:
            return predict_json(self._model(), rows)

    def of_csv(self, body: bytes, *, is_proba: bool) -> str:
        """What `p2pnet predict` writes for a CSV file of this content; DataError as there."""
        with self._lock, tempfile.TemporaryDirectory(prefix="p2pnet-page-") as directory:
            source = Path(directory) / "rows.csv"
            source.write_bytes(body)
            model = self._model()
            try:
                return predictions_csv(model, read_frame(source, model.description.text_columns), (), is_proba=is_proba)
            except DataProblemsError as error:
                problems = [_without(directory, problem) for problem in error.problems]
                raise DataProblemsError(_without(directory, error.headline), problems) from None
            except DataError as error:
                raise DataError(_without(directory, str(error))) from None

    def _model(self) -> TrainedModel:
        status = self._path.stat()
        present = (status.st_mtime_ns, status.st_size, status.st_ino)
        if self._loaded is None or self._loaded[0] != present:
            try:
                self._loaded = (present, load(self._path, factory=self._factory))
            except DataError as error:
                raise ModelError(str(error)) from error  # that is not the caller's fault
        return self._loaded[1]


def _without(directory: str, text: str) -> str:
    """The text without the path of a directory that the caller cannot know."""
    return text.replace(f"{directory}/", "")
