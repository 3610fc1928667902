"""Will it fit? An estimate of a pipeline's memory on a GPU, before anything is downloaded.

Loading and the real pipeline's call are rehearsed with the real modules' code on tensors that have shapes and no memory
(``rehearsal.py``); what they would allocate and free is replayed through a model of PyTorch's CUDA allocator
(``allocator.py``). What is assumed beside that is a named constant in ``estimate.py``.
"""
