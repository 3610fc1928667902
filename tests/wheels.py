"""Tiny wheels, and locks of them, for what installs packages; nothing is fetched."""

import hashlib
import zipfile


def wheel(folder, name, version, needs=(), tag="py3-none-any", python=""):
    """A wheel of one module; returns its file."""
    folder.mkdir(parents=True, exist_ok=True)
    path, info = folder / f"{name}-{version}-{tag}.whl", f"{name}-{version}.dist-info"
    facts = [f"Name: {name}", f"Version: {version}", *([f"Requires-Python: {python}"] if python else [])]
    facts += [f"Requires-Dist: {each}" for each in needs]
    texts = {
        f"{name}.py": f"VERSION = {version!r}\n",
        f"{info}/METADATA": "\n".join(["Metadata-Version: 2.1", *facts, ""]),
        f"{info}/WHEEL": f"Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: {tag}\n",
    }
    texts[f"{info}/RECORD"] = "".join(f"{each},,\n" for each in [*texts, f"{info}/RECORD"])
    with zipfile.ZipFile(path, "w") as file:
        for inside, text in texts.items():
            file.writestr(inside, text)
    return path


def pin(path, how="{name} @ {uri}"):
    """The line of a lock for a wheel."""
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    named = how.format(name=path.name.partition("-")[0], uri=path.as_uri(), file=path.name)
    return f"{named} \\\n    --hash=sha256:{digest}\n"


def lock(path, *wheels):
    path.write_text("# compiled by hand\n" + "".join(map(pin, wheels)))
    return path
