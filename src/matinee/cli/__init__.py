"""The command line: `matinee --help`. Nothing is imported here, so that Ctrl+C while the rest is imported is quiet."""


def main() -> None:
    """Run `matinee` on sys.argv, and exit: 0 done, 1 failed, 2 wrong usage, 130 Ctrl+C, 141 `| head`, 143 SIGTERM."""
    import os
    import signal
    import sys

    def stop(number: int, frame: object) -> None:
        os.write(2, b"error: interrupted\n")
        os._exit(130)  # a library that is half imported may turn an exception into any other

    plain = signal.getsignal(signal.SIGINT) is signal.default_int_handler  # neither ignored nor a test's own
    if plain:
        signal.signal(signal.SIGINT, stop)
    from matinee.cli.running import run

    if plain:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if code := run(sys.argv[1:]):
        sys.exit(code)
