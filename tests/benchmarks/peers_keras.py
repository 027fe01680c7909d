"""Training as one would write it in Keras: ``HWR_DATA=… python -m tests.benchmarks.peers_keras``.

Runs in an environment of its own, with tensorflow-cpu and without this project. Prints one line of JSON.
"""

import json
import time

import keras
import tensorflow as tf
from keras import layers

from tests.benchmarks.real import CLASSES, ROWS, SIDE, emnist47r

BATCH = 256


def network() -> keras.Model:
    """The layers of `hwr.models.baseline`."""
    stack = [layers.Input((SIDE, SIDE, 1))]
    for channels in (32, 64):
        for _ in range(2):
            stack += [layers.Conv2D(channels, 3, padding="same"), layers.BatchNormalization(), layers.ReLU()]
        stack += [layers.MaxPooling2D(), layers.Dropout(0.25)]
    stack += [layers.Flatten(), layers.Dense(512, "relu"), layers.Dropout(0.5), layers.Dense(CLASSES, "softmax")]
    return keras.Sequential(stack)


def batches() -> tf.data.Dataset:
    """Glyphs in [0, 1], shuffled anew each epoch, each turned, moved and zoomed by itself, ahead of the training."""
    images, labels = emnist47r(ROWS)
    # Turns are shares of a full one: 10.8 degrees.
    vary = keras.Sequential(
        [layers.RandomRotation(0.03, "constant"), layers.RandomTranslation(0.1, 0.1, "constant"),
         layers.RandomZoom(0.1, fill_mode="constant")]
    )  # fmt: skip

    def prepare(glyphs: tf.Tensor, numbers: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        return vary(tf.cast(glyphs, tf.float32) / 255, training=True), numbers

    shuffled = tf.data.Dataset.from_tensor_slices((images[..., None], labels)).shuffle(len(labels))
    return shuffled.batch(BATCH, drop_remainder=True).map(prepare, tf.data.AUTOTUNE).prefetch(tf.data.AUTOTUNE)


def main() -> None:
    """Train for one epoch to warm up and for one against the clock."""
    model, samples = network(), batches()
    model.compile(keras.optimizers.AdamW(), "sparse_categorical_crossentropy", metrics=["accuracy"])
    model.fit(samples, shuffle=False, verbose=0)
    start = time.perf_counter()
    model.fit(samples, shuffle=False, verbose=0)
    print(json.dumps(len(samples) * BATCH / (time.perf_counter() - start)))


if __name__ == "__main__":
    main()
