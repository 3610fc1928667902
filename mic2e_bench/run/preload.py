"""What the fork server imports once for all children. Importing only: no tensor, no thread, no device."""

from __future__ import annotations

import logging
import signal
import threading
import time

import psutil
from tqdm import tqdm

# Ctrl-C ends the import without a word; once it is done, the fork server ignores Ctrl-C
signal.signal(signal.SIGINT, signal.SIG_DFL)
signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})

# tqdm's own lock is a semaphore, which a child that is killed would leave behind
tqdm.set_lock(threading.RLock())
tqdm.monitor_interval = 0  # no thread that watches bars: a process with threads is not forked

# on import bitsandbytes complains about a kernel from the hub that it does without
logging.getLogger("bitsandbytes").setLevel(logging.ERROR)

from mic2e_bench.machine import fork_safety, garbage

try:
    with garbage.of_imports(), fork_safety.answered_by_driver():
        import diffusers.models.attention_dispatch
        import diffusers.models.attention_processor
        import torch
        import transformers.conversion_mapping

        from mic2e_bench.catalog import call_cost, registry
        from mic2e_bench.catalog.models import load, random
        from mic2e_bench.catalog.pipeline import class_of
        from mic2e_bench.run import assemble, measure

        registry.toggles()
        # both libraries import a class's module when the class is first asked for
        for pipeline in registry.pipelines().values():
            class_of(pipeline.class_path)
            for kind in ("text", "box"):  # a segmenter may have another model for another kind of prompt
                for path, _ in pipeline.architecture({"prompt_kind": kind}).values():
                    class_of(path)
        # 1,400 patterns of how weights are named in which model: else each child compiles them, 0.1 s of its load
        transformers.conversion_mapping.get_checkpoint_conversion_mapping("")
except ImportError as error:
    # the fork server passes over an ImportError: it would fork children that have to import, and fail, by themselves
    raise RuntimeError(f"the libraries cannot be imported: {error}") from error

# from the interpreter's start to here: what a process waits for before it can load anything
IMPORT_S = time.time() - psutil.Process().create_time()
