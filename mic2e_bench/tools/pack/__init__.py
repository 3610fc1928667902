"""``pack``: one folder with everything that a machine without network lacks, and ``unpack.sh`` for it.

``target`` says what the machine has, ``tree`` what the project is, ``site`` which packages are brought and what is
pruned from them, ``archive`` writes the parts, ``pack`` puts them together and checks them.
"""
