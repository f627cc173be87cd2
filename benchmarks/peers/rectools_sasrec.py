"""RecTools' SASRec in its own environment: trains on the arrays it is given, writes lists after every few epochs.

    python rectools_sasrec.py DATA.npz OUT.npz SETTINGS_JSON

DATA: starts, items (training histories, oldest first). OUT: lists [checkpoints, U, 10] of the training users' next
items, seen ones left out; seconds [checkpoints] of the processor in training until each; epochs [checkpoints].
"""

import copy
import json
import sys
import time

import numpy as np
import pandas as pd
import torch
from pytorch_lightning import Callback, Trainer
from rectools import Columns
from rectools.dataset import Dataset
from rectools.models import SASRecModel

K = 10
KEPT = []
"""(epoch, seconds, weights). Not the callback's own, for the library trains with a copy of that."""


class Watch(Callback):
    """Keeps the weights of every few epochs, and the seconds of training until then."""

    def __init__(self, every):
        self.every, self.started = every, time.process_time()

    def on_train_start(self, trainer, module):
        """The clock starts."""
        self.started = time.process_time()

    def on_train_epoch_end(self, trainer, module):
        """Keep the weights; copying them is not counted."""
        epoch = trainer.current_epoch + 1
        now = time.process_time()
        print("rectools epoch", epoch, round(now - self.started, 1), file=sys.stderr, flush=True)
        if epoch % self.every == 0:
            KEPT.append((epoch, now - self.started, copy.deepcopy(module.torch_model.state_dict())))
            self.started += time.process_time() - now


def main():
    data_path, out, text = sys.argv[1:4]
    settings = json.loads(text)
    torch.set_num_threads(1)
    torch.manual_seed(1)
    data = np.load(data_path)
    starts, items = data["starts"], data["items"]
    owners = np.repeat(np.arange(len(starts) - 1), np.diff(starts))
    moments = pd.Timestamp("2000-01-01") + pd.to_timedelta(np.arange(len(items)), unit="s")
    frame = pd.DataFrame({Columns.User: owners, Columns.Item: items, Columns.Weight: 1.0, Columns.Datetime: moments})
    dataset = Dataset.construct(frame)
    watch = Watch(settings["every"])

    def trainer():
        return Trainer(
            max_epochs=settings["epochs"], accelerator="cpu", devices=1, callbacks=[watch], logger=False,
            enable_checkpointing=False, enable_progress_bar=False, enable_model_summary=False,
        )  # fmt: skip

    model = SASRecModel(
        n_blocks=settings["layers"], n_heads=1, n_factors=settings["dim"], session_max_len=settings["max_length"],
        dropout_rate=settings["dropout"], lr=settings["learning_rate"], batch_size=settings["batch_size"],
        loss="softmax", epochs=settings["epochs"], get_trainer_func=trainer,
    )  # fmt: skip
    model.fit(dataset)
    lists = []
    for _, _, weights in KEPT:
        model.lightning_model.torch_model.load_state_dict(weights)
        found = model.recommend(np.arange(len(starts) - 1), dataset, k=K, filter_viewed=True)
        table = np.full((len(starts) - 1, K), -1, dtype=np.int32)
        table[found[Columns.User], found[Columns.Rank] - 1] = found[Columns.Item]
        lists.append(table)
    np.savez(
        out,
        lists=np.stack(lists),
        seconds=[seconds for _, seconds, _ in KEPT],
        epochs=[epoch for epoch, _, _ in KEPT],
    )


if __name__ == "__main__":
    main()
