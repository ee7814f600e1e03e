"""Orchestration: builds, runs, keeps, judges; tells what happens as events and shows nothing."""
