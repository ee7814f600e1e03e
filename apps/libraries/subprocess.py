"""subprocess: a child process is run, also by a shell; a program that does not exist."""

from __future__ import absolute_import

DISTRIBUTION = ""
INTEGRATION = "subprocess"
SETTING = "appsec"
SPAN = {
    "name": "command_execution",
    "component": "subprocess",
    "type": "system",
    "tags": {"cmd.exec": "*--version*", "cmd.exit_code": "0"},
}
SERVICE = ""


def prepare(context):
    import subprocess  # noqa: F401


def call(context):
    import subprocess
    import sys

    outputs = [
        subprocess.check_output([sys.executable, "--version"], stderr=subprocess.STDOUT),
        subprocess.check_output('"%s" --version' % sys.executable, shell=True),  # noqa: S602
    ]
    return ", ".join(output.decode("ascii").split(" ")[0] for output in outputs)


def fail(context):
    import subprocess

    subprocess.check_output(["bookshop-has-no-such-program"])
