"""The text of a library's module, as those of `apps/libraries/`."""

PAPER_MODULE = """
DISTRIBUTION = "paper"
INTEGRATION = "paper"
SERVICE = ""
SPAN = {"name": "paper.print", "component": "paper", "tags": {"paper.size": "A*"}}


def call(context):
    pass
"""
PATCH_FUNCTION = "\n\ndef patch():\n    pass\n"
