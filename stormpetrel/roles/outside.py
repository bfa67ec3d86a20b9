"""`stormpetrel serve --role watch --of URL`: one process, without the instance's database, secret or other roles."""

from __future__ import annotations

import asyncio
import dataclasses
import os
import signal
import sys

import uvloop

from stormpetrel.config import Config
from stormpetrel.config_loader import LoadedConfig, variable_of
from stormpetrel.errors import EnvironmentFailure, SetupError
from stormpetrel.process import log
from stormpetrel.process.listeners import listen, lock_role, raise_open_file_limit, shown


def serve_outside(loaded: LoadedConfig, *, of: str) -> int:
    """Serve the status page of the instance at `of` until SIGTERM or Ctrl-C; return the exit code.

    0 after a clean end; 2 and 3 with one line on stderr for a SetupError or an EnvironmentFailure.
    """
    try:
        _serve(loaded.config, of.rstrip("/"))
    except SetupError as error:
        sys.stderr.write(f"stormpetrel: {error.safe_text}\n")
        return 2
    except EnvironmentFailure as error:
        sys.stderr.write(f"stormpetrel: {error.safe_text}\n")
        return 3
    return 0


def _serve(config: Config, of: str) -> None:
    # Imported before anything is opened, as the roles are.
    from stormpetrel.watch import outside

    log.configure(config.log.level, role="watch")
    outside.client_of(of)
    lock = lock_role(config.data_dir, "watch")
    raise_open_file_limit()
    key = "status.port"
    (sock,) = listen(
        config.status.host, config.status.port, count=1, key=f"{key} or {variable_of(key)} sets it"
    )
    port = sock.getsockname()[1]
    config = dataclasses.replace(config, status=dataclasses.replace(config.status, port=port))
    sys.stdout.write(f"Status page of {of}: http://{shown(config.status.host, port)}\n")
    sys.stdout.flush()

    async def main() -> None:
        stop = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        await outside.run(config=config, of=of, sock=sock, stop=stop)

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main())
    os.close(lock)
