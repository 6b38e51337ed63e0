"""The documentation as a site: docs/, the README, and pages that are made from the code."""
