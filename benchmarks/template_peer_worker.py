"""Runs in a peer's environment: PEER MESSAGES_FILE RESULT_FILE [--keep] [--masked].

Uses nothing but the standard library and the peer.
"""

import json
import logging
import sys
from collections.abc import Callable
from pathlib import Path
from time import perf_counter
from typing import Any

Result = tuple[float, list[int], list[str]]
BEFORE, AFTER = r"((?<=[^A-Za-z0-9])|^)", r"((?=[^A-Za-z0-9])|$)"
MASKS = [
    (rf"{BEFORE}(blk_-?\d+){AFTER}", "BLOCK"),
    (rf"{BEFORE}(([0-9a-f]{{2,}}:){{3,}}([0-9a-f]{{2,}})){AFTER}", "ID"),
    (rf"{BEFORE}(\d{{1,3}}\.\d{{1,3}}\.\d{{1,3}}\.\d{{1,3}}){AFTER}", "IP"),
    (rf"{BEFORE}(0x[a-f0-9A-F]+){AFTER}", "HEX"),
    (rf"{BEFORE}([\-\+]?\d+){AFTER}", "NUM"),
]


def drain3(messages: list[str], masked: bool, keep: bool) -> Result:
    from drain3 import TemplateMiner
    from drain3.masking import MaskingInstruction
    from drain3.template_miner_config import TemplateMinerConfig

    config = TemplateMinerConfig()
    config.profiling_enabled = False
    if masked:
        config.masking_instructions = [MaskingInstruction(*mask) for mask in MASKS]
    miner = TemplateMiner(config=config)
    clusters = []
    started = perf_counter()
    if keep:
        clusters = [miner.add_log_message(message)["cluster_id"] for message in messages]
    else:
        for message in messages:
            miner.add_log_message(message)
    seconds = perf_counter() - started
    # Numbered from 1 by the miner, from 0 here.
    templates = {each.cluster_id: each.get_template() for each in miner.drain.clusters}
    ordered = [templates[number] for number in sorted(templates)]
    return seconds, [number - 1 for number in clusters], ordered


def tipping(messages: list[str], masked: bool, keep: bool) -> Result:
    from tipping import parse

    # Without templates and masks, which cost it time.
    started = perf_counter()
    clusters, _, _ = parse(messages, return_templates=False, return_masks=False)
    seconds = perf_counter() - started
    # What it cannot place stands alone.
    alone = range(len(messages), 2 * len(messages))
    return seconds, [own if c is None else c for c, own in zip(clusters, alone, strict=True)], []


RUN: dict[str, Callable[[list[str], bool, bool], Result]] = {"drain3": drain3, "tipping": tipping}


def main(peer: str, source: str, target: str, *options: str) -> None:
    logging.disable(logging.CRITICAL)
    messages = Path(source).read_text("utf-8").split("\n")
    seconds, clusters, templates = RUN[peer](messages, "--masked" in options, "--keep" in options)
    kept: dict[str, Any] = {"seconds": seconds, "clusters": [], "templates": []}
    if "--keep" in options:
        kept |= {"clusters": clusters, "templates": templates}
    Path(target).write_text(json.dumps(kept), "utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
