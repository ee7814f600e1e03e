"""The package index: releases, their files, and what is inside of wheels."""
