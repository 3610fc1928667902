"""Will it fit? An estimate of a pipeline's memory on a GPU, before anything is downloaded.

The real pipeline's call is rehearsed with the real modules' code on tensors that have shapes and no memory
(``rehearsal.py``); what the call would allocate and free is replayed through a model of PyTorch's CUDA allocator
(``allocator.py``). What is assumed beside that is a named constant in ``estimate.py``.
"""
