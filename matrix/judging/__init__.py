"""Captures to findings to verdicts; pure, so that any capture can be judged again."""
