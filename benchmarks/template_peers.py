"""Other template miners, each in an environment of its own, since they cannot share ours."""

import json
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

PEERS = {"drain3": "drain3==0.9.11", "tipping": "tipping==0.2.1"}
ENVIRONMENTS = Path.home() / ".cache" / "loganalyzer" / "peers"
WORKER = Path(__file__).with_name("template_peer_worker.py")


@dataclass(frozen=True)
class Mined:
    """seconds: of the mining alone. clusters: for each message, the number of its template;
    templates: their texts, where asked for."""

    seconds: float
    clusters: list[int]
    templates: list[str]


def mine_with(peer: str, messages: list[str], *, keep: bool, masked: bool = True) -> Mined:
    """Run a peer over messages in a process of its own. keep: bring its clusters back.

    Messages are separated by line feeds, so one within a message becomes a space.
    Raises CalledProcessError when its environment cannot be built or it fails.
    """
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder) / "messages.txt", Path(folder) / "mined.json"
        source.write_text("\n".join(line.replace("\n", " ") for line in messages), "utf-8")
        options = [flag for flag, wanted in (("--keep", keep), ("--masked", masked)) if wanted]
        run(peer, source, target, options)
        return Mined(**json.loads(target.read_text("utf-8")))


def run(peer: str, source: Path, target: Path, options: list[str]) -> None:
    """Run a peer over a file of messages."""
    command = [python_of(peer), str(WORKER), peer, str(source), str(target), *options]
    subprocess.run(command, check=True)


def python_of(peer: str) -> str:
    """The interpreter of the peer's environment, which is built at the first call."""
    folder = ENVIRONMENTS / PEERS[peer].replace("==", "-")
    python = folder / "bin" / "python"
    if not (folder / "complete").exists():
        print(f"building an environment for {PEERS[peer]} in {folder}", file=sys.stderr)
        started = perf_counter()
        for command in (
            [sys.executable, "-m", "venv", "--clear", str(folder)],
            [str(python), "-m", "pip", "install", "--quiet", PEERS[peer]],
        ):
            subprocess.run(command, check=True)
        (folder / "complete").touch()
        print(f"built in {perf_counter() - started:.0f} s", file=sys.stderr)
    return str(python)
