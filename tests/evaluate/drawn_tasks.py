"""Few-shot tasks as they are drawn, one after the other."""

from keras_clce.evaluate import draw_tasks


def all_tasks(labels, **numbers):
    return [
        task
        for drawn in draw_tasks(labels, **numbers)
        for task in zip(drawn.classes, drawn.support, drawn.queries, strict=True)
    ]
