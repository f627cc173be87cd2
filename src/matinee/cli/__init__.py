"""The command line: `matinee --help`. Nothing is imported here, so that Ctrl+C while the rest is imported is quiet."""


def main() -> None:
    """Run `matinee` on sys.argv, and exit: 0 done, 1 failed, 2 wrong usage, 130 Ctrl+C, 141 `| head`, 143 SIGTERM."""
    import sys

    try:
        from matinee.cli.running import run

        code = run(sys.argv[1:])
    except KeyboardInterrupt:  # during the imports
        sys.stderr.write("error: interrupted\n")
        code = 130
    if code:
        sys.exit(code)
